//! What the kernel holds against a process by its own word: limits, no core, no new privileges.

use crate::Error;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, getrlimit, setrlimit};

/// The walls that need no knowledge of the room: no core file, not dumpable, no new privileges, files private by default.
/// Call it first in `main`, before threads and before anything from outside is read.
pub fn enter() -> Result<(), Error> {
    set(Resource::Core, 0).map_err(Error::of("no core file (RLIMIT_CORE)"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Error::of("not dumpable"))?;
    rustix::thread::set_no_new_privs(true).map_err(Error::of("no new privileges"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}

/// The limits of a room: so many open files at the most, or as many as the system lets it have, which it says; a room that is `alone` starts neither process nor thread and writes
/// to no file (but where its log is one).
pub fn limit(files: u64, alone: bool) -> Result<u64, Error> {
    let files = getrlimit(Resource::Nofile).maximum.map_or(files, |most| most.min(files));
    set(Resource::Nofile, files).map_err(Error::of("few open files (RLIMIT_NOFILE)"))?;
    if !alone {
        return Ok(files);
    }
    set(Resource::Nproc, 0).map_err(Error::of("no process of its own (RLIMIT_NPROC)"))?;
    let log = rustix::fs::fstat(std::io::stderr()).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
    if log != Ok(rustix::fs::FileType::RegularFile) {
        set(Resource::Fsize, 0).map_err(Error::of("no file of its own (RLIMIT_FSIZE)"))?;
    }
    Ok(files)
}

/// How much the kernel keeps for the other end of a stream of this listener's that takes nothing, octets: each has as much as its
/// listener.
pub fn send_buffer(listener: &std::net::TcpListener, octets: usize) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(listener, octets)?)
}

fn set(resource: Resource, most: u64) -> rustix::io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Ends this process at once, with all its threads. What libraries have registered for a process's end is not run: it would take
/// away from under the other threads what they work with.
pub fn end(code: u8) -> ! {
    // SAFETY: _exit(2) takes any number, touches no memory and does not return.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code.into())
    }
}

/// Has the kernel end this process when its parent's thread ends. Survives `exec`.
pub fn die_with_parent() -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Error::of("end with the parent"))
}
