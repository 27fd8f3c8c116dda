//! Enters: asks of the two doors and of the operator, each by its own socket; the token's PIN; the sealed keys.
//! Leaves: verdicts, signatures over what was judged and recorded, one passes; errands for the courier.
//! Never: a conversation that the vault began; a key outside this process or the token; a signature over bytes not recorded first.

mod access;
mod active;
mod agent;
mod alarms;
mod authority;
mod backup;
mod callback;
mod change_statement;
mod clock;
mod decide;
mod deed;
mod digest;
mod doctor;
mod doors;
mod drafts;
mod errands;
mod event;
mod explain;
mod feed;
mod fetch;
mod files;
mod freeze;
mod gate;
mod heard;
mod init;
mod jws;
mod ledger;
mod listing;
mod memory;
mod metrics;
mod notary;
mod operator;
mod outcome;
mod partner_key;
mod people;
mod pipeline;
mod pool;
mod registration;
mod relay;
mod reload;
mod reply;
mod retry;
mod room;
mod rotate;
mod rsa;
mod settle;
mod shadow;
mod signed;
mod ssh;
mod statement;
mod status;
mod submit;
mod tokens;
mod traces;
mod vault;
mod waiting;
mod walls;
mod watchdog;
mod window_time;
mod witness;

use config::command_line::{self, Wish};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn main() {
    // A vault with a thread missing would look healthy: it ends whole, and is started anew.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
    let code = match start() {
        Ok(code) => code,
        Err((code, words)) => {
            // Where stderr is closed there is nobody left to tell.
            // In one piece, for other rooms may write to the same.
            let _ = std::io::stderr().write_all(format!("signing-agent-vault: {words}\n").as_bytes());
            code
        }
    };
    // Threads may still be at work in the module.
    jail::end(code)
}

fn start() -> Result<u8, (u8, String)> {
    let broken = |e: &dyn std::fmt::Display| (1, e.to_string());
    let misconfigured = |e: &dyn std::fmt::Display| (ipc::EXIT_CONFIG, e.to_string());
    // Looks whether all is well, without lanes and without beginning to work.
    let (check, rest): (Vec<OsString>, Vec<OsString>) = std::env::args_os().skip(1).partition(|word| word == "--check");
    let (verify, rest): (Vec<OsString>, Vec<OsString>) = rest.into_iter().partition(|word| word == "--verify-backup");
    if !verify.is_empty() {
        jail::enter().map_err(|e| broken(&e))?;
        return backup::check().map_err(|words| (1, words));
    }
    let path = match command_line::read(rest.into_iter()) {
        Some(Wish::Run(path)) => path,
        Some(Wish::Version) => {
            let _ = writeln!(std::io::stdout(), "signing-agent-vault {}", env!("CARGO_PKG_VERSION"));
            return Ok(0);
        }
        None => return Err((2, format!("{} [--check | --verify-backup]", command_line::usage("vault")))),
    };
    jail::enter().map_err(|e| broken(&e))?;
    // SQLite would ask for the working directory.
    let path = std::path::absolute(path).map_err(|e| broken(&e))?;
    if !check.is_empty() {
        return doctor::check(&path).map_err(|words| (1, words));
    }
    let config = config::guard::load(&path, config::guard::Room::Vault).map_err(|e| misconfigured(&e))?;
    config::logging::init("vault", &config.log);
    let callback = callback::Callback::load(&config).map_err(|words| misconfigured(&words))?;
    let sockets = jail::Sockets::take().map_err(|e| broken(&e))?;
    let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|e| broken(&e))?;
    let notify = Arc::new(jail::Notify::connect().map_err(|e| broken(&e))?);
    let boot = window_time::boot_id();
    let vitals = jail::Vitals::open();

    if let Some(missing) = walls::raise(&path, &config).map_err(|e| broken(&e))? {
        tracing::warn!("{missing}");
    }
    // Behind the walls, as it is read again later; before anything is opened.
    let policy = active::Policies::load(&config.policy).map_err(|words| misconfigured(&words))?;
    let filter = walls::filter(&config);
    let (room, opened) = room::Room::open(path, config, policy, callback, boot, vitals, notify.clone());
    // The module is in memory and, where it could be, logged in to; nothing from outside has been read, and what an earlier
    // life left under way waits.
    filter.install().map_err(|e| broken(&e))?;
    jail::attempt();
    // There is no other.
    let _ = room.end.set(signals.handle());
    room.opened(opened, 0);
    gate::open(sockets, &room).map_err(|e| broken(&e))?;
    notify.ready();
    wait_for_end(signals, &room);
    notify.stopping();
    room.close();
    Ok(if room.retiring.load(Ordering::SeqCst) { ipc::EXIT_RETIRED } else { 0 })
}

/// Returns when the room was told to end.
fn wait_for_end(mut signals: signal_hook::iterator::Signals, room: &Arc<room::Room>) {
    for signal in signals.forever() {
        if signal != SIGHUP {
            return tracing::info!("ending");
        }
        reload::on_signal(room);
    }
}
