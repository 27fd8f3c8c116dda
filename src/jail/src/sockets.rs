//! Sockets handed over as systemd does (sd_listen_fds(3)): `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`, from descriptor 3 on.
#![allow(unsafe_code)]

use rustix::net::{AddressFamily, SocketType};
use std::collections::HashMap;
use std::net::TcpListener;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

const FIRST: RawFd = 3;
static TAKEN: AtomicBool = AtomicBool::new(false);

#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    #[error(
        "no sockets were handed over (LISTEN_PID is not this process): start this room by systemd or by `signing-agent run`"
    )]
    None,
    #[error("LISTEN_FDS and LISTEN_FDNAMES do not agree, or a descriptor is not open")]
    Garbled,
    #[error("no socket named {0:?} was handed over (LISTEN_FDNAMES)")]
    Missing(&'static str),
    #[error("the socket {0:?} is not a listening stream socket of its family")]
    WrongKind(&'static str),
    #[error("the sockets were taken already")]
    Twice,
    #[error("the socket {0:?}: {1}")]
    Io(&'static str, std::io::Error),
}

/// The sockets of this process, by name; their order means nothing.
#[derive(Debug)]
pub struct Sockets(HashMap<String, OwnedFd>);

impl Sockets {
    /// Takes over what was handed to this process. Works once.
    pub fn take() -> Result<Self, SocketsError> {
        let variable = |name| std::env::var(name).unwrap_or_default();
        if variable("LISTEN_PID").parse() != Ok(std::process::id()) {
            return Err(SocketsError::None);
        }
        let names: Vec<String> = variable("LISTEN_FDNAMES").split(':').map(str::to_owned).collect();
        let count = variable("LISTEN_FDS").parse::<RawFd>().map_err(|_| SocketsError::Garbled)?;
        if usize::try_from(count) != Ok(names.len()) {
            return Err(SocketsError::Garbled);
        }
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(SocketsError::Twice);
        }
        let mut sockets = HashMap::new();
        for (fd, name) in (FIRST..).zip(names) {
            if !std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists() {
                return Err(SocketsError::Garbled);
            }
            // SAFETY: LISTEN_PID says that this descriptor was left open for this process to own; it is open, and TAKEN
            // makes sure that nobody becomes its owner twice.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC).map_err(|_| SocketsError::Garbled)?;
            sockets.insert(name, owned);
        }
        Ok(Self(sockets))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn unix(&mut self, name: &'static str) -> Result<UnixListener, SocketsError> {
        self.listener(name, &[AddressFamily::UNIX]).map(UnixListener::from)
    }

    pub fn tcp(&mut self, name: &'static str) -> Result<TcpListener, SocketsError> {
        self.listener(name, &[AddressFamily::INET, AddressFamily::INET6]).map(TcpListener::from)
    }

    fn listener(&mut self, name: &'static str, families: &[AddressFamily]) -> Result<OwnedFd, SocketsError> {
        let fd = self.0.remove(name).ok_or(SocketsError::Missing(name))?;
        let listens = |fd: &OwnedFd| -> rustix::io::Result<bool> {
            use rustix::net::sockopt;
            let fd = fd.as_fd();
            Ok(sockopt::socket_type(fd)? == SocketType::STREAM
                && sockopt::socket_acceptconn(fd)?
                && families.contains(&sockopt::socket_domain(fd)?))
        };
        match listens(&fd) {
            Ok(true) => Ok(fd),
            Ok(false) => Err(SocketsError::WrongKind(name)),
            Err(e) => Err(SocketsError::Io(name, e.into())),
        }
    }
}
