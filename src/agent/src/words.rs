//! How results are put.

use crate::error::Error;
use crate::layout;
use crate::terminal::Look;
use ipc::{KeyFault, Refusal};
use std::io::{ErrorKind, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes a result to stdout. A reader that has gone (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(Error::System { what: "write to stdout", cause }),
        _ => Ok(()),
    }
}

/// Text for a terminal: some of it comes from the doors or from the backend, and must not steer the terminal, nor be read in
/// another order than it is written.
pub fn plain(text: &str) -> String {
    text.trim().chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Control characters, and what turns the direction of writing or is not seen.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

/// For programs.
pub fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let cause = |e: serde_json::Error| Error::System { what: "write JSON", cause: e.into() };
    serde_json::to_string_pretty(value).map(|text| escaped(&text) + "\n").map_err(cause)
}

/// JSON whose strings do not steer a terminal either. (Only in strings can these characters stand.)
pub fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' => text.push('\n'),
            c if steers(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
            c => text.push(c),
        }
    }
    text
}

/// `name  value` lines, indented, the values under each other; as wide as the terminal.
pub fn table(rows: &[(String, String)]) -> String {
    layout::rows(rows, Look::of_stdout().width)
}

/// What a refusal means to an operator.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotReady(words) | Refusal::Init(words) => plain(words),
        Refusal::Busy => "it is busy; try again in a moment".into(),
        Refusal::AlreadyRegistered => "the agent is registered already: see `signing-agent status`".into(),
        Refusal::NotRegistered => "the agent is not registered yet".into(),
        Refusal::RegistrationBusy => "a registration is under way; see `signing-agent status` in a moment".into(),
        Refusal::PrivateKey(KeyFault::NotBase64 | KeyFault::NotPem) => {
            "the private key is no PEM, nor base64 of one".into()
        }
        Refusal::PrivateKey(KeyFault::NotRsa) => "the private key is no RSA key of 2048 to 8192 bits".into(),
        Refusal::UnknownAction => "the backend knows no such action".into(),
        Refusal::NoMessages => "the backend has no messages of this action: there is nothing to sign".into(),
        Refusal::Denied(words) => format!("policy denies it, and nobody may release it: {}", plain(words)),
        Refusal::Window(words) | Refusal::NoSecondOpinion(words) => plain(words),
        Refusal::Access(fault) => fault.words(),
        Refusal::NeedsSigners(words) | Refusal::Unexplained(words) => plain(words),
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
        Refusal::Backend { status, words } => format!("the backend answered {status}: {}", plain(words)),
        Refusal::Unreachable(words) => format!("the backend is not reached: {}", plain(words)),
        Refusal::Malformed(words) => format!("the backend's answer is not what the protocol says: {}", plain(words)),
        Refusal::Timeout => "the backend has not answered in time; the vault goes on by itself: see `status`".into(),
        Refusal::Internal => "something went wrong inside; its log says what".into(),
    }
}

/// What programs know a refusal by: these names stay.
pub fn name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotReady(_) => "not-ready",
        Refusal::AlreadyRegistered => "already-registered",
        Refusal::NotRegistered => "not-registered",
        Refusal::RegistrationBusy => "registration-busy",
        Refusal::PrivateKey(_) => "private-key",
        Refusal::UnknownAction => "unknown-action",
        Refusal::NoMessages => "no-messages",
        Refusal::Denied(_) => "denied",
        Refusal::Window(_) => "window",
        Refusal::NoSecondOpinion(_) => "no-second-opinion",
        Refusal::Access(fault) => fault.code(),
        Refusal::NeedsSigners(_) => "needs-signers",
        Refusal::NeedsToken => "needs-token",
        Refusal::NeedsApprovers(_) => "needs-approvers",
        Refusal::Credential { fault, .. } => fault.code(),
        Refusal::Contradiction(_) => "contradiction",
        Refusal::Backend { .. } => "backend",
        Refusal::Unreachable(_) => "unreachable",
        Refusal::Timeout => "timeout",
        Refusal::Malformed(_) => "malformed",
        Refusal::Busy => "busy",
        Refusal::Unexplained(_) => "unexplained",
        Refusal::Init(_) => "refused",
        Refusal::Internal => "internal",
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

/// Unix seconds now.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds in the largest unit that says them well: `45 s`, `12 min`, `5 h`, `3 d`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
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
    fn json_is_the_same_text_and_steers_no_terminal() {
        let said = "a\x1b[2J\u{9b}31m\u{202e}\u{e0041}\"\n漢";
        let text = json(&serde_json::json!({ "why": said })).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !steers(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["why"], said);
    }

    #[test]
    fn nothing_that_a_door_says_steers_the_terminal() {
        assert_eq!(plain("\x1b[2Jall\nis\u{9b}well "), " [2Jall is well");
        assert_eq!(plain("a\u{202e}b\u{200b}c\u{feff}"), "a b c ");
        assert!(!refusal(&Refusal::Init("\x1b]0;x\x07".into())).contains(['\x1b', '\x07']));
    }
}
