//! The private directory of the lanes: made, locked against a second user, cleared of what an earlier one left, and tidied up.

use crate::error::Error;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The lanes' directory, while this process has it for itself. What was made in it is removed on drop.
#[derive(Debug)]
pub struct Lanes {
    dir: PathBuf,
    made: Vec<PathBuf>,
    /// The kernel lets go of it when this process ends, however it ends.
    _lock: OwnedFd,
}

impl Lanes {
    /// Makes what is missing of the state directory and the lanes' directory (both 0700), and takes the latter.
    pub fn take(state: &config::State) -> Result<Lanes, Error> {
        let dir = state.lanes_dir();
        private(&state.dir, true)?;
        // Root could work in it, and what it made there the service could not use.
        let owner = std::fs::metadata(&state.dir).map_err(Error::at(&state.dir))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(Error::Foreign { dir: state.dir.clone(), owner });
        }
        private(&dir, false)?;
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(Error::at(&dir))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&dir, flags, Mode::empty()).map_err(|e| Error::at(&dir)(e.into()))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Taken(dir)),
            Err(e) => return Err(Error::at(&dir)(e.into())),
        }
        // A vault that somebody started here by hand holds no lock.
        if UnixStream::connect(state.lane_admin()).is_ok() {
            return Err(Error::Taken(dir));
        }
        // Who waits for the address must not read that of a run that was killed.
        let http = dir.join("http");
        remove(&http).map_err(Error::at(&http))?;
        Ok(Lanes { dir, made: Vec::new(), _lock: lock })
    }

    /// A listening lane at `path`, in the directory, in place of what was left there.
    pub fn listen(&mut self, path: &Path) -> Result<OwnedFd, Error> {
        remove(path).map_err(Error::at(path))?;
        let listener = UnixListener::bind(path).map_err(|cause| match cause.kind() {
            // unix(7): sun_path has 108 octets, the last a NUL.
            ErrorKind::InvalidInput => Error::TooLong(path.to_owned()),
            _ => Error::at(path)(cause),
        })?;
        self.made.push(path.to_owned());
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::at(path))?;
        Ok(listener.into())
    }

    /// Writes the address that HTTP really listens on into the file `http`, at once or not at all.
    pub fn publish(&mut self, http: SocketAddr) -> Result<(), Error> {
        let (new, path) = (self.dir.join("http.new"), self.dir.join("http"));
        self.made.extend([new.clone(), path.clone()]);
        std::fs::write(&new, format!("{http}\n")).map_err(Error::at(&new))?;
        std::fs::rename(&new, &path).map_err(Error::at(&path))
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for path in &self.made {
            if let Err(cause) = remove(path) {
                tracing::warn!("{}: {cause}", path.display());
            }
        }
    }
}

fn private(dir: &Path, parents: bool) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).recursive(parents).create(dir) {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => Err(Error::at(dir)(cause)),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}
