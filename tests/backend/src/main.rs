//! Enters: a loopback address to listen on.
//! Leaves: one line of JSON on standard output that says where everything is, once it listens.
//! Never: running on after SIGTERM, or, if asked, after its standard input has closed.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use custody_simulator::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// The custody backend as a program, for tests, demo and benches. Everything that an agent sends is verified.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; only loopback is allowed, port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Path of the Partner API.
    #[arg(long, default_value = "/api/v1/p")]
    base: String,
    /// Name of the agents' resource under the base: `client` or `coreclient`.
    #[arg(long, default_value = "client")]
    resource: String,
    /// Do not send pending actions to a feed that connects.
    #[arg(long)]
    no_replay: bool,
    /// Seconds between pings on a feed.
    #[arg(long, default_value_t = 10)]
    ping_seconds: u64,
    /// End when standard input closes, so that a killed test leaves nothing behind.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        base: arguments.base,
        resource: arguments.resource,
        replay_pending: !arguments.no_replay,
        ping_every: Duration::from_secs(arguments.ping_seconds.max(1)),
    })?;
    let places =
        serde_json::json!({"url": simulator.url(), "feed": simulator.feed_url(), "control": simulator.control()});
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(until_told(&places, arguments.until_stdin_closes))?;
    Ok(())
}

/// Says where everything is, and waits. The signals are caught before anybody can know whom to send them.
async fn until_told(places: &serde_json::Value, stdin_too: bool) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut output = std::io::stdout();
    writeln!(output, "{places}")?;
    output.flush()?;
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    if stdin_too {
        // A thread of its own, for it cannot be woken; the process ends over it.
        std::thread::spawn(move || drain_stdin(closed));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = is_closed, if stdin_too => {}
    }
    Ok(())
}

fn drain_stdin(closed: tokio::sync::oneshot::Sender<()>) {
    let mut input = std::io::stdin().lock();
    let mut scrap = [0; 256];
    while matches!(input.read(&mut scrap), Ok(1..)) {}
    let _ = closed.send(());
}
