//! How results are put.

use crate::error::Error;
use ipc::Refusal;
use std::io::{ErrorKind, Write};

/// Writes a result to stdout. A reader that has gone (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(Error::System { what: "write to stdout", cause }),
        _ => Ok(()),
    }
}

/// Text for a terminal: some of it comes from the doors or from the backend, and must not steer the terminal.
pub fn plain(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `name  value` lines, indented, the values under each other.
pub fn table(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("  {:width$}  {}\n", plain(name), plain(value))).collect()
}

/// What a refusal means to an operator.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotReady(words) | Refusal::Init(words) => plain(words),
        Refusal::Busy => "it is busy; try again in a moment".into(),
        Refusal::Internal => "something went wrong inside; its log says what".into(),
        other => plain(&format!("{other:?}")),
    }
}

/// Unix seconds as `2026-01-31 23:59:59 UTC`.
pub fn time(unix: u64) -> String {
    let written = unix.checked_mul(1000).and_then(::audit::time::format);
    match written.as_deref().and_then(|text| text.get(..19)) {
        Some(text) => text.replace('T', " ") + " UTC",
        None => format!("{unix} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_calendars() {
        for (unix, written) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_767_225_599, "2025-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(unix), written);
        }
    }

    #[test]
    fn nothing_that_a_door_says_steers_the_terminal() {
        assert_eq!(plain("\x1b[2Jall\nis\u{9b}well "), " [2Jall is well");
        assert!(!refusal(&Refusal::Init("\x1b]0;x\x07".into())).contains(['\x1b', '\x07']));
    }
}
