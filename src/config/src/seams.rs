//! Where the tests take hold: crash points and a faster clock, by environment variables that only a build with debug
//! assertions knows. In a release build each is nothing, and a test looks that not even the names are there.

use std::time::Duration;

/// Names a file. A process that comes to the crash point that the file names removes it and ends there, as if killed.
#[cfg(debug_assertions)]
pub const CRASH_AT: &str = "SIGNING_AGENT_TEST_CRASH_AT";
/// How many times faster waits go by than they say.
#[cfg(debug_assertions)]
pub const SPEED: &str = "SIGNING_AGENT_TEST_SPEED";

#[cfg(debug_assertions)]
pub fn crash_point(name: &str) {
    let Some(file) = std::env::var_os(CRASH_AT) else { return };
    if std::fs::read_to_string(&file).is_ok_and(|wanted| wanted.trim() == name) && std::fs::remove_file(&file).is_ok() {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn crash_point(_name: &str) {}

/// The directory of the file that names a crash point: the process removes it.
#[cfg(debug_assertions)]
pub fn places() -> Vec<std::path::PathBuf> {
    let file = std::env::var_os(CRASH_AT).map(std::path::PathBuf::from);
    file.as_deref().and_then(std::path::Path::parent).map(Into::into).into_iter().collect()
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn places() -> Vec<std::path::PathBuf> {
    Vec::new()
}

/// A wait as it is to be waited.
#[cfg(debug_assertions)]
pub fn pace(wait: Duration) -> Duration {
    let speed = std::env::var(SPEED).ok().and_then(|speed| speed.parse::<u32>().ok());
    wait / speed.unwrap_or(1).max(1)
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn pace(wait: Duration) -> Duration {
    wait
}
