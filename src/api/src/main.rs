//! Enters: the command line, the configuration, the HTTP socket that was handed over, the lane's path.
//! Leaves: an exit code: 0 stopped, 2 wrong command line, 10 retired, 11 lane lost, 78 wrong configuration, 1 anything else.
//! Never: a listener or a privilege of its own.

use config::command_line::{self, Wish};
use config::{Auth, Config};
use ipc::{EXIT_CONFIG, EXIT_LANE_LOST, EXIT_RETIRED, LANE_VARIABLE, Lane, SYSTEM_LANES};
use jail::{Filter, Ground, Life, Notify};
use signing_agent_api::{End, Limits, Settings, Tls, serve};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What the kernel keeps for a client that takes nothing, octets; it takes twice as much for itself (socket(7)).
const SOCKET_BUFFER: usize = 32 << 10;

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
    // The TLS files' too: behind the walls nobody tells the working directory.
    let path = match std::path::absolute(path) {
        Ok(path) => path,
        Err(error) => return fails(1, &error),
    };
    let config = match config::guard::load(&path, config::guard::Room::Api) {
        Ok(config) => config,
        Err(error) => return fails(EXIT_CONFIG, &error),
    };
    config::logging::init("api", &config.log);
    // Before anything else opens a descriptor: what is taken over is what was handed over.
    let listener = match jail::Sockets::take().and_then(|mut sockets| sockets.tcp("http")) {
        Ok(listener) => listener,
        Err(error) => return fails(1, &error),
    };
    let vitals = jail::Vitals::open();
    let (notify, limits) = match walls(&config) {
        Ok(walls) => walls,
        Err(error) => return fails(1, &error),
    };
    // Where Landlock stands already: what can be read now can be read again.
    let api = &config.api;
    let tls = match api.tls.as_ref().map(|files| Tls::open(files, api.auth, &api.clients)).transpose() {
        Ok(tls) => tls.map(Arc::new),
        Err(error) => return fails(EXIT_CONFIG, &error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fails(1, &error),
    };
    let code = runtime.block_on(run(&config, listener, (vitals, notify), limits, tls));
    // What the drain left behind is not waited for.
    runtime.shutdown_background();
    code
}

/// The api needs no file any more but those of its TLS, and no socket but those that it has and its lane.
fn walls(config: &Config) -> Result<(Notify, Limits), jail::Error> {
    let notify = Notify::connect()?;
    let limits = Limits::within(jail::limit(Limits::FILES, true)?);
    let read = config.api.tls.as_ref().map(Tls::directories).unwrap_or_default();
    let ground = Ground { read, required: config.jail.landlock_required, ..Ground::default() };
    if let Some(missing) = ground.stand()? {
        tracing::warn!("{missing}");
    }
    Ok((notify, limits))
}

async fn run(
    config: &Config,
    listener: std::net::TcpListener,
    (vitals, notify): (jail::Vitals, Notify),
    limits: Limits,
    tls: Option<Arc<Tls>>,
) -> ExitCode {
    // The socket may come from elsewhere than [api] listen.
    match listener.local_addr() {
        Ok(bound) if !bound.ip().is_loopback() && (config.api.auth == Auth::None || tls.is_none()) => {
            let words = format!(
                "the HTTP socket listens on {bound}: that is for loopback alone while [api] auth = \"none\", or without \
                 tls_cert_file and tls_key_file"
            );
            return fails(EXIT_CONFIG, &words);
        }
        _ => {}
    }
    let path = std::env::var_os(LANE_VARIABLE).map_or_else(|| Path::new(SYSTEM_LANES).join("api.sock"), PathBuf::from);
    let lane = match Lane::connect(&path).await {
        Ok(lane) => lane,
        Err(error) => return fails(EXIT_LANE_LOST, &format!("the lane {}: {error}", path.display())),
    };
    let attended = match listener.local_addr() {
        Ok(bound) => attend(listener, lane, Settings::new(config, bound, limits, tls), (vitals, notify), bound).await,
        Err(error) => Err(error),
    };
    match attended {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Retired) => ExitCode::from(EXIT_RETIRED),
        Ok(End::LaneLost) => ExitCode::from(EXIT_LANE_LOST),
        Err(error) => fails(1, &error),
    }
}

async fn attend(
    listener: std::net::TcpListener,
    lane: Lane,
    settings: Settings,
    (vitals, notify): (jail::Vitals, Notify),
    bound: SocketAddr,
) -> std::io::Result<End> {
    let life = Life::new(notify)?;
    // Those who are accepted inherit it.
    jail::send_buffer(&listener, SOCKET_BUFFER)?;
    tokio::spawn(ipc::tell_vitals(lane.clone(), move || {
        let jail::Reading { resident, processor, began } = vitals.read()?;
        Some(ipc::Vitals { resident, processor, began })
    }));
    // The lane is connected, and nothing has been read of it, nor of a client.
    let filter = if settings.tls.is_some() { Filter::ApiTls } else { Filter::Api };
    filter.install().map_err(std::io::Error::other)?;
    jail::attempt();
    let tls = settings.tls.clone();
    tracing::info!(%bound, tls = tls.is_some(), "ready");
    let lives = life.lives_with(move || match &tls {
        Some(tls) => tls.ask_to_reload(),
        None => tracing::info!("nothing is reloaded on SIGHUP; restart to read the configuration again"),
    });
    let end = serve(listener, lane, settings, lives).await?;
    tracing::info!(?end, "ends");
    Ok(end)
}

/// `eprintln!` would panic where standard error is closed.
fn fails(code: u8, why: &dyn std::fmt::Display) -> ExitCode {
    // In one piece, for other rooms may write to the same.
    let _ = std::io::stderr().write_all(format!("signing-agent-api: {why}\n").as_bytes());
    ExitCode::from(code)
}
