//! `signing-agent status`: one screen, trouble first and what to do last; or the same as JSON.

mod json;
mod todo;

use crate::context::Context;
use crate::error::Error;
use crate::layout;
use crate::terminal::{Look, Paint};
use crate::words::{self, plain};
use ipc::{FeedState, Status};
use std::time::Duration;

pub fn status(context: &Context) -> Result<(), Error> {
    let status = context.status()?;
    context.tell(|| screen(&status, Look::of_stdout()), || json::json(&status))?;
    if status.trouble.is_some() { Err(Error::Trouble) } else { Ok(()) }
}

fn screen(status: &Status, look: Look) -> String {
    let mut text = String::new();
    let mut first = |paint, word: &str, words: &str| {
        let said = layout::paragraph(&format!("{word}: {}", plain(words)), 2, look.width);
        text += &said.replacen(word, &look.paint(paint, word), 1);
    };
    status.trouble.iter().for_each(|words| first(Paint::Red, "TROUBLE", words));
    status.alarms.iter().for_each(|words| first(Paint::Red, "ALARM", words));
    status.warnings.iter().for_each(|words| first(Paint::Yellow, "WARNING", words));
    if !text.is_empty() {
        text.push('\n');
    }
    text += &layout::rows(&rows(status), look.width);
    let title = |title: &str| layout::title(title, look);
    if let Some(audit) = &status.audit {
        // In one piece, however wide the terminal is, to be copied.
        text += &title("Key of the audit log's checkpoints (keep it elsewhere)");
        text += &format!("  {}\n", plain(&audit.key));
    }
    if !status.fingerprints.is_empty() {
        text += &title("Fingerprints (SHA-256 of the public keys)");
        text += &layout::rows(&status.fingerprints, look.width);
        let advice = "Compare the agentID and these with the custody console before the agent joins a custody group.";
        text += &layout::paragraph(advice, 0, look.width);
    }
    text += &title("What to do");
    for step in todo::todo(status) {
        text += &layout::paragraph(&format!("- {}", plain(&step)), 2, look.width);
    }
    text
}

fn rows(status: &Status) -> Vec<(String, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    match &status.agent {
        Some(agent) => rows.extend([
            ("agent", agent.name.clone()),
            ("agentID", agent.agent_id.clone()),
            ("registered", words::time(agent.registered_at)),
        ]),
        None => {
            rows.push(("agent", "not registered yet".into()));
            rows.push(("registration", window(status.registration_open)));
        }
    }
    rows.push(("token", status.token.clone()));
    rows.push(("feed", feed(&status.feed)));
    let read = status.policy_loaded.map(|at| format!(", read {}", words::time(at))).unwrap_or_default();
    rows.push(("policy", format!("{}{read}", status.policy)));
    if let Some(shadow) = &status.shadow {
        let counts =
            format!("{} judged, {} of them otherwise, {} left out", shadow.judged, shadow.differing, shadow.skipped);
        rows.extend([("shadow", shadow.policy.clone()), ("shadow's verdicts", counts)]);
        rows.extend(shadow.last.iter().map(|words| ("shadow differs", words.clone())));
    }
    rows.extend(status.callback.iter().map(|words| ("callback", words.clone())));
    rows.push(("actions", counted(&status.actions).unwrap_or_else(|| "none so far".into())));
    if let Some(audit) = &status.audit {
        rows.push(("audit log", format!("{} records, {} of them under a checkpoint", audit.records, audit.covered)));
        rows.push(("token remembers", audit.memory.clone()));
    }
    let doors = status.doors.iter().map(|(door, here)| format!("{door} {}", if *here { "connected" } else { "AWAY" }));
    rows.push(("doors", doors.collect::<Vec<_>>().join(", ")));
    rows.push(("refused callers", counted(&status.refused).unwrap_or_else(|| "none since the start".into())));
    rows.push(("changes", status.changes.clone().unwrap_or_else(|| "by the operator alone".into())));
    rows.extend(status.recipients.iter().map(|recipient| ("sealed to", recipient.clone())));
    rows.push(("version", status.version.clone()));
    rows.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

/// `12 approved, 3 held`; `None` where there is nothing.
fn counted(counts: &[(String, u64)]) -> Option<String> {
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn window(left: Option<u64>) -> String {
    match left {
        Some(left) => format!("taken for {} still", words::span(left)),
        None => "not taken now".into(),
    }
}

fn feed(feed: &FeedState) -> String {
    match feed {
        FeedState::Idle => "not asked for before registration".into(),
        FeedState::Connecting => "connecting".into(),
        FeedState::Open => "open".into(),
        FeedState::Closed { why, retry_ms } => {
            format!("CLOSED: {why}; next try in {:.1} s", Duration::from_millis(*retry_ms).as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::json::tests::working;
    use super::*;
    use crate::terminal::PLAIN;

    #[test]
    fn a_screen_is_as_wide_as_the_terminal_and_nothing_in_it_steers_it() {
        let evil = "\x1b[2J\u{9b}1m\u{202e}\r\n\x07 words ".repeat(12);
        let status = Status {
            trouble: Some(evil.clone()),
            alarms: vec![evil.clone()],
            warnings: vec![evil.clone()],
            feed: FeedState::Closed { why: evil.clone(), retry_ms: 1 },
            refused: vec![(evil, 7)],
            changes: Some("2 of alice, bob".into()),
            ..working()
        };
        for most in [None, Some(40), Some(60), Some(80), Some(100)] {
            let told = screen(&status, Look { width: most, ..PLAIN });
            assert!(!told.contains(['\x1b', '\u{9b}', '\r', '\u{202e}']), "{told:?}");
            for line in told.lines() {
                assert!(layout::width(line) <= most.unwrap_or(usize::MAX), "{most:?}: {line}");
            }
        }
        let coloured = screen(&status, Look { width: Some(80), height: 24, colour: true });
        assert!(coloured.starts_with("\x1b[31mTROUBLE\x1b[0m: "), "{coloured:?}");
    }
}
