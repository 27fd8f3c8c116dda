use super::*;
use crate::clock;
use crate::ledger::actions::approve;
use crate::ledger::{Brought, Fate, Source, Word, hear, judge, schema};
use crate::pipeline::Seen;
use ipc::Verb;
use policy::Policy;
use rusqlite::Connection;
use std::collections::BTreeMap;

const APPROVE: &str = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
const DENY: &str = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\n";
const HOLD: &str = "[[rule]]\nname = \"people\"\nverdict = \"hold\"\n";
const MESSAGE: &[u8] = b"\xffmove it";

struct Book {
    _dir: tempfile::TempDir,
    connection: Connection,
}

impl Book {
    fn under(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        let mut book = Self { _dir: dir, connection };
        book.comes_into_force(policy);
        book
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
        let transaction = self.connection.transaction().unwrap();
        let value = work(&transaction).unwrap();
        transaction.commit().unwrap();
        value
    }

    fn comes_into_force(&mut self, text: &str) {
        let in_force = InForce::of(&Policy::parse(text).unwrap());
        self.write(|t| in_force.write(t, "test", "policy.toml"));
    }

    fn judge(&mut self, judged: Judged) -> Fate {
        self.write(|t| judge(t, judged, 1))
    }

    /// What becomes of it by the word of a client who brings nothing.
    fn hear(&mut self, judged: Judged, verb: Verb) -> Option<Fate> {
        let brought = Brought { ticket: 1, source: Source::anybody(), bearer: None, statements: Ok(Vec::new()) };
        self.write(|t| hear(t, judged, true, verb, vec![brought], &BTreeMap::new(), 1)).fate
    }

    fn row(&mut self) -> Row {
        self.write(|t| Row::read(t, &seen().id)).unwrap()
    }

    fn held_by_another(&mut self, after: &str) -> Vec<String> {
        let ids = self.write(|t| Row::held_by_another_policy(t, clock::now(), after, 10));
        ids.into_iter().map(String::from).collect()
    }

    /// The kinds of the audit log's records, and what decisions say.
    fn records(&mut self) -> Vec<String> {
        let (lines, _) = self.write(|t| audit::page(t, 0));
        let told = |line: &String| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", record["kind"].as_str().unwrap(), record["verdict"].as_str().unwrap_or_default())
        };
        lines.iter().map(told).collect()
    }
}

fn seen() -> Seen {
    Seen { id: ActionId::try_from("w1".to_owned()).unwrap(), claim: None, expires: Some(clock::now() + 1000) }
}

fn judged(policy: &str, seen: Seen) -> Judged {
    let judged = Judged::new(&Policy::parse(policy).unwrap(), seen, vec![MESSAGE.to_vec()], Some(clock::now()));
    judged.seconded(crate::callback::Seconded::for_a_test(), None)
}

#[test]
fn what_was_judged_under_a_policy_that_was_replaced_since_is_decided_by_nobody() {
    let seen = seen();
    for stale in [APPROVE, DENY, HOLD] {
        let mut book = Book::under(stale);
        let early = judged(stale, seen.clone());
        book.comes_into_force("# another\n");
        let fate = book.judge(early);
        assert!(matches!(&fate, Fate::Stale(again, messages) if *again == seen && messages[0] == MESSAGE), "{fate:?}");
        assert!(book.write(|t| Row::read(t, &seen.id)).is_none(), "nothing of it is kept");
        assert_eq!(book.records(), ["policy ", "policy "]);
        // By a client's word neither.
        if stale != DENY {
            let permitted = judged(stale, seen.clone()).permit_by_people(Word::bare(Source::anybody())).unwrap();
            let fate = book.write(|t| approve(t, &permitted, 1));
            assert!(matches!(fate, Fate::Stale(..)), "{fate:?}");
        }
        // Nor is a word heard, whatever it wants.
        for verb in [Verb::Approve, Verb::Reject] {
            assert!(matches!(book.hear(judged(stale, seen.clone()), verb), Some(Fate::Stale(..))), "{verb:?}");
        }
        // Under the one in force it is.
        assert!(matches!(book.judge(judged("# another\n", seen.clone())), Fate::Held(_)));
        assert!(matches!(book.hear(judged(stale, seen.clone()), Verb::Reject), Some(Fate::Stale(..))));
        assert!(matches!(book.hear(judged("# another\n", seen.clone()), Verb::Reject), Some(Fate::Reject)));
        assert!(matches!(book.hear(judged(stale, seen.clone()), Verb::Reject), Some(Fate::Stands)), "it is decided");
    }
}

#[test]
fn what_another_policy_held_is_approved_or_denied_by_the_one_in_force() {
    for (next, decided) in [(APPROVE, State::Approving), (DENY, State::Rejecting)] {
        let (mut book, seen) = (Book::under(HOLD), seen());
        assert!(matches!(book.judge(judged(HOLD, seen.clone())), Fate::Held(_)));
        assert_eq!(book.held_by_another(""), [""; 0], "its own policy holds it");
        assert!(matches!(book.judge(judged(HOLD, seen.clone())), Fate::Stands), "twice by one policy is once");
        book.comes_into_force(next);
        assert_eq!((book.held_by_another(""), book.held_by_another("w1")), (vec!["w1".to_owned()], vec![]));
        let fate = book.judge(judged(next, seen.clone()));
        assert!(matches!(fate, Fate::Approve(_) | Fate::Denied(_)), "{fate:?}");
        assert_eq!((book.row().state, book.held_by_another("")), (decided, vec![]));
        assert!(matches!(book.judge(judged(next, seen)), Fate::Stands), "once for ever");
    }
}

#[test]
fn what_both_hold_for_one_reason_is_recorded_once() {
    let (mut book, seen) = (Book::under(HOLD), seen());
    book.judge(judged(HOLD, seen.clone()));
    let other = format!("{HOLD}# and more\n");
    book.comes_into_force(&other);
    assert!(matches!(book.judge(judged(&other, seen.clone())), Fate::Stands));
    assert_eq!(book.held_by_another(""), [""; 0]);
    assert_eq!(book.records(), ["policy ", "decision hold", "policy "]);
    book.comes_into_force("# no rule\n");
    assert!(matches!(book.judge(judged("# no rule\n", seen)), Fate::Held(_)));
    assert_eq!(book.records()[3..], ["policy ", "decision hold"], "another reason is another record");
    assert_eq!(book.row().why, "no rule approves it");
}

#[test]
fn only_what_is_held_and_not_over_is_judged_anew() {
    let mut book = Book::under(APPROVE);
    book.judge(judged(APPROVE, seen()));
    book.comes_into_force(DENY);
    assert_eq!(book.held_by_another(""), [""; 0]);
    assert!(matches!(book.judge(judged(DENY, seen())), Fate::Stands), "approved is approved");
    let mut book = Book::under(HOLD);
    book.judge(judged(HOLD, Seen { expires: Some(clock::now() - 1), ..seen() }));
    book.comes_into_force(DENY);
    assert_eq!(book.held_by_another(""), [""; 0], "its time is over");
}
