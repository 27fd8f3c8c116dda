//! Enters: a fresh process, and the sockets that systemd or `signing-agent run` hands over.
//! Leaves: a process that leaves no core, gains no privilege and can be read by no other of its user.
//! Never: a room that goes on after a wall could not be built.
//!
//! This is the only crate of the rooms with `unsafe`, for taking over file descriptors and for locking memory.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod locked;
mod sockets;

pub use locked::Locked;
pub use sockets::{Sockets, SocketsError};

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// A wall that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("{wall}: {cause}; the room does not start without it")]
pub struct Error {
    wall: &'static str,
    cause: std::io::Error,
}

/// The walls that need no knowledge of the room: no core file, not dumpable, no new privileges, files private by default.
/// Call it first in `main`, before threads and before anything from outside is read.
pub fn enter() -> Result<(), Error> {
    let wall = |wall, result: rustix::io::Result<()>| result.map_err(|e| Error { wall, cause: e.into() });
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    wall("no core file (RLIMIT_CORE)", rustix::process::setrlimit(Resource::Core, none))?;
    wall("not dumpable", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    wall("no new privileges", rustix::thread::set_no_new_privs(true))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}

/// Has the kernel end this process when its parent's thread ends. Survives `exec`.
pub fn die_with_parent() -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| Error { wall: "end with the parent", cause: e.into() })
}

/// Who is at the other end of a Unix socket, (pid, uid), for the log: inside a user namespace it proves nothing.
pub fn peer(stream: &std::os::unix::net::UnixStream) -> Option<(i32, u32)> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    Some((peer.pid.as_raw_nonzero().get(), peer.uid.as_raw()))
}
