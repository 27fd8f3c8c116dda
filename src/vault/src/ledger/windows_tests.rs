use super::*;
use crate::ledger::actions::{approve, reject};
use crate::ledger::{Busy, Fate, Ledger, Row, Settling, Source, State, Word, audit, judge, schema, settle};
use crate::pipeline::{By, Judged, Seen};
use ipc::ActionEnd;
use policy::{Release, Verdict};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

const DAY: u64 = 24 * 60 * 60;

struct Book {
    dir: tempfile::TempDir,
    connection: Connection,
}

impl Book {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        Self { dir, connection }
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
        let transaction = self.connection.transaction().unwrap();
        let value = work(&transaction).unwrap();
        transaction.commit().unwrap();
        value
    }

    fn judge(&mut self, id: &str, judgement: &Judgement) -> Fate {
        let judged = judged(id, judgement);
        self.write(|t| judge(t, judged, 1))
    }

    /// Whether policy's approval was recorded.
    fn approves(&mut self, id: &str, judgement: &Judgement) -> bool {
        matches!(self.judge(id, judgement), Fate::Approve(_))
    }

    fn release(&mut self, id: &str, judgement: &Judgement) -> Fate {
        let permitted = judged(id, judgement).permit_by_people(Word::bare(Source::anybody())).unwrap();
        self.write(|t| approve(t, &permitted, 1))
    }

    /// So much later, by the agent's time.
    fn later(&mut self, seconds: u64) {
        self.write(|t| t.execute("UPDATE agent_time SET agent = agent + 1000 * ?1", [seconds]));
    }

    fn used(&mut self, which: &Which, since: u64) -> Used {
        self.write(|t| used(t, which, since))
    }

    fn decisions(&mut self, id: &str) -> Vec<(String, String)> {
        let lines = self.write(|t| audit::page(t, 0)).0;
        let records = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let of_it = records.filter(|record| record["kind"] == "decision" && record["action"] == id);
        of_it.map(|record| (text(&record["verdict"]), text(&record["why"]))).collect()
    }
}

fn judged(id: &str, judgement: &Judgement) -> Judged {
    let seen = Seen { id: ActionId::try_from(id.to_owned()).unwrap(), claim: None, expires: Some(u64::MAX >> 1) };
    Judged::as_if(seen, vec![id.as_bytes().to_vec()], judgement.clone())
}

fn movement(currency: i64, wallet: &str, destination: &str, amount: u64) -> Movement {
    Movement { currency, wallet: wallet.into(), destination: destination.into(), amount, rule: None }
}

fn judgement(verdict: Verdict, rule: &str, movements: &[Movement], demands: &[Demand]) -> Judgement {
    Judgement {
        verdict,
        rule: Some(rule.into()),
        why: format!("rule \"{rule}\""),
        facts: Vec::new(),
        release: Release::client(),
        contradiction: false,
        movements: movements.iter().map(|one| Movement { rule: Some(rule.into()), ..one.clone() }).collect(),
        demands: demands.to_vec(),
    }
}

/// An approval of this amount of currency 4, under these windows.
fn small(amount: u64, demands: &[Demand]) -> Judgement {
    judgement(Verdict::Approve, "small", &[movement(4, "w", "d", amount)], demands)
}

fn window(name: &str, period: u64, which: Which, amount: u64, most: u128) -> Demand {
    Demand { window: name.into(), period, which, amount: Some(amount.into()), max_amount: Some(most), max_count: None }
}

fn count(period: u64, most: u64) -> Demand {
    let which = Which::default();
    Demand { window: "count".into(), period, which, amount: Some(0), max_amount: None, max_count: Some(most) }
}

fn all() -> Which {
    Which::default()
}

fn by(currency: Option<i64>, wallet: Option<&str>, destination: Option<&str>, rules: Option<&[&str]>) -> Which {
    Which {
        currency,
        wallet: wallet.map(str::to_owned),
        destination: destination.map(str::to_owned),
        rules: rules.map(|rules| rules.iter().map(|rule| (*rule).to_owned()).collect::<BTreeSet<_>>()),
    }
}

#[test]
fn a_window_is_filled_to_its_last_unit_and_no_further() {
    let mut book = Book::new();
    let of = |amount| small(amount, &[window("day", DAY, all(), amount, 100)]);
    assert!(book.approves("w1", &of(60)));
    assert!(!book.approves("w2", &of(41)));
    assert!(book.approves("w3", &of(40)));
    assert!(!book.approves("w4", &of(1)));
    assert!(book.approves("w5", &of(0)));
    assert_eq!(book.used(&all(), 0), Used { amount: 100, count: 3 });
    let refused = ("hold".to_owned(), "window \"day\": 60 of 100 are used, 41 more do not fit".to_owned());
    assert_eq!(book.decisions("w2"), [refused], "the record names the window");
}

#[test]
fn a_window_rolls_by_the_agents_time_and_is_never_a_moment_too_short() {
    let mut book = Book::new();
    let of = || small(10, &[window("day", DAY, all(), 10, 15)]);
    assert!(book.approves("w1", &of()));
    book.later(DAY - 1);
    assert!(!book.approves("w2", &of()));
    // The clock goes on by itself: w1 was approved within this second, or the one before.
    let agent = book.write(crate::ledger::time::look).agent;
    let demands = of().demands;
    assert!(book.write(|t| room(t, &demands, DAY)).is_err(), "approved in second 0, to its last moment");
    assert!(book.write(|t| room(t, &demands, DAY + 1)).is_ok());
    assert!(agent >= DAY - 1);
    book.later(2);
    assert!(book.approves("w3", &of()));
    assert_eq!(book.used(&all(), 1), Used { amount: 10, count: 1 }, "the first has rolled out");
}

#[test]
fn people_release_through_the_same_windows_and_what_does_not_fit_stays_held() {
    let mut book = Book::new();
    let demand = |amount| window("day", DAY, all(), amount, 100);
    let held = |amount| judgement(Verdict::Hold, "big", &[movement(4, "w", "d", amount)], &[demand(amount)]);
    for (id, amount) in [("w1", 70), ("w2", 31), ("w3", 30)] {
        assert!(matches!(book.judge(id, &held(amount)), Fate::Held(_)));
    }
    assert_eq!(book.used(&all(), 0), Used::default(), "what is held has taken nothing");
    assert!(matches!(book.release("w1", &held(70)), Fate::Approve(_)));
    let before = book.decisions("w2");
    for _ in 0..3 {
        let Fate::NoRoom(why) = book.release("w2", &held(31)) else { panic!("70 and 31 are more than 100") };
        assert_eq!(why, "window \"day\": 70 of 100 are used, 31 more do not fit");
    }
    assert_eq!(book.decisions("w2"), before, "nothing changed");
    let id = ActionId::try_from("w2".to_owned()).unwrap();
    assert_eq!(book.write(|t| Row::read(t, &id)).unwrap().state, State::Held);
    assert!(matches!(book.release("w3", &held(30)), Fate::Approve(_)));
    // What people released counts for policy too.
    assert!(!book.approves("w4", &small(1, &[demand(1)])));
    // One that the feed never told of.
    assert!(matches!(book.release("w5", &held(1)), Fate::NoRoom(_)));
}

#[test]
fn no_outcome_gives_anything_back_and_nothing_is_spent_twice() {
    let mut book = Book::new();
    let of = || small(10, &[window("day", DAY, all(), 10, 50)]);
    let ends = [ActionEnd::Approved, ActionEnd::Rejected, ActionEnd::Expired, ActionEnd::Failed, ActionEnd::Unknown];
    for (n, end) in ends.into_iter().enumerate() {
        let name = format!("w{n}");
        assert!(book.approves(&name, &of()));
        // Judged, asked for and rejected again: what is recorded stands.
        assert!(matches!(book.judge(&name, &of()), Fate::Stands));
        assert!(matches!(book.release(&name, &of()), Fate::Stands));
        let judged = judged(&name, &of());
        assert!(matches!(
            book.write(|t| reject(t, judged.seen(), Some(&judged), &By::Word(Word::bare(Source::anybody())), 1)),
            Fate::Stands
        ));
        let id = ActionId::try_from(name.clone()).unwrap();
        book.write(|t| settle(t, &id, &Settling::decided(end, String::new()), 2));
        assert!(matches!(book.judge(&name, &of()), Fate::Stands));
    }
    assert_eq!(book.used(&all(), 0), Used { amount: 50, count: 5 });
    assert!(!book.approves("one-more", &of()));
    // A restart finds it all.
    let connection = schema::open(&book.dir.path().join("ledger"), false).unwrap();
    book.connection = connection;
    assert!(!book.approves("w9", &of()));
    assert_eq!(book.used(&all(), 0), Used { amount: 50, count: 5 });
}

#[test]
fn what_is_asked_of_one_currency_wallet_destination_or_rule_counts_what_fits_all_of_it() {
    let mut book = Book::new();
    let action = |rule: &str, movements: &[Movement]| judgement(Verdict::Approve, rule, movements, &[]);
    assert!(book.approves("w1", &action("r1", &[movement(4, "a", "x", 1), movement(4, "a", "y", 2)])));
    assert!(book.approves("w2", &action("r2", &[movement(5, "a", "x", 4)])));
    assert!(book.approves("w3", &action("r1", &[movement(4, "b", "x", 8)])));
    book.write(|t| {
        let nameless = Judgement { movements: vec![movement(5, "b", "", 16)], rule: None, ..action("", &[]) };
        spend(t, &ActionId::try_from("w4".to_owned()).unwrap(), &nameless, 1_000, 0)
    });
    for (which, amount, count) in [
        (all(), 31, 4),
        (by(Some(4), None, None, None), 11, 2),
        (by(Some(6), None, None, None), 0, 0),
        (by(None, Some("a"), None, None), 7, 2),
        (by(None, None, Some("x"), None), 13, 3),
        (by(None, None, Some(""), None), 16, 1),
        (by(Some(4), Some("a"), None, None), 3, 1),
        (by(Some(4), None, Some("x"), None), 9, 2),
        (by(None, Some("a"), Some("x"), None), 5, 2),
        (by(Some(5), Some("a"), Some("x"), None), 4, 1),
        (by(None, None, None, Some(&["r1"])), 11, 2),
        (by(None, None, None, Some(&["r1", "r2"])), 15, 3),
        (by(None, None, None, Some(&[])), 0, 0),
        (by(None, Some("a"), None, Some(&["r2", "r3"])), 4, 1),
    ] {
        assert_eq!(book.used(&which, 0), Used { amount, count }, "{which:?}");
    }
}

#[test]
fn approvals_are_counted_once_however_much_they_move_and_also_where_nothing_can_be_read() {
    let mut book = Book::new();
    let many: Vec<_> = (0..50).map(|n| movement(4, "w", "d", n)).collect();
    assert!(book.approves("w1", &judgement(Verdict::Approve, "r", &many, &[count(DAY, 3)])));
    assert!(book.approves("w2", &judgement(Verdict::Approve, "r", &[], &[count(DAY, 3)])));
    assert!(book.approves("w3", &judgement(Verdict::Approve, "r", &[], &[count(DAY, 3)])));
    let Fate::Held(why) = book.judge("w4", &judgement(Verdict::Approve, "r", &[], &[count(DAY, 3)])) else {
        panic!("three are used")
    };
    assert_eq!(why, "window \"count\": all its 3 approvals are used");
}

#[test]
fn sums_are_exact_where_64_bits_are_too_few() {
    let mut book = Book::new();
    let edges = [u64::MAX, 1 << 63, (1 << 63) - 1, i64::MAX as u64, u64::MAX - 1, 1];
    for (n, amount) in edges.into_iter().enumerate() {
        assert!(book.approves(&format!("w{n}"), &small(amount, &[window("huge", DAY, all(), amount, u128::MAX)])));
    }
    let sum: u128 = edges.into_iter().map(u128::from).sum();
    assert_eq!(book.used(&all(), 0).amount, sum);
    assert!(sum > u128::from(u64::MAX) * 3);
    assert!(!book.approves("one-over", &small(1, &[window("huge", DAY, all(), 1, sum)])));
    assert!(book.approves("just", &small(1, &[window("huge", DAY, all(), 1, sum + 1)])));
    let mut overflowing = window("all there is", DAY, all(), 1, u128::MAX);
    overflowing.amount = Some(u128::MAX);
    assert!(!book.approves("overflows", &small(1, &[overflowing])));
}

#[test]
fn what_cannot_be_measured_or_is_asked_of_more_than_is_remembered_fits_nothing() {
    let mut book = Book::new();
    let unreadable = Demand { amount: None, ..window("day", DAY, all(), 0, 100) };
    let Fate::Held(why) = book.judge("w1", &small(0, &[unreadable])) else { panic!("it has no amount") };
    assert_eq!(why, "window \"day\" cannot measure it");
    assert!(book.approves("w2", &small(1, &[window("year", LONGEST, all(), 1, 100)])));
    assert!(!book.approves("w3", &small(1, &[window("age", LONGEST + 1, all(), 1, 100)])));
}

#[test]
fn all_windows_must_have_room_and_one_that_has_none_takes_nothing_of_the_others() {
    let mut book = Book::new();
    let (wide, narrow) = (window("wide", DAY, all(), 10, 1_000), window("narrow", DAY, all(), 10, 9));
    assert!(!book.approves("w1", &small(10, &[wide.clone(), narrow])));
    assert_eq!(book.used(&all(), 0), Used::default());
    assert!(book.approves("w2", &small(10, &[wide, count(DAY, 1)])));
    assert!(!book.approves("w3", &small(10, &[count(DAY, 1)])));
}

#[test]
fn a_window_of_another_name_in_a_new_policy_knows_what_the_old_one_let_go() {
    let mut book = Book::new();
    let of = |name, most| small(10, &[window(name, DAY, by(Some(4), None, None, None), 10, most)]);
    assert!(book.approves("w1", &of("a day's ETH", 10)));
    assert!(!book.approves("w2", &of("ETH, daily", 10)));
    // An approval under no window at all counts in the next policy's.
    assert!(book.approves("w3", &small(10, &[])));
    assert!(!book.approves("w4", &of("new", 29)));
    assert!(book.approves("w5", &of("new", 30)));
}

#[test]
fn what_no_window_can_ask_for_is_forgotten_and_nothing_else() {
    let mut book = Book::new();
    let id = ActionId::try_from("w1".to_owned()).unwrap();
    for (decision, at) in [(1, 0), (2, 9), (3, 10), (4, LONGEST)] {
        book.write(|t| spend(t, &id, &small(1, &[]), decision, at));
    }
    for (now, left) in [(0, 4), (LONGEST, 4), (LONGEST + 10, 2), (LONGEST + 11, 1)] {
        book.write(|t| forget(t, now));
        assert_eq!(book.used(&all(), 0).count, left, "{now}");
    }
}

#[test]
fn a_thousand_at_once_never_take_more_than_a_window_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    Ledger::create(&path).unwrap();
    let ledger = Ledger::open(&path, Busy::default()).unwrap();
    let (tell, told) = channel();
    let let_go = AtomicU64::new(0);
    thread::scope(|scope| {
        for asker in 0..8u64 {
            let (ledger, tell) = (&ledger, tell.clone());
            scope.spawn(move || {
                for n in 0..125 {
                    let amount = 1 + (asker + n) % 7;
                    let demands = [window("day", DAY, by(Some(4), None, None, None), amount, 1_000), count(DAY, 400)];
                    let (name, judgement) = (format!("{asker}-{n}"), small(amount, &demands));
                    let tell = tell.clone();
                    let done = move |fate| tell.send((amount, matches!(fate, Ok(Fate::Approve(_))))).unwrap();
                    // Half of it is released by people.
                    if n % 2 == 0 {
                        let judged = judged(&name, &judgement);
                        ledger.post(move |t| judge(t, judged, 1), done);
                    } else {
                        let permitted =
                            judged(&name, &judgement).permit_by_people(Word::bare(Source::anybody())).unwrap();
                        ledger.post(move |t| approve(t, &permitted, 1), done);
                    }
                }
            });
        }
        for (amount, approved) in told.iter().take(1_000) {
            let_go.fetch_add(if approved { amount } else { 0 }, Ordering::SeqCst);
        }
    });
    let used = ledger.call(|t| used(t, &all(), 0)).unwrap();
    assert_eq!(used.amount, u128::from(let_go.load(Ordering::SeqCst)));
    assert!((994..=1_000).contains(&used.amount) && used.count <= 400, "{used:?}");
}

/// What a window costs, by hand: `cargo test --release -p signing-agent-vault cost_of_a_window -- --ignored --nocapture`.
#[test]
#[ignore = "measures: see docs/performance.md"]
#[allow(clippy::print_stdout)]
fn cost_of_a_window() {
    const IN_IT: u64 = 10_000;
    let mut book = Book::new();
    let id = ActionId::try_from("w1".to_owned()).unwrap();
    let wallets: Vec<String> = (0..10u8).map(|n| hex::encode([n; 32])).collect();
    book.write(|t| {
        (0..IN_IT).try_for_each(|n| {
            let wallet = &wallets[usize::try_from(n % 10).unwrap()];
            let moved = movement(4, wallet, "0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8", n);
            spend(t, &id, &judgement(Verdict::Approve, "small", &[moved], &[]), 1_000_000 + n, 0)
        })
    });
    for (name, which) in [
        ("all of it", all()),
        ("one currency", by(Some(4), None, None, None)),
        ("one destination", by(Some(4), None, Some("0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8"), None)),
        ("one wallet of ten", by(None, Some(&wallets[3]), None, None)),
        ("one rule", by(None, None, None, Some(&["small"]))),
        ("none", by(Some(5), None, None, None)),
    ] {
        let transaction = book.connection.transaction().unwrap();
        let (mut took, rounds) = (Vec::new(), 200usize);
        for n in 0..rounds {
            let of = small(1, &[window("day", DAY, which.clone(), 1, u128::MAX)]);
            let judged = judged(&format!("{name} {n}").replace(' ', "-"), &of);
            let begun = Instant::now();
            assert!(matches!(judge(&transaction, judged, 1).unwrap(), Fate::Approve(_)));
            took.push(begun.elapsed());
        }
        took.sort();
        println!("{IN_IT} movements in the window, {name}: an approval is recorded in {:?} (median)", took[rounds / 2]);
    }
}
