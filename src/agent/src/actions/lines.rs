//! Actions as lines of a table, and as JSON. All words of theirs come from the doors or the backend.

use super::is_open;
use crate::layout::{cut, padded, width};
use crate::terminal::{Look, Paint};
use crate::words::{plain, span};
use ipc::{ActionLine, ActionState};
use serde_json::{Value, json};

/// Where it is narrower, what an action is about stands under it.
const WIDE: usize = 110;
const STATUS: usize = 9;
const SPAN: usize = 7;

/// The head of the table, and each action's line or two.
pub struct Table {
    pub head: String,
    pub rows: Vec<Vec<String>>,
}

pub fn table(actions: &[ActionLine], look: Look, now: u64) -> Table {
    let ids = actions.iter().map(|line| width(&plain(line.id.as_str()))).max().unwrap_or(0).max(2);
    let columns = Columns::that_fit(look.width, ids);
    let head = columns.fields("STATUS", "AGE", "LEFT", "ID");
    let two = look.width.is_some_and(|most| most < WIDE.max(ids + 60));
    let head = if two { head } else { format!("{head}  WHAT") };
    let row = |line: &ActionLine| {
        let (id, about) = (plain(line.id.as_str()), about(line));
        let age = span(now.saturating_sub(line.seen));
        let mut first = columns.fields(line.state.as_str(), &age, &left(line, now), &id);
        let second = if two && !about.is_empty() { Some(format!("  {about}")) } else { None };
        if !two && !about.is_empty() {
            first = format!("{first}  {about}");
        }
        let first = fitted(first.trim_end(), look);
        // The state stands first, and is cut by no terminal.
        let painted = first.replacen(line.state.as_str(), &look.paint(paint(line.state), line.state.as_str()), 1);
        std::iter::once(painted).chain(second.map(|text| look.paint(Paint::Dim, &fitted(&text, look)))).collect()
    };
    Table { head: look.paint(Paint::Bold, &fitted(head.trim_end(), look)), rows: actions.iter().map(row).collect() }
}

/// Those before what an action is about. The id is what is typed again: in a narrow terminal the others give way.
#[derive(Clone, Copy)]
struct Columns {
    age: bool,
    left: bool,
    ids: usize,
}

impl Columns {
    fn that_fit(most: Option<usize>, ids: usize) -> Columns {
        let room = |spans: usize| most.is_none_or(|most| STATUS + 2 + spans * (SPAN + 2) + ids <= most);
        Columns { age: room(2), left: room(1), ids }
    }

    fn fields(self, status: &str, age: &str, left: &str, id: &str) -> String {
        let mut text = padded(status, STATUS);
        for span in [self.age.then_some(age), self.left.then_some(left)].into_iter().flatten() {
            text += &format!("  {}", padded(span, SPAN));
        }
        format!("{text}  {}", padded(id, self.ids))
    }
}

fn fitted(text: &str, look: Look) -> String {
    look.width.map_or_else(|| text.to_owned(), |most| cut(text, most))
}

/// Until it expires, where that matters still.
fn left(line: &ActionLine, now: u64) -> String {
    match line.expires {
        Some(expires) if is_open(line.state) && expires > now => span(expires - now),
        Some(_) if is_open(line.state) => "over".into(),
        _ => "-".into(),
    }
}

/// What it is about and why it stands as it does, in a line.
pub fn about(line: &ActionLine) -> String {
    let parts = [line.claim.as_deref(), Some(line.facts.as_str()), line.why.as_deref()];
    let parts: Vec<String> = parts.into_iter().flatten().map(plain).filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

pub fn paint(state: ActionState) -> Paint {
    match state {
        ActionState::Held => Paint::Yellow,
        ActionState::Approved => Paint::Green,
        ActionState::Rejected | ActionState::Failed | ActionState::Unknown => Paint::Red,
        ActionState::Expired => Paint::Dim,
        ActionState::Seen | ActionState::Approving | ActionState::Rejecting => Paint::Cyan,
    }
}

/// These names stay: docs/commands.md has them, and the HTTP API has the same.
pub fn as_json(line: &ActionLine) -> Value {
    json!({
        "actionID": line.id,
        "status": line.state.as_str(),
        "type": line.claim,
        "seen": line.seen,
        "expires": line.expires,
        "settled": line.settled,
        "verdict": line.verdict,
        "rule": line.rule,
        "why": line.why,
        "decidedBy": line.decided_by,
        "summary": line.facts,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::terminal::PLAIN;
    use ipc::ActionId;

    pub fn line(id: &str, state: ActionState) -> ActionLine {
        ActionLine {
            id: ActionId::try_from(id.to_owned()).unwrap(),
            state,
            claim: Some("ApproveWithdraw".into()),
            expires: Some(1_000_900),
            seen: 1_000_000,
            settled: None,
            verdict: Some("hold".into()),
            rule: None,
            why: Some("no rule".into()),
            decided_by: None,
            facts: "0.5 ETH to 0xa2Ba".into(),
        }
    }

    pub fn hostile(id: &str) -> ActionLine {
        ActionLine {
            claim: Some("\x1b[2J\u{9b}31mApprove".into()),
            why: Some("a\r\n\x1b]0;title\x07b\u{202e}c".into()),
            facts: "漢字\x08\x08".repeat(60),
            ..line(id, ActionState::Held)
        }
    }

    /// Only newlines and the colours that are ours.
    pub fn is_harmless(text: &str) -> bool {
        let mut text = text.to_owned();
        for ours in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
            text = text.replace(ours, "");
        }
        plain(&text.replace(['\n', ' '], "")) == text.replace(['\n', ' '], "").trim()
    }

    #[test]
    fn a_wide_terminal_has_a_line_for_each_and_a_narrow_one_two() {
        let all = [line("w1", ActionState::Held), line("2IXwq4gyoiUBrIjD3VwhTpnTsxL", ActionState::Approved)];
        let wide = table(&all, PLAIN, 1_000_060);
        assert_eq!(wide.head, "STATUS     AGE      LEFT     ID                           WHAT");
        assert_eq!(
            wide.rows,
            [
                [
                    "held       60 s     14 min   w1                           ApproveWithdraw: 0.5 ETH to 0xa2Ba: no rule"
                ],
                [
                    "approved   60 s     -        2IXwq4gyoiUBrIjD3VwhTpnTsxL  ApproveWithdraw: 0.5 ETH to 0xa2Ba: no rule"
                ],
            ]
        );
        let narrow = table(&all[..1], Look { width: Some(60), ..PLAIN }, 1_000_900);
        assert_eq!(narrow.rows, [["held       15 min   over     w1", "  ApproveWithdraw: 0.5 ETH to 0xa2Ba: no rule"]]);
        let narrower = |most| table(&all[1..], Look { width: Some(most), ..PLAIN }, 1_000_060).head;
        assert_eq!([narrower(50), narrower(40)], ["STATUS     LEFT     ID", "STATUS     ID"], "the id stays whole");
        let coloured = table(&all[..1], Look { colour: true, ..PLAIN }, 1_000_060);
        assert!(coloured.rows[0][0].starts_with("\x1b[33mheld\x1b[0m  "), "{:?}", coloured.rows);
    }

    #[test]
    fn nothing_that_an_action_says_steers_the_terminal_or_makes_a_line_longer_than_it_is_wide() {
        let all = [hostile("w1"), hostile(&"long-id-".repeat(15))];
        for most in [None, Some(10), Some(30), Some(60), Some(100), Some(300)] {
            let Table { head, rows } = table(&all, Look { width: most, ..PLAIN }, 1_000_060);
            for text in rows.iter().flatten().chain([&head]) {
                assert!(is_harmless(text) && !text.contains('\n'), "{text:?}");
                assert!(width(text) <= most.unwrap_or(usize::MAX), "{most:?}: {text:?}");
            }
            let painted = table(&all, Look { width: most, colour: true, ..PLAIN }, 1_000_060);
            assert!(painted.rows.iter().flatten().all(|text| is_harmless(text)));
        }
    }
}
