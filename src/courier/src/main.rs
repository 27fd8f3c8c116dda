//! Enters: a configuration and a lane to the vault.
//! Leaves: an exit code that says whether to start the courier anew.
//! Never: a secret of its own; what passes through is the vault's or the backend's.

use config::command_line::{self, Wish};
use signing_agent_courier::{End, Outside, Pace, serve};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err((code, words)) => {
            // Where stderr is closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "signing-agent-courier: {words}");
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
    let config = config::load(&path).map_err(|e| misconfigured(&e))?;
    config::logging::init("courier", &config.log);
    // An error means that there is a provider already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outside = Outside::new(config).map_err(|e| misconfigured(&e))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(&e))?;
    let end = runtime.block_on(run(outside))?;
    Ok(ExitCode::from(end.code()))
}

async fn run(outside: Outside) -> Result<End, (u8, String)> {
    let signals = |kind| signal(kind).map_err(|e| (1, format!("signals cannot be waited for: {e}")));
    let (mut terminate, mut interrupt) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let path = match std::env::var_os(ipc::LANE_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => Path::new(ipc::SYSTEM_LANES).join("courier.sock"),
    };
    let lane = ipc::Lane::connect(&path).await.map_err(|e| {
        (ipc::EXIT_LANE_LOST, format!("{}: no lane to the vault: {e}; is the vault running?", path.display()))
    })?;
    tracing::info!(backend = outside.backend.url.as_str(), "ready");
    Ok(serve(lane, outside, Pace::default(), stop).await)
}
