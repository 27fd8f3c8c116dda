//! How results are put.

use crate::error::Error;
use ipc::Refusal;
use std::io::{ErrorKind, Write};
use std::time::Duration;

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

/// For scripts.
pub fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let cause = |e: serde_json::Error| Error::System { what: "write JSON", cause: e.into() };
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(cause)
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
        Refusal::NotRegistered => "the agent is not registered yet".into(),
        Refusal::UnknownAction => "the backend knows no such action".into(),
        Refusal::Denied(words) => format!("policy denies it, and nobody may release it: {}", plain(words)),
        Refusal::Window(words) => plain(words),
        Refusal::Access(fault) => fault.words(),
        Refusal::NeedsSigners(words) => plain(words),
        Refusal::NeedsToken => "this takes a token with scope decide: --token-file FILE".into(),
        Refusal::NeedsApprovers(words) => format!(
            "it is released by signed statements (--statement FILE --signature FILE for each): {}",
            plain(words)
        ),
        Refusal::Credential { fault, who } => {
            let whose = who.as_ref().map(|who| format!("{}: ", plain(who))).unwrap_or_default();
            format!("{whose}{} [{}]; nothing of what came with it counts", fault.words(), fault.code())
        }
        Refusal::Contradiction(end) => {
            format!("it came to another end, or is on its way there: {end:?}").to_lowercase()
        }
        Refusal::Timeout => "the backend has not answered in time; the vault goes on by itself: see `status`".into(),
        Refusal::Internal => "something went wrong inside; its log says what".into(),
        other => plain(&format!("{other:?}")),
    }
}

/// `90s`, `30m`, `12h`, `90d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a number and s, m, h or d: 90s, 30m, 12h, 90d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(FORM.into()),
    };
    let number = &text[..text.len() - 1];
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| plain).and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err(FORM.into()),
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
    fn a_time_is_a_number_and_its_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in [
            "",
            "1",
            "h",
            "0s",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
            "1é",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_that_a_door_says_steers_the_terminal() {
        assert_eq!(plain("\x1b[2Jall\nis\u{9b}well "), " [2Jall is well");
        assert!(!refusal(&Refusal::Init("\x1b]0;x\x07".into())).contains(['\x1b', '\x07']));
    }
}
