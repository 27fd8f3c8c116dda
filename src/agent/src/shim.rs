//! Between `run` and a room: `LISTEN_PID` must be the room's own pid (sd_listen_fds(3)), which only the room's own process can know
//! before the room's program begins.

use crate::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes the room; comes back only with an error.
pub fn shim(parent: u32, room: &[OsString]) -> Result<(), Error> {
    jail::die_with_parent()?;
    // A parent that died before the line above leaves a room that nothing would ever end.
    if std::os::unix::process::parent_id() != parent {
        return Err(Error::Shim("the process that started this room has gone".into()));
    }
    let [program, arguments @ ..] = room else { return Err(Error::Shim("no room was named".into())) };
    let cause = Command::new(program).args(arguments).env("LISTEN_PID", std::process::id().to_string()).exec();
    Err(Error::At { path: program.into(), cause })
}
