//! Enters: the command line, the configuration, the HTTP socket that was handed over, the lane's path.
//! Leaves: an exit code: 0 stopped, 2 wrong command line, 10 retired, 11 lane lost, 78 wrong configuration, 1 anything else.
//! Never: a listener or a privilege of its own.

use config::command_line::{self, Wish};
use config::{Auth, Config};
use ipc::{EXIT_CONFIG, EXIT_LANE_LOST, EXIT_RETIRED, LANE_VARIABLE, Lane, SYSTEM_LANES};
use jail::{Filter, Ground, Life, Notify};
use signing_agent_api::{End, Settings, serve};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Open files at the most: HTTP connections and feed clients, each with one, and the lane.
const FILES: u64 = 1024;

fn main() -> ExitCode {
    if let Err(error) = jail::enter() {
        return fails(1, &error);
    }
    let path = match command_line::read(std::env::args_os().skip(1)) {
        Some(Wish::Run(path)) => path,
        Some(Wish::Version) => {
            let _ = writeln!(std::io::stdout(), "signing-agent-api {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        None => return fails(2, &command_line::usage("api")),
    };
    let config = match config::load(&path) {
        Ok(config) => config,
        Err(error) => return fails(EXIT_CONFIG, &error),
    };
    config::logging::init("api", &config.log);
    // Before anything else opens a descriptor: what is taken over is what was handed over.
    let listener = match jail::Sockets::take().and_then(|mut sockets| sockets.tcp("http")) {
        Ok(listener) => listener,
        Err(error) => return fails(1, &error),
    };
    let notify = match walls(&config) {
        Ok(notify) => notify,
        Err(error) => return fails(1, &error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fails(1, &error),
    };
    let code = runtime.block_on(run(&config, listener, notify));
    // What the drain left behind is not waited for.
    runtime.shutdown_background();
    code
}

/// The api needs no file any more, and no socket but those that it has and its lane.
fn walls(config: &Config) -> Result<Notify, jail::Error> {
    let notify = Notify::connect()?;
    jail::limit(FILES, true)?;
    let ground = Ground { required: config.jail.landlock_required, ..Ground::default() };
    if let Some(missing) = ground.stand()? {
        tracing::warn!("{missing}");
    }
    Ok(notify)
}

async fn run(config: &Config, listener: std::net::TcpListener, notify: Notify) -> ExitCode {
    // The socket may come from elsewhere than [api] listen.
    match (config.api.auth, listener.local_addr()) {
        (Auth::None, Ok(bound)) if !bound.ip().is_loopback() => {
            let words = format!("the HTTP socket listens on {bound}, and [api] auth = \"none\" is for loopback alone");
            return fails(EXIT_CONFIG, &words);
        }
        _ => {}
    }
    let path = std::env::var_os(LANE_VARIABLE).map_or_else(|| Path::new(SYSTEM_LANES).join("api.sock"), PathBuf::from);
    let lane = match Lane::connect(&path).await {
        Ok(lane) => lane,
        Err(error) => return fails(EXIT_LANE_LOST, &format!("the lane {}: {error}", path.display())),
    };
    match attend(config, listener, lane, notify).await {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Retired) => ExitCode::from(EXIT_RETIRED),
        Ok(End::LaneLost) => ExitCode::from(EXIT_LANE_LOST),
        Err(error) => fails(1, &error),
    }
}

async fn attend(config: &Config, listener: std::net::TcpListener, lane: Lane, notify: Notify) -> std::io::Result<End> {
    let life = Life::new(notify)?;
    let bound = listener.local_addr()?;
    // The lane is connected, and nothing has been read of it, nor of a client.
    Filter::Api.install().map_err(std::io::Error::other)?;
    jail::attempt();
    tracing::info!(%bound, "ready");
    let end = serve(listener, lane, Settings::new(config, bound), life.lives()).await?;
    tracing::info!(?end, "ends");
    Ok(end)
}

/// `eprintln!` would panic where standard error is closed.
fn fails(code: u8, why: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "signing-agent-api: {why}");
    ExitCode::from(code)
}
