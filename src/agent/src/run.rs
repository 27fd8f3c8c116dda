//! `signing-agent run`: one parent of all rooms, for a laptop, a container and the tests. In production systemd does this.

use crate::error::Error;
use crate::handover::{Kind, Recipe};
use crate::lanes::Lanes;
use crate::room::{Event, Room};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// What a room has to finish what it is doing.
const PATIENCE: Duration = Duration::from_secs(12);

/// Runs the rooms until SIGTERM or SIGINT, or until one of them refuses the configuration.
pub fn run(config_path: &Path) -> Result<(), Error> {
    jail::enter()?;
    // Absolute, and so the lanes' paths are: a room may have another working directory.
    let path = std::path::absolute(config_path).map_err(Error::system("make the configuration's path absolute"))?;
    let config = config::load(&path)?;
    config::logging::init("run", &config.log);
    let state = &config.state;
    let vault = Recipe::find(Kind::Vault, &path, None)?;
    let api = Recipe::find(Kind::Api, &path, Some(state.lane_api()))?;
    let courier = Recipe::find(Kind::Courier, &path, Some(state.lane_courier()))?;

    let mut lanes = Lanes::take(state)?;
    // Before the first room, so that no signal can end this process without ending them in order.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Error::system("handle signals"))?;
    let listen_error = |cause| Error::Listen { address: config.api.listen, cause };
    let http = TcpListener::bind(config.api.listen).map_err(listen_error)?;
    let address = http.local_addr().map_err(listen_error)?;
    let vault_sockets = vec![
        ("lane-api", lanes.listen(&state.lane_api())?),
        ("lane-courier", lanes.listen(&state.lane_courier())?),
        ("lane-admin", lanes.listen(&state.lane_admin())?),
    ];
    lanes.publish(address)?;
    tracing::info!("listening on {}://{address}", if config.api.tls.is_some() { "https" } else { "http" });

    // In the order in which they end: the door inward first, so that nothing new comes in; the vault last.
    let rooms = [
        Arc::new(Room::new(api, vec![("http", http.into())])),
        Arc::new(Room::new(courier, Vec::new())),
        Arc::new(Room::new(vault, vault_sockets)),
    ];
    let (tell, told) = channel();
    let result = start(&rooms, signals, tell).and_then(|()| until_the_end(&told));
    rooms.iter().for_each(|room| room.stop(PATIENCE));
    if rooms.iter().any(|room| room.was_killed()) {
        return result.and(Err(Error::Hurried));
    }
    tracing::info!("all rooms have ended");
    result
}

fn start(rooms: &[Arc<Room>; 3], signals: Signals, tell: Sender<Event>) -> Result<(), Error> {
    // The vault first: the doors wait for it.
    for room in rooms.iter().rev() {
        let (room, tell) = (room.clone(), tell.clone());
        // Not joined: `Room::stop` waits for the room, and the kernel ends the room with this thread.
        let keep = thread::Builder::new().name(room.name().into()).spawn(move || room.keep(&tell));
        keep.map_err(Error::system("start a thread"))?;
    }
    let rooms = rooms.clone();
    let listen = thread::Builder::new().name("signals".into()).spawn(move || watch(signals, &rooms, &tell));
    listen.map(drop).map_err(Error::system("start a thread"))
}

/// Passes signals on; the second that asks for the end does not wait for anybody.
fn watch(mut signals: Signals, rooms: &[Arc<Room>; 3], tell: &Sender<Event>) {
    let mut asked = false;
    for signal in signals.forever() {
        if signal == SIGHUP {
            tracing::info!(
                "SIGHUP: the vault reads its policy again and the api its certificates; a changed configuration is read at the next \
                 start"
            );
            rooms.iter().filter(|room| room.name() != "courier").for_each(|room| room.hang_up());
            continue;
        }
        if asked {
            tracing::warn!("asked to end again: the rooms are killed");
            rooms.iter().for_each(|room| room.kill());
        } else {
            asked = true;
            // The receiver lives as long as `run`.
            let _ = tell.send(Event::Signal(signal));
        }
    }
}

fn until_the_end(told: &Receiver<Event>) -> Result<(), Error> {
    match told.recv() {
        Ok(Event::Config) => Err(Error::RoomConfig),
        Ok(Event::Signal(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            tracing::info!("{name}: the rooms end");
            Ok(())
        }
        // The signals' thread holds the other end for ever.
        Err(_) => Ok(()),
    }
}
