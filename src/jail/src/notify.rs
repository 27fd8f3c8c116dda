//! Word to systemd (sd_notify(3)), on a socket that is connected before the filter is there, which would forbid a new one.

use crate::Error;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The room's word on how it is. Without a `NOTIFY_SOCKET` nobody is told.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    every: Option<Duration>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`, where there is one.
    pub fn connect() -> Result<Self, Error> {
        let variable = |name| std::env::var(name).ok();
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(Self { socket: None, every: None }) };
        let connect = || -> io::Result<UnixDatagram> {
            let address = match path.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A service manager that does not read must not stop the room.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = connect().map_err(|cause| Error { wall: "word to systemd (NOTIFY_SOCKET)", cause })?;
        // sd_watchdog_enabled(3): the variable may be another process's.
        let mine = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = variable("WATCHDOG_USEC").filter(|_| mine).and_then(|text| text.parse().ok());
        Ok(Self { socket: Some(socket), every: micros.map(|micros: u64| Duration::from_micros(micros / 3)) })
    }

    /// How often [`Notify::alive`] is expected; `None` where no watchdog waits for it.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The room works.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The room ends by its own will.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// For the watchdog.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, what: &str) {
        if let Some(socket) = &self.socket {
            // There is nobody to tell that nobody could be told; a watchdog that misses it acts by itself.
            let _ = socket.send(what.as_bytes());
        }
    }
}
