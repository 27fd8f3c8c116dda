//! Enters: a fresh process, and the sockets that systemd or `signing-agent run` hands over.
//! Leaves: a process that leaves no core, gains no privilege, can be read by no other of its user, reaches the files that it
//! needs and makes the system calls that it needs.
//! Never: a room that goes on after a wall could not be built.
//!
//! In this order: [`enter`], [`limit`], [`Ground::stand`], [`Filter::install`]; and only then the first byte from outside.
//!
//! This is the only crate of the rooms with `unsafe`: for taking over file descriptors, for locking memory, for ending at
//! once, and for what a debug build attempts against its own walls.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(debug_assertions)]
mod attempts;
#[cfg(feature = "door")]
mod door;
mod filter;
mod ground;
mod limits;
mod locked;
mod notify;
mod seams;
mod sockets;
mod vitals;

#[cfg(feature = "door")]
pub use door::Life;
pub use filter::Filter;
pub use ground::Ground;
pub use limits::{die_with_parent, end, enter, limit, send_buffer};
pub use locked::Locked;
pub use notify::Notify;
pub use seams::attempt;
#[cfg(debug_assertions)]
pub use seams::{ATTEMPT, NO_JAIL};
pub use sockets::{Sockets, SocketsError};
pub use vitals::{Reading, Vitals};

/// A wall that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("{wall}: {cause}; the room does not start without it")]
pub struct Error {
    wall: &'static str,
    cause: std::io::Error,
}

impl Error {
    fn of(wall: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |cause| Self { wall, cause: cause.into() }
    }

    fn words(wall: &'static str, words: impl std::fmt::Display) -> Self {
        Self { wall, cause: std::io::Error::other(words.to_string()) }
    }
}

/// Who is at the other end of a Unix socket, (pid, uid), for the log: inside a user namespace it proves nothing.
pub fn peer(stream: &std::os::unix::net::UnixStream) -> Option<(i32, u32)> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    Some((peer.pid.as_raw_nonzero().get(), peer.uid.as_raw()))
}
