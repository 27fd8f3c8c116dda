//! Enters: a configuration and a lane to the vault.
//! Leaves: an exit code that says whether to start the courier anew.
//! Never: a secret of its own; what passes through is the vault's or the backend's.

use config::command_line::{self, Wish};
use jail::{Filter, Ground, Life, Notify};
use signing_agent_courier::{End, Outside, Pace, serve};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Open files at the most: 64 errands, their connections and DNS, the feed, the lane.
const FILES: u64 = 1024;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err((code, words)) => {
            // Where stderr is closed there is nobody left to tell.
            // In one piece, for other rooms may write to the same.
            let _ = std::io::stderr().write_all(format!("signing-agent-courier: {words}\n").as_bytes());
            ExitCode::from(code)
        }
    }
}

fn start() -> Result<ExitCode, (u8, String)> {
    let broken = |e: &dyn std::fmt::Display| (1, e.to_string());
    let misconfigured = |e: &dyn std::fmt::Display| (ipc::EXIT_CONFIG, e.to_string());
    jail::enter().map_err(|e| broken(&e))?;
    let path = match command_line::read(std::env::args_os().skip(1)) {
        Some(Wish::Run(path)) => path,
        Some(Wish::Version) => {
            let _ = writeln!(std::io::stdout(), "signing-agent-courier {}", env!("CARGO_PKG_VERSION"));
            return Ok(ExitCode::SUCCESS);
        }
        None => return Err((2, command_line::usage("courier"))),
    };
    let config = config::guard::load(&path, config::guard::Room::Courier).map_err(|e| misconfigured(&e))?;
    config::logging::init("courier", &config.log);
    let ground = ground(config.jail.landlock_required);
    // An error means that there is a provider already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outside = Outside::new(config).map_err(|e| misconfigured(&e))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(&e))?;
    let notify = Notify::connect().map_err(|e| broken(&e))?;
    jail::limit(FILES, true).map_err(|e| broken(&e))?;
    let vitals = jail::Vitals::open();
    if let Some(missing) = ground.stand().map_err(|e| broken(&e))? {
        tracing::warn!("{missing}");
    }
    let end = runtime.block_on(run(outside, vitals, notify))?;
    Ok(ExitCode::from(end.code()))
}

/// The resolver's files. They are read once, soon after the start.
fn ground(required: bool) -> Ground {
    let files = ["/etc/resolv.conf", "/etc/hosts"].map(PathBuf::from);
    Ground { read: files.into(), connects: true, required, ..Ground::default() }
}

async fn run(outside: Outside, vitals: jail::Vitals, notify: Notify) -> Result<End, (u8, String)> {
    let life = Life::new(notify).map_err(|e| (1, format!("signals cannot be waited for: {e}")))?;
    let path = match std::env::var_os(ipc::LANE_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => Path::new(ipc::SYSTEM_LANES).join("courier.sock"),
    };
    let lane = ipc::Lane::connect(&path).await.map_err(|e| {
        (ipc::EXIT_LANE_LOST, format!("{}: no lane to the vault: {e}; is the vault running?", path.display()))
    })?;
    tokio::spawn(ipc::tell_vitals(lane.clone(), move || {
        let jail::Reading { resident, processor, began } = vitals.read()?;
        Some(ipc::Vitals { resident, processor, began })
    }));
    // The lane is connected, and nothing has been read of it.
    Filter::Courier.install().map_err(|e| (1, e.to_string()))?;
    jail::attempt();
    tracing::info!(backend = outside.backend.url.as_str(), "ready");
    Ok(serve(lane, outside, Pace::default(), life.lives()).await)
}
