use super::*;
use crate::ledger::story::digest;
use crate::ledger::{Kept, Source, UnderWay, Word, keep, schema};
use crate::pipeline::Signed;
use policy::Policy;
use rusqlite::Connection;

const APPROVE: &str = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
const DENY: &str = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\n";

struct Book {
    _dir: tempfile::TempDir,
    connection: Connection,
}

impl Book {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        Self { _dir: dir, connection }
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
        let transaction = self.connection.transaction().unwrap();
        let value = work(&transaction).unwrap();
        transaction.commit().unwrap();
        value
    }

    fn judge(&mut self, policy: &str, id: &str, message: &[u8]) -> Fate {
        let judged = judged(policy, id, message);
        self.write(|t| judge(t, judged, 1))
    }

    fn approve(&mut self, policy: &str, id: &str, message: &[u8]) -> Fate {
        let permitted = judged(policy, id, message).permit_by_people(client()).unwrap();
        self.write(|t| approve(t, &permitted, 1))
    }

    fn reject(&mut self, id: &str) -> Fate {
        let seen = seen(id);
        self.write(|t| reject(t, &seen, None, &By::Word(client()), 1))
    }

    /// The kinds of the audit log's records.
    fn kinds(&mut self) -> Vec<String> {
        let (lines, _) = self.write(|t| audit::page(t, 0));
        let kind =
            |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().into();
        lines.iter().map(kind).collect()
    }

    fn state(&mut self, id: &str) -> State {
        let id = seen(id).id;
        self.write(|t| Row::read(t, &id)).unwrap().state
    }
}

fn client() -> Word {
    Word::bare(Source::anybody())
}

fn seen(id: &str) -> Seen {
    Seen { id: ActionId::try_from(id.to_owned()).unwrap(), claim: None, expires: Some(100) }
}

fn judged(policy: &str, id: &str, message: &[u8]) -> Judged {
    let policy = if policy.is_empty() { Policy::hold_all() } else { Policy::parse(policy).unwrap() };
    let judged = Judged::new(&policy, seen(id), vec![message.to_vec()], Some(1));
    judged.seconded(crate::callback::Seconded::for_a_test(), None)
}

/// No asset, by its first octet: wire type 7 does not exist.
const MESSAGE: &[u8] = b"\xffmove it";
const OTHER: &[u8] = b"\xffmove it elsewhere";

fn sorted(ids: &[ActionId]) -> Vec<&str> {
    let mut ids: Vec<_> = ids.iter().map(ActionId::as_str).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn an_action_is_seen_once() {
    let mut book = Book::new();
    assert!(book.write(|t| see(t, &seen("w1"), 1)));
    assert!(!book.write(|t| see(t, &seen("w1"), 2)));
}

#[test]
fn an_action_is_never_both_approved_and_rejected() {
    let mut book = Book::new();
    assert!(matches!(book.judge(APPROVE, "w1", MESSAGE), Fate::Approve(_)));
    assert!(matches!(book.reject("w1"), Fate::Stands));
    assert!(matches!(book.judge(DENY, "w1", MESSAGE), Fate::Stands));
    assert_eq!(book.state("w1"), State::Approving);

    assert!(matches!(book.reject("w2"), Fate::Reject));
    assert!(matches!(book.judge(APPROVE, "w2", MESSAGE), Fate::Stands));
    assert!(matches!(book.approve("", "w2", MESSAGE), Fate::Stands));
    assert_eq!(book.state("w2"), State::Rejecting);
}

#[test]
fn the_first_bytes_recorded_for_an_id_are_its_bytes() {
    let mut book = Book::new();
    assert!(matches!(book.judge("", "w1", MESSAGE), Fate::Held(_)));
    assert!(matches!(book.approve("", "w1", OTHER), Fate::OtherBytes { held: true }));
    let Fate::Approve(recorded) = book.approve("", "w1", MESSAGE) else { panic!("held, released") };
    assert_eq!(recorded.messages(), [MESSAGE.to_vec()]);
    for _ in 0..3 {
        assert!(matches!(book.approve("", "w1", OTHER), Fate::OtherBytes { held: false }));
        assert!(matches!(book.judge("", "w1", OTHER), Fate::OtherBytes { held: false }), "also nobody's second fetch");
        assert!(matches!(book.judge("", "w1", MESSAGE), Fate::Stands));
    }
    assert_eq!(book.kinds(), ["decision", "contradiction", "decision"], "on record once");
    let id = seen("w1").id;
    assert_eq!(book.write(|t| Row::read(t, &id)).unwrap().messages().unwrap(), [MESSAGE.to_vec()]);
}

#[test]
fn bytes_once_denied_or_rejected_are_held_at_most_under_another_id() {
    let mut book = Book::new();
    assert!(matches!(book.judge(DENY, "w1", MESSAGE), Fate::Denied(_)));
    assert!(matches!(book.judge(APPROVE, "w2", MESSAGE), Fate::Held(_)));
    assert!(matches!(book.judge("", "w3", OTHER), Fate::Held(_)));
    assert!(matches!(book.reject("w3"), Fate::Reject));
    assert!(matches!(book.judge(APPROVE, "w4", OTHER), Fate::Held(_)));
    assert!(matches!(book.judge(APPROVE, "w5", b"\xffanother"), Fate::Approve(_)));
}

#[test]
fn what_is_settled_stays_settled() {
    let mut book = Book::new();
    let id = seen("w1").id;
    book.judge(APPROVE, "w1", MESSAGE);
    assert!(book.write(|t| settle(t, &id, &Settling::decided(ActionEnd::Approved, String::new()), 5)));
    assert!(!book.write(|t| settle(t, &id, &Settling::decided(ActionEnd::Failed, "late".into()), 6)));
    assert!(matches!(book.judge(APPROVE, "w1", MESSAGE), Fate::Stands));
    assert!(matches!(book.reject("w1"), Fate::Stands));
    assert_eq!(book.state("w1"), State::Settled(ActionEnd::Approved));
}

#[test]
fn only_what_nobody_decided_expires() {
    let mut book = Book::new();
    book.write(|t| see(t, &seen("seen"), 1));
    book.judge("", "held", MESSAGE);
    book.judge(APPROVE, "approving", MESSAGE);
    assert!(book.write(|t| expire(t, 99)).is_empty());
    let mut expired: Vec<String> = book.write(|t| expire(t, 100)).into_iter().map(String::from).collect();
    expired.sort();
    assert_eq!(expired, ["held", "seen"]);
    assert_eq!(book.state("approving"), State::Approving);
}

#[test]
fn a_restart_takes_up_what_was_recorded_and_nothing_else_for_signing() {
    let mut book = Book::new();
    book.write(|t| see(t, &seen("seen"), 1));
    book.judge("", "held", MESSAGE);
    book.judge(APPROVE, "approving", MESSAGE);
    book.reject("rejecting");
    book.judge(APPROVE, "done", MESSAGE);
    let done = seen("done").id;
    book.write(|t| settle(t, &done, &Settling::decided(ActionEnd::Approved, String::new()), 5));
    let under_way = book.write(Row::under_way);
    assert_eq!(sorted(&under_way), ["approving", "rejecting"]);
    let unjudged = book.write(|t| Row::unjudged(t, 10));
    assert_eq!(sorted(&unjudged), ["seen"]);
    for id in under_way.into_iter().chain(unjudged) {
        let read = book.write(|t| UnderWay::read(t, &id));
        match id.as_str() {
            "approving" => assert!(matches!(read, UnderWay::Sign(recorded) if recorded.messages() == [MESSAGE])),
            "rejecting" => assert!(matches!(read, UnderWay::Withdraw)),
            _ => assert!(matches!(read, UnderWay::Fetch(_))),
        }
    }
    assert!(matches!(book.write(|t| UnderWay::read(t, &done)), UnderWay::Nothing));
}

fn signed(recorded: Recorded, with: u8) -> Signed {
    Signed::new::<()>(recorded, |_| Ok([with; 49])).unwrap()
}

#[test]
fn signatures_are_kept_before_they_leave_and_no_others_ever_are() {
    let mut book = Book::new();
    let Fate::Approve(recorded) = book.judge(APPROVE, "w1", MESSAGE) else { panic!("it is approved") };
    let again = Recorded::new(recorded.id().clone(), recorded.messages().to_vec());
    let first = signed(recorded, 2);
    assert!(matches!(book.write(|t| keep(t, &first, 1)), Kept::Submit(s) if s.signatures() == [[2; 49]]));
    assert!(matches!(book.write(|t| keep(t, &first, 1)), Kept::Submit(_)), "the same again is no other");
    let other = signed(again, 3);
    assert!(matches!(book.write(|t| keep(t, &other, 1)), Kept::Contradiction));
    let id = seen("w1").id;
    assert!(
        matches!(book.write(|t| UnderWay::read(t, &id)), UnderWay::Submit(s) if s.signatures() == [[2; 49]]),
        "a restart sends what was kept"
    );
    assert_eq!(book.kinds(), ["decision", "signed", "contradiction"]);
}

#[test]
fn other_bytes_than_the_recorded_are_neither_signed_nor_kept() {
    let mut book = Book::new();
    book.judge(APPROVE, "w1", MESSAGE);
    let forged = signed(Recorded::new(seen("w1").id, vec![OTHER.to_vec()]), 2);
    assert!(matches!(book.write(|t| keep(t, &forged, 1)), Kept::Contradiction));
    book.judge(DENY, "w2", OTHER);
    let denied = signed(Recorded::new(seen("w2").id, vec![OTHER.to_vec()]), 2);
    assert!(matches!(book.write(|t| keep(t, &denied, 1)), Kept::Contradiction));
}

#[test]
fn frozen_nothing_is_approved_and_nothing_kept() {
    let mut book = Book::new();
    let Fate::Approve(recorded) = book.judge(APPROVE, "w1", MESSAGE) else { panic!("it is approved") };
    let signed = signed(recorded, 2);
    book.judge("", "w2", OTHER);
    book.write(|t| Condition::Frozen.write(t, 1));
    assert!(matches!(book.write(|t| keep(t, &signed, 1)), Kept::Frozen));
    assert!(matches!(book.approve("", "w2", OTHER), Fate::Frozen));
    assert!(matches!(book.judge(APPROVE, "w3", b"\xffanother"), Fate::Held(why) if why.contains("frozen")));
    assert!(matches!(book.reject("w2"), Fate::Reject), "a no is always possible");
    book.write(|t| Condition::Frozen.write(t, 0));
    assert!(matches!(book.write(|t| keep(t, &signed, 1)), Kept::Submit(_)));
}

#[test]
fn each_decision_and_each_end_is_on_record_once() {
    let mut book = Book::new();
    let id = seen("w1").id;
    book.judge(APPROVE, "w1", MESSAGE);
    book.judge(APPROVE, "w1", MESSAGE);
    for _ in 0..2 {
        book.write(|t| settle(t, &id, &Settling::decided(ActionEnd::Approved, String::new()), 5));
    }
    book.judge("", "held", OTHER);
    book.write(|t| expire(t, 100));
    assert_eq!(book.kinds(), ["decision", "settled", "decision", "settled"]);
    let first = book.write(|t| audit::page(t, 0)).0.remove(0);
    let digest = hex::encode(digest(MESSAGE));
    for words in [r#""action":"w1""#, r#""verdict":"approve""#, r#""by":"policy""#, r#""rule":"all""#, digest.as_str()]
    {
        assert!(first.contains(words), "{words} in {first}");
    }
}

#[test]
fn a_late_word_on_the_fetch_changes_nothing_once_it_was_decided() {
    let mut book = Book::new();
    let id = seen("w1").id;
    book.judge(APPROVE, "w1", MESSAGE);
    assert!(!book.write(|t| settle(t, &id, &Settling::undecided(ActionEnd::Failed, "404".into()), 5)));
    assert_eq!(book.state("w1"), State::Approving);
    book.judge("", "w2", MESSAGE);
    let id = seen("w2").id;
    assert!(book.write(|t| settle(t, &id, &Settling::undecided(ActionEnd::Expired, String::new()), 5)));
}

#[test]
fn what_was_judged_without_the_feeds_claim_is_judged_again_with_it() {
    let mut book = Book::new();
    let claimed = Seen { claim: Some("ApproveTransfer".into()), ..seen("w1") };
    book.write(|t| see(t, &claimed, 1));
    assert!(matches!(book.judge(APPROVE, "w1", MESSAGE), Fate::Stands));
    assert!(matches!(book.approve("", "w1", MESSAGE), Fate::Stands));
    assert_eq!(book.state("w1"), State::Seen);
}

#[test]
fn an_approval_whose_time_is_over_before_it_was_signed_expires_and_nothing_is_kept() {
    let mut book = Book::new();
    let id = seen("w1").id;
    let Fate::Approve(recorded) = book.judge(APPROVE, "w1", MESSAGE) else { panic!("it is approved") };
    let late = signed(recorded, 2);
    assert!(matches!(book.write(|t| keep(t, &late, 100)), Kept::Over));
    assert_eq!(book.state("w1"), State::Settled(ActionEnd::Expired));
    assert!(matches!(book.write(|t| UnderWay::read(t, &id)), UnderWay::Nothing));
    assert_eq!(book.kinds(), ["decision", "settled"]);
    // What was signed in time may have left: its end is found out, not written off.
    let Fate::Approve(recorded) = book.judge(APPROVE, "w2", OTHER) else { panic!("it is approved") };
    let in_time = signed(recorded, 2);
    assert!(matches!(book.write(|t| keep(t, &in_time, 99)), Kept::Submit(_)));
    assert!(matches!(book.write(|t| keep(t, &in_time, 100)), Kept::Submit(_)));
    assert_eq!(book.state("w2"), State::Approving);
}

#[test]
fn a_rejection_by_the_client_is_on_record_with_what_was_rejected() {
    let mut book = Book::new();
    book.judge("", "w1", MESSAGE);
    let judged = judged("", "w1", MESSAGE);
    assert!(matches!(book.write(|t| reject(t, judged.seen(), Some(&judged), &By::Word(client()), 1)), Fate::Reject));
    assert!(matches!(book.reject("unreadable"), Fate::Reject));
    let lines = book.write(|t| audit::page(t, 0)).0;
    let said = |n: usize| serde_json::from_str::<serde_json::Value>(&lines[n]).unwrap();
    let (held, rejected, unreadable) = (said(0), said(1), said(2));
    assert_eq!((&rejected["verdict"], &rejected["by"]), (&"reject".into(), &"client".into()));
    for field in ["rule", "why", "claim", "expires", "facts", "policy", "messages"] {
        assert_eq!(rejected[field], held[field], "{field}");
    }
    assert!(!rejected["facts"].as_array().unwrap().is_empty(), "{rejected}");
    assert_eq!(
        (&unreadable["why"], &unreadable["policy"]),
        (&"its messages could not be read".into(), &serde_json::Value::Null)
    );
}

#[test]
fn an_approval_that_should_have_been_settled_is_counted() {
    let mut book = Book::new();
    for (policy, id, message) in [(APPROVE, "w1", MESSAGE), ("", "held", OTHER)] {
        book.judge(policy, id, message);
    }
    let mut overdue = |now| book.write(|t| Row::overdue(t, now, 60, 10));
    assert_eq!((overdue(10), overdue(39), overdue(40), overdue(1000)), (0, 0, 1, 1), "known since 1, over at 100");
    let id = seen("w1").id;
    book.write(|t| settle(t, &id, &Settling::decided(ActionEnd::Approved, String::new()), 41));
    assert_eq!(book.write(|t| Row::overdue(t, 50, 60, 10)), 0);
}

#[test]
fn what_waits_in_the_ledger_is_taken_up_by_its_expiry_and_a_bounded_number_at_once() {
    let mut book = Book::new();
    for (id, expires) in [("late", 300), ("soon", 100), ("later", 200)] {
        book.write(|t| see(t, &Seen { expires: Some(expires), ..seen(id) }, 1));
    }
    let taken = book.write(|t| Row::unjudged(t, 2));
    assert_eq!(taken.iter().map(ActionId::as_str).collect::<Vec<_>>(), ["soon", "later"]);
}

/// The wall clock jumps by two minutes.
fn step(book: &mut Book) {
    assert!(!book.write(time::mark).stepped);
    book.write(|t| t.execute("UPDATE agent_time SET reference = reference + 120000", []));
}

#[test]
fn while_a_jump_of_the_clock_is_not_confirmed_nobody_approves_and_anybody_rejects() {
    let mut book = Book::new();
    book.judge("", "before", MESSAGE);
    step(&mut book);
    assert!(matches!(book.approve("", "before", MESSAGE), Fate::ClockStepped));
    assert!(matches!(book.approve(APPROVE, "unseen", OTHER), Fate::ClockStepped));
    assert!(matches!(book.judge(APPROVE, "w1", OTHER), Fate::Held(why) if why.contains("clock")));
    assert!(matches!(book.approve(APPROVE, "w1", OTHER), Fate::ClockStepped));
    assert!(matches!(book.judge(DENY, "w2", b"\xffdenied"), Fate::Denied(_)));
    assert!(matches!(book.reject("before"), Fate::Reject));
    let kinds = book.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "clock-stepped").count(), 1, "{kinds:?}");
    // What was judged before the ledger's look, and without the time.
    let mut book = Book::new();
    let untimed = Judged::new(&Policy::parse(APPROVE).unwrap(), seen("w1"), vec![MESSAGE.to_vec()], None);
    assert!(matches!(book.write(|t| judge(t, untimed, 1)), Fate::Held(_)));
    assert_eq!(sorted(&book.write(|t| held_for_clock::list(t, 10))), ["w1"], "it is judged once more");
}

#[test]
fn what_was_held_for_the_clock_alone_is_judged_once_it_is_confirmed_and_by_its_first_bytes() {
    let mut book = Book::new();
    book.judge("", "held", OTHER);
    step(&mut book);
    for id in ["w1", "w2", "w3"] {
        assert!(matches!(book.judge(APPROVE, id, MESSAGE), Fate::Held(_)));
        assert!(matches!(book.judge(APPROVE, id, MESSAGE), Fate::Stands), "the clock is as it was");
    }
    assert!(matches!(book.reject("w3"), Fate::Reject));
    assert_eq!(sorted(&book.write(|t| held_for_clock::list(t, 10))), ["w1", "w2"]);
    assert!(!book.write(|t| time::confirm(t, "me")).stepped);
    assert!(matches!(book.judge(APPROVE, "w1", OTHER), Fate::OtherBytes { held: true }));
    assert!(matches!(book.judge(APPROVE, "w1", b"\xffmore"), Fate::OtherBytes { held: true }));
    // These bytes were rejected as w3's.
    assert!(matches!(book.judge(APPROVE, "w1", MESSAGE), Fate::Held(why) if why.contains("under another id")));
    assert!(matches!(book.judge(APPROVE, "w1", MESSAGE), Fate::Stands), "it is held for people now");
    assert!(matches!(book.judge(APPROVE, "held", OTHER), Fate::Stands), "and so was this one, always");
    assert!(matches!(book.judge(APPROVE, "w3", MESSAGE), Fate::Stands));
    assert_eq!(sorted(&book.write(|t| held_for_clock::list(t, 10))), ["w2"]);
    assert!(matches!(book.judge("", "w2", MESSAGE), Fate::Held(_)));
    assert!(book.write(|t| held_for_clock::list(t, 10)).is_empty());
    assert!(matches!(book.approve("", "w2", MESSAGE), Fate::Approve(_)));
}
