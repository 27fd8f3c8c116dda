//! Where the tests take hold: crash points and a faster clock, by environment variables that only a build with debug
//! assertions knows. In a release build each is nothing, and a test looks that not even the names are there.

use std::time::Duration;

/// Names a file. A process that comes to the crash point that the file names removes it and ends there, as if killed.
#[cfg(debug_assertions)]
pub const CRASH_AT: &str = "SIGNING_AGENT_TEST_CRASH_AT";
/// How many times faster waits go by than they say.
#[cfg(debug_assertions)]
pub const SPEED: &str = "SIGNING_AGENT_TEST_SPEED";
/// Names a file with two numbers of seconds: by so much the wall clock, and the clock since the boot, are ahead of the machine's.
#[cfg(debug_assertions)]
pub const CLOCKS: &str = "SIGNING_AGENT_TEST_CLOCKS";

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

/// The directories of the seams' files: the process reads them, and removes the one that names a crash point.
#[cfg(debug_assertions)]
pub fn places() -> Vec<std::path::PathBuf> {
    let files = [CRASH_AT, CLOCKS].into_iter().filter_map(std::env::var_os).map(std::path::PathBuf::from);
    files.filter_map(|file| file.parent().map(Into::into)).collect()
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn places() -> Vec<std::path::PathBuf> {
    Vec::new()
}

/// By how many seconds the wall clock, and the clock since the boot, are ahead of what the machine says.
#[cfg(debug_assertions)]
pub fn clocks_ahead() -> (i64, i64) {
    let text = std::env::var_os(CLOCKS).and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn clocks_ahead() -> (i64, i64) {
    (0, 0)
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
