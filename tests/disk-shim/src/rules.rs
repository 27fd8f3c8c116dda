//! Which calls fail.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::control::{ENV_CONTROL, ENV_DIR, log_of};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error(i32),
    /// Half of it is written; the next write fails.
    Short,
}

struct Shim {
    control: PathBuf,
    dir: PathBuf,
    /// The rules as they were read last, and how often each was used.
    used: Mutex<(String, Vec<u64>)>,
}

static SHIM: OnceLock<Option<Shim>> = OnceLock::new();

/// What shall become of this call on this file.
pub(crate) fn fault(function: &str, fd: RawFd) -> Option<Fault> {
    let shim = SHIM.get_or_init(Shim::from_environment).as_ref()?;
    let rules = std::fs::read_to_string(&shim.control).ok()?;
    if rules.trim().is_empty() {
        return None;
    }
    let file = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok().filter(|file| file.starts_with(&shim.dir))?;
    let fault = shim.fitting(&rules, function, &file)?;
    // Not under the directory: this write is let through.
    let log = OpenOptions::new().append(true).create(true).open(log_of(&shim.control));
    let _ = log.and_then(|mut log| log.write_all(b"."));
    Some(fault)
}

impl Shim {
    fn from_environment() -> Option<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Some(Self { control: path(ENV_CONTROL)?, dir: path(ENV_DIR)?, used: Mutex::default() })
    }

    fn fitting(&self, rules: &str, function: &str, file: &Path) -> Option<Fault> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.0 != rules {
            *used = (rules.to_owned(), vec![0; rules.lines().count()]);
        }
        for (line, count) in rules.lines().zip(used.1.iter_mut()) {
            let mut words = line.split_whitespace();
            let (Some(wanted), Some(error)) = (words.next(), words.next()) else { continue };
            let (mut times, mut end) = (u64::MAX, "");
            for word in words {
                match word.split_once('=') {
                    Some(("times", number)) => times = number.parse().unwrap_or(0),
                    Some(("end", suffix)) => end = suffix,
                    _ => {}
                }
            }
            if (wanted == "*" || wanted == function) && *count < times && file.to_string_lossy().ends_with(end) {
                *count += 1;
                // A short write is followed by an error, as of a disk that fails half-way.
                return match error {
                    "ENOSPC" => Some(Fault::Error(libc::ENOSPC)),
                    "SHORT" if *count % 2 == 1 && function == "write" => Some(Fault::Short),
                    _ => Some(Fault::Error(libc::EIO)),
                };
            }
        }
        None
    }
}
