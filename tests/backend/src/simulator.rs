//! Start and stop: a thread with a runtime of its own, so that it runs beside any test, async or not.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use crate::door::{Door, Entrance};
use crate::state::State;
use crate::{actions, control, feed, register};

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Path of the Partner API, e.g. `/api/v1/p`.
    pub base: String,
    /// `client` or `coreclient`.
    pub resource: String,
    /// Whether a feed that connects is sent the agent's pending actions first.
    pub replay_pending: bool,
    /// Time between pings on a feed.
    pub ping_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            base: "/api/v1/p".into(),
            resource: "client".into(),
            replay_pending: true,
            ping_every: Duration::from_secs(10),
        }
    }
}

/// A running simulator; dropping it stops it and closes every connection.
pub struct Simulator {
    origin: SocketAddr,
    options: Options,
    state: Arc<State>,
    entrance: Mutex<Entrance>,
    /// Always open, so that a test can order what the backend will have when it is back.
    side: Entrance,
}

impl Simulator {
    /// Listens when it returns. Errors: an address that is not loopback or is taken, a path that cannot be a route, no
    /// randomness from the system.
    pub fn start(options: Options) -> io::Result<Self> {
        check(&options)?;
        let state = Arc::new(State::new(options.clone())?);
        let entrance = Entrance::new(options.listen)?;
        let side = Entrance::new(SocketAddr::new(options.listen.ip(), 0))?;
        let simulator = Self { origin: entrance.address(), options, state, entrance: Mutex::new(entrance), side };
        simulator.stand(Door::Open)?;
        let control = Router::new().nest("/control", control::routes()).with_state(Arc::clone(&simulator.state));
        simulator.side.serve(control)?;
        Ok(simulator)
    }

    /// How the backend's port meets those who come, from now on; connections that there were are closed. What the
    /// backend knows stays, and its control API is open. Errors: the system's, on listening.
    pub fn stand(&self, door: Door) -> io::Result<()> {
        let entrance = self.entrance.lock().unwrap_or_else(PoisonError::into_inner);
        match door {
            Door::Open => entrance.serve(routes(&self.options).with_state(Arc::clone(&self.state))),
            door => entrance.stand(door),
        }
    }

    /// Connections that came to a door that was not open.
    pub fn knocks(&self) -> u64 {
        self.entrance.lock().unwrap_or_else(PoisonError::into_inner).knocks()
    }

    /// The Partner API: `http://127.0.0.1:PORT/api/v1/p`.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.origin, self.options.base)
    }

    /// The feed: `ws://127.0.0.1:PORT/api/v1/p/client/feed`.
    pub fn feed_url(&self) -> String {
        format!("ws://{}{}/{}/feed", self.origin, self.options.base, self.options.resource)
    }

    /// The control API, at a port of its own: `http://127.0.0.1:PORT/control`.
    pub fn control(&self) -> String {
        format!("http://{}/control", self.side.address())
    }
}

fn check(options: &Options) -> io::Result<()> {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let wrong = if !options.listen.ip().is_loopback() {
        "listen: this is a test program, give a loopback address such as 127.0.0.1:0"
    } else if !options.base.starts_with('/') || options.base.ends_with('/') || !plain(&options.base) {
        "base: give a path such as /api/v1/p, with a slash before it and none after"
    } else if options.resource.is_empty() || options.resource.contains('/') || !plain(&options.resource) {
        "resource: give one path segment such as client"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
}

fn routes(options: &Options) -> Router<Arc<State>> {
    // Whole paths, not nested ones: what x-sign covers is the URL that the client used.
    let path = |end: &str| format!("{}/{}/{end}", options.base, options.resource);
    Router::new()
        .route(&path("init"), post(register::init))
        .route(&path("finish"), post(register::finish))
        .route(&path("action/{id}"), get(actions::get).put(actions::put).delete(actions::delete))
        .route(&path("feed"), get(feed::connect))
        .nest("/control", control::routes())
}
