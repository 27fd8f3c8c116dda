//! `signing-agent actions show ID`.

use super::lines::{self, paint};
use crate::ask;
use crate::context::{Context, PATIENCE};
use crate::error::Error;
use crate::layout;
use crate::people;
use crate::terminal::Look;
use crate::words::{self, plain};
use ipc::{ActionState, ActionStory, Answer, Ask, Moment};
use serde_json::{Value, json};

/// Messages on a screen.
const MOST_TOLD: usize = 64;

pub fn show(context: &Context, id: &str) -> Result<(), Error> {
    match context.ask(&Ask::ActionStory(people::action(id)?), PATIENCE)? {
        Answer::ActionStory(Some(story)) => context.tell(|| text(&story, Look::of_stdout()), || as_json(&story)),
        Answer::ActionStory(None) => Err(Error::NoAction(id.into())),
        _ => Err(ask::beside_the_point()),
    }
}

fn text(story: &ActionStory, look: Look) -> String {
    let line = &story.line;
    let id = plain(line.id.as_str());
    let mut text = format!("{id}: {}\n\n", look.paint(paint(line.state), line.state.as_str()));
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    row("the feed calls it", line.claim.clone());
    row("first seen", Some(words::time(line.seen)));
    row("expires", line.expires.map(words::time));
    row("settled", line.settled.map(words::time));
    row("verdict", line.verdict.clone());
    row("rule", line.rule.clone());
    row("why", line.why.clone());
    row("may be released by", story.release.clone());
    row("approved so far by", Some(story.approvals.join(", ")).filter(|who| !who.is_empty()));
    row("decided by", line.decided_by.clone());
    row("policy SHA-256", story.policy.clone());
    let rows: Vec<(String, String)> = rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    text += &layout::rows(&rows, look.width);
    let title = |title: &str| layout::title(title, look);
    if story.digests.is_empty() {
        text += &title("Messages");
        text += "  They were not fetched yet, or there are none.\n";
    }
    for (n, digest) in story.digests.iter().enumerate().take(MOST_TOLD) {
        text += &title(&format!("Message {} of {}", n + 1, story.digests.len()));
        let says = story.facts.get(n).cloned().unwrap_or_default();
        text += &layout::rows(&[("says".into(), says), ("SHA-256".into(), digest.clone())], look.width);
    }
    if let Some(more @ 1..) = story.digests.len().checked_sub(MOST_TOLD) {
        text.push('\n');
        text += &layout::paragraph(&format!("{more} messages more: --json has their digests."), 0, look.width);
    }
    let moments: Vec<(String, String)> = story.timeline.iter().map(moment_of).collect();
    for (name, rows) in [("What happened", moments), ("What to do", todo(story, &id))] {
        if !rows.is_empty() {
            text += &title(name);
            text += &layout::rows(&rows, look.width);
        }
    }
    text
}

fn moment_of(moment: &Moment) -> (String, String) {
    let Moment { record, at, what, words } = moment;
    (words::time(*at), format!("{what}: {words} [record {record}]"))
}

/// What an operator can type about it.
fn todo(story: &ActionStory, id: &str) -> Vec<(String, String)> {
    let command = |what: &str, command: &str| (what.to_owned(), format!("signing-agent {command} {id}"));
    match story.line.state {
        ActionState::Held => vec![
            command("release it", "actions approve"),
            command("let people sign", "statement"),
            command("reject it", "actions reject"),
            command("see each rule", "policy explain"),
        ],
        ActionState::Failed | ActionState::Unknown => {
            vec![("ask the backend".to_owned(), "what became of it the custody console knows".to_owned())]
        }
        _ => Vec::new(),
    }
}

fn as_json(story: &ActionStory) -> Value {
    let moment = |m: &Moment| json!({ "record": m.record, "at": m.at, "what": m.what, "words": m.words });
    let mut all = lines::as_json(&story.line);
    let more = json!({
        "policy": story.policy,
        "release": story.release,
        "approvals": story.approvals,
        "digests": story.digests,
        "facts": story.facts,
        "timeline": story.timeline.iter().map(moment).collect::<Vec<_>>(),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::{hostile, is_harmless, line};
    use super::*;
    use crate::layout::width;
    use crate::terminal::PLAIN;

    fn story() -> ActionStory {
        ActionStory {
            line: line("w1", ActionState::Held),
            policy: Some("ab12".repeat(16)),
            release: Some("2 of alice, bob".into()),
            approvals: vec!["alice".into()],
            digests: vec!["cd34".repeat(16)],
            facts: vec!["withdrawal of 0.5 ETH".into()],
            timeline: vec![Moment { record: 7, at: 0, what: "judged".into(), words: "hold: no rule".into() }],
        }
    }

    #[test]
    fn a_story_says_all_that_is_known_and_what_to_do() {
        let told = text(&story(), PLAIN);
        for words in [
            "w1: held\n",
            "2 of alice, bob",
            "approved so far by  alice",
            "Message 1 of 1\n  says     withdrawal of 0.5 ETH\n  SHA-256  cd34",
            "  1970-01-01 00:00:00 UTC  judged: hold: no rule [record 7]\n",
            "signing-agent actions approve w1",
        ] {
            assert!(told.contains(words), "{words} in {told}");
        }
        let json = as_json(&story());
        assert_eq!((&json["status"], &json["timeline"][0]["record"]), (&json!("held"), &json!(7)));
        assert_eq!((&json["facts"][0], &json["actionID"]), (&json!("withdrawal of 0.5 ETH"), &json!("w1")));
    }

    #[test]
    fn of_very_many_messages_the_first_are_told_and_how_many_there_are() {
        let story = ActionStory { digests: vec!["cd34".into(); MOST_TOLD + 3], ..story() };
        let told = text(&story, PLAIN);
        assert!(told.contains("Message 64 of 67") && !told.contains("Message 65"), "{told}");
        assert!(told.contains("\n3 messages more"), "{told}");
        assert_eq!(as_json(&story)["digests"].as_array().unwrap().len(), MOST_TOLD + 3);
    }

    #[test]
    fn no_story_steers_the_terminal_or_is_wider_than_it() {
        let evil = "\x1b[2J\u{9b}1m\u{202e}\r\n\x07 漢字 ";
        let bad = |text: &str| format!("{evil}{text}{evil}");
        let story = ActionStory {
            line: hostile("w1"),
            policy: Some(bad("p")),
            release: Some(bad("r").repeat(9)),
            approvals: vec![bad("a"); 3],
            digests: vec![bad("d")],
            facts: vec![bad("f").repeat(30)],
            timeline: vec![Moment { record: 1, at: u64::MAX, what: bad("w"), words: bad("x").repeat(20) }],
        };
        for most in [None, Some(30), Some(60), Some(100)] {
            let told = text(&story, Look { width: most, ..PLAIN });
            assert!(is_harmless(&told), "{told:?}");
            for line in told.lines() {
                assert!(width(line) <= most.unwrap_or(usize::MAX), "{most:?}: {line}");
            }
        }
    }
}
