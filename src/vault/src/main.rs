//! Enters: asks of the two doors and of the operator, each by its own socket; the token's PIN; the sealed keys.
//! Leaves: verdicts, signatures over what was judged and recorded, one passes; errands for the courier.
//! Never: a conversation that the vault began; a key outside this process or the token; a signature that is not recorded first.

mod agent;
mod clock;
mod decide;
mod deed;
mod errands;
mod feed;
mod files;
mod gate;
mod init;
mod jws;
mod ledger;
mod outcome;
mod pipeline;
mod pool;
mod registration;
mod relay;
mod reply;
mod room;
mod rsa;
mod status;
mod waiting;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    // A vault with a thread missing would look healthy: it ends whole, and is started anew.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
    match start() {
        Ok(code) => code,
        Err((code, words)) => {
            eprintln!("signing-agent-vault: {words}");
            ExitCode::from(code)
        }
    }
}

fn start() -> Result<ExitCode, (u8, String)> {
    let broken = |e: &dyn std::fmt::Display| (1, e.to_string());
    let misconfigured = |e: &dyn std::fmt::Display| (ipc::EXIT_CONFIG, e.to_string());
    let Some(path) = arguments().map_err(|words| (2, words))? else { return Ok(ExitCode::SUCCESS) };
    jail::enter().map_err(|e| broken(&e))?;
    let config = config::load(&path).map_err(|e| misconfigured(&e))?;
    config::logging::init("vault", &config.log);
    let policy = room::load_policy(&config).map_err(|words| misconfigured(&words))?;
    let sockets = jail::Sockets::take().map_err(|e| broken(&e))?;
    let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|e| broken(&e))?;

    let room = room::Room::open(config, policy);
    gate::open(sockets, &room).map_err(|e| broken(&e))?;
    wait_for_end(signals, &room);
    Ok(ExitCode::SUCCESS)
}

/// `--config PATH`; `None` where only the version was wanted.
fn arguments() -> Result<Option<PathBuf>, String> {
    let mut path = PathBuf::from(config::DEFAULT_PATH);
    let mut rest = std::env::args_os().skip(1);
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("--config") => path = rest.next().ok_or("--config takes a path")?.into(),
            Some("--version") => {
                use std::io::Write;
                let _ = writeln!(std::io::stdout(), "signing-agent-vault {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            _ => return Err(format!("what is {argument:?}? Only --config PATH and --version are taken")),
        }
    }
    Ok(Some(path))
}

/// Returns when the room was told to end and the ledger has what was under way.
fn wait_for_end(mut signals: signal_hook::iterator::Signals, room: &Arc<room::Room>) {
    for signal in signals.forever() {
        if signal == SIGHUP {
            tracing::info!("nothing is reloaded on SIGHUP; restart to read the configuration again");
            continue;
        }
        tracing::info!("ending");
        room.close();
        return;
    }
}
