use super::*;
use crate::callback::Seconded;
use crate::ledger::timeline::timeline;
use crate::ledger::{Settling, audit, judge, schema, see, settle};
use crate::pipeline::{Judged, Seen};
use ipc::ActionEnd;
use policy::Policy;
use rusqlite::Connection;
use std::time::{Duration, Instant};

const APPROVE: &str = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
/// No asset, by its first octet: wire type 7 does not exist.
const MESSAGE: &[u8] = b"\xffmove it";

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

    fn seen(&mut self, name: &str, at: u64) {
        let seen = Seen { id: id(name), claim: Some("ApproveTransfer".into()), expires: Some(at + 100) };
        self.write(|t| see(t, &seen, at));
    }

    fn list(&mut self, query: &ActionQuery) -> (Vec<String>, Option<(u64, ActionId)>) {
        let ActionList { actions, next } = self.write(|t| list(t, query));
        (actions.into_iter().map(|line| line.id.into()).collect(), next)
    }
}

fn id(name: &str) -> ActionId {
    ActionId::try_from(name.to_owned()).unwrap()
}

fn all() -> ActionQuery {
    ActionQuery { states: Vec::new(), since: 0, after: None, limit: MOST_LISTED }
}

fn judged(name: &str, seen_at: u64) -> Judged {
    let seen = Seen { id: id(name), claim: Some("ApproveTransfer".into()), expires: Some(seen_at + 100) };
    let judged = Judged::new(&Policy::parse(APPROVE).unwrap(), seen, vec![MESSAGE.to_vec()], Some(1));
    judged.seconded(Seconded::for_a_test(), None)
}

#[test]
fn a_list_is_of_all_states_newest_first_and_every_page_goes_on_where_the_last_ended() {
    let mut book = Book::new();
    // Some in the same second.
    for n in 0..25u64 {
        book.seen(&format!("a{n:02}"), 10 + n / 3);
        if n % 4 == 0 {
            let end = Settling::undecided(ActionEnd::Failed, String::new());
            let id = id(&format!("a{n:02}"));
            book.write(|t| settle(t, &id, &end, 50));
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("a{n:02}")).collect();
    assert_eq!(book.list(&all()), (expected.clone(), None));
    for limit in [1, 4, 24, 25] {
        let (mut query, mut found) = (ActionQuery { limit, ..all() }, Vec::new());
        loop {
            let (page, next) = book.list(&query);
            assert!(page.len() <= usize::from(limit) && !page.is_empty());
            found.extend(page);
            if next.is_none() {
                break;
            }
            query.after = next;
        }
        assert_eq!(found, expected, "{limit} at a time");
    }
    let failed = ActionQuery { states: vec![ActionState::Failed], since: 12, ..all() };
    assert_eq!(book.list(&failed).0, ["a24", "a20", "a16", "a12", "a08"]);
    assert_eq!(book.list(&ActionQuery { since: u64::MAX, ..all() }).0, [""; 0]);
    assert_eq!(book.list(&ActionQuery { limit: 0, ..all() }).0.len(), 1, "the vault bounds it too");
}

#[test]
fn a_line_and_a_timeline_tell_what_was_decided_and_what_came_of_it() {
    let mut book = Book::new();
    book.seen("w1", 10);
    book.seen("w2", 11);
    book.write(|t| judge(t, judged("w1", 10), 12));
    let end = Settling::decided(ActionEnd::Approved, "well".into());
    book.write(|t| settle(t, &id("w1"), &end, 13));
    book.write(|t| audit::append(t, "alarm", &serde_json::json!({ "action": "w1", "words": "look\nthere" })));
    let told = book.write(|t| line(t, &id("w1"))).unwrap();
    assert_eq!((told.state, told.seen, told.settled, told.expires), (ActionState::Approved, 10, Some(13), Some(110)));
    assert_eq!((told.verdict.as_deref(), told.rule.as_deref()), (Some("approve"), Some("all")));
    assert_eq!((told.decided_by.as_deref(), told.claim.as_deref()), (Some("policy"), Some("ApproveTransfer")));
    assert!(told.facts.contains("opaque"), "{}", told.facts);
    let moments = book.write(|t| timeline(t, &id("w1")));
    let words: Vec<(&str, &str)> = moments.iter().map(|m| (m.what.as_str(), m.words.as_str())).collect();
    assert!(words[0].0 == "decision" && words[0].1.starts_with("approve by policy: "), "{words:?}");
    assert_eq!(words[1..], [("settled", "approved well"), ("alarm", "look there")]);
    assert!(moments.iter().all(|moment| moment.at > 1_600_000_000), "{moments:?}");
    assert_eq!(book.write(|t| timeline(t, &id("w2"))), [], "it was only seen");
    assert_eq!(book.write(|t| line(t, &id("w3"))), None);
}

#[test]
fn a_timeline_is_bounded_and_has_the_newest() {
    let mut book = Book::new();
    for n in 0..300 {
        book.write(|t| audit::append(t, "alarm", &serde_json::json!({ "action": "w1", "words": n.to_string() })));
    }
    let moments = book.write(|t| timeline(t, &id("w1")));
    assert_eq!((moments.len(), moments[0].words.as_str(), moments[199].words.as_str()), (200, "100", "299"));
}

#[test]
fn a_list_is_read_from_its_index_alone_and_in_its_order() {
    let book = Book::new();
    let mut statement = book.connection.prepare(&format!("EXPLAIN QUERY PLAN {OF_STATE}")).unwrap();
    let steps = statement.query_map(params!["held", 0, 9, "", 1], |row| row.get::<_, String>(3)).unwrap();
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    assert!(steps.len() == 1 && steps[0].contains("COVERING INDEX action_listed (state=? AND seen>? AND"), "{steps:?}");
}

/// Prints what each costs with so many actions: `cargo nextest run -p signing-agent-vault a_list_costs --no-capture`.
#[test]
fn a_list_costs_as_little_with_a_hundred_thousand_actions_as_with_few() {
    const MANY: u64 = 100_000;
    let mut book = Book::new();
    // With messages that are long: none of it may be read for a list.
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY} - 1)
         INSERT INTO action (id, seen, state, settled, messages, verdict, why)
         SELECT printf('a%06d', i), i, CASE WHEN i % 10000 = 0 THEN 'held' ELSE 'approved' END,
                CASE WHEN i % 10000 = 0 THEN NULL ELSE i END, zeroblob(CASE WHEN i % 1000 = 7 THEN 100000 ELSE 300 END), 'approve', 'w' FROM n;
         INSERT INTO action_facts (action, words) SELECT id, 'what it says' FROM action;"
    );
    book.connection.execute_batch(&fill).unwrap();
    let mut cost = |what: &str, query: ActionQuery, found: usize| {
        book.list(&query);
        let begun = Instant::now();
        let (page, _) = book.list(&query);
        let took = begun.elapsed();
        eprintln!("{what}: {} of {MANY} in {took:?}", page.len());
        assert_eq!(page.len(), found, "{what}");
        // On a busy machine too; to read all of them takes seconds.
        assert!(took < Duration::from_millis(150), "{what} took {took:?}");
    };
    cost("the newest 200", all(), 200);
    cost("200 from the middle", ActionQuery { after: Some((MANY / 2, id("a"))), ..all() }, 200);
    cost("what is held", ActionQuery { states: vec![ActionState::Held], ..all() }, 10);
    cost("what is held, two at a time", ActionQuery { states: vec![ActionState::Held], limit: 2, ..all() }, 2);
    cost("what failed", ActionQuery { states: vec![ActionState::Failed], ..all() }, 0);
}

/// Prints what a record costs with the index and without.
#[test]
fn the_index_of_records_costs_little_to_keep() {
    const RECORDS: u32 = 5_000;
    let append = |book: &mut Book| {
        let fields = serde_json::json!({
            "action": "2IXwq4gyoiUBrIjD3VwhTpnTsxL", "verdict": "approve", "by": "policy", "rule": "all", "why": "w".repeat(80),
            "facts": ["f".repeat(200)], "policy": "0".repeat(64), "messages": ["0".repeat(64)],
        });
        let begun = Instant::now();
        book.write(|t| (0..RECORDS).try_for_each(|_| audit::append(t, "decision", &fields)));
        begun.elapsed() / RECORDS
    };
    let with = append(&mut Book::new());
    let mut bare = Book::new();
    bare.connection.execute_batch("DROP INDEX audit_action").unwrap();
    let without = append(&mut bare);
    eprintln!("a record with its index {with:?}, without {without:?}");
    assert!(with < without * 3 + Duration::from_micros(200), "{with:?} against {without:?}");
}
