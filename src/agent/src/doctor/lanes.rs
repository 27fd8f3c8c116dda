//! The sockets by which the rooms are asked: who connects to one is who it was made for.

use super::Subject;
use super::found::{fault, good};
use ipc::Finding;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

pub fn look(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "lanes";
    if !subject.answered {
        // Then they are made anew, or the fault is elsewhere.
        return Vec::new();
    }
    let dir = dir(subject);
    let mut findings = Vec::new();
    for name in ["api.sock", "courier.sock", "admin.sock"] {
        let path = dir.join(name);
        let shown = path.display();
        match std::fs::metadata(&path) {
            Ok(meta) if meta.file_type().is_socket() && meta.mode() & 0o007 == 0 => {}
            Ok(meta) => findings.push(fault(
                CHECK,
                format!("{shown}: others may ask by it (mode {:04o})", meta.mode() & 0o7777),
                format!("chmod o-rwx {shown}; who could connect to it could ask what its room may"),
            )),
            Err(e) => findings.push(fault(
                CHECK,
                format!("{shown}: {e}"),
                "restart the agent: `systemctl restart signing-agent.target`, or `signing-agent run` again",
            )),
        }
    }
    if findings.is_empty() {
        findings.push(good(CHECK, format!("in {}, each for its room alone", dir.display())));
    }
    findings
}

/// Those of `signing-agent run` where there is one, else of systemd.
fn dir(subject: &Subject) -> PathBuf {
    let own = subject.config.state.lanes_dir();
    if subject.config.state.lane_admin().exists() || subject.path != Path::new(config::DEFAULT_PATH) {
        return own;
    }
    ipc::SYSTEM_LANES.into()
}

/// Whether a `signing-agent run` is at work: it holds the directory's lock.
pub fn are_held(subject: &Subject) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::open(subject.config.state.lanes_dir(), flags, Mode::empty()) else { return false };
    rustix::fs::flock(&dir, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}
