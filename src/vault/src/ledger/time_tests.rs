use super::*;
use crate::ledger::schema;
use rusqlite::Connection;

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

    fn begin(&mut self, boot: &str, at: i64, wall: i64) -> Look {
        self.write(|t| begin(t, boot, seconds(at, wall)))
    }

    fn look(&mut self, at: i64, wall: i64) -> Look {
        self.write(|t| look_at(t, seconds(at, wall), false))
    }

    fn records(&mut self) -> Vec<serde_json::Value> {
        self.write(|t| audit::page(t, 0)).0.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn seconds(boot: i64, wall: i64) -> Reading {
    Reading { boot: boot * 1000, wall: wall * 1000 }
}

#[test]
fn agent_time_goes_on_over_restarts_of_one_boot_and_stands_still_from_one_boot_to_the_next() {
    let mut book = Book::new();
    assert_eq!(book.begin("a", 100, 5_000).agent, 0);
    assert_eq!(book.look(130, 5_030).agent, 30);
    // The vault was away for a while; the machine was not.
    assert_eq!(book.begin("a", 1_100, 6_000).agent, 1_000);
    assert_eq!(book.look(1_200, 6_100).agent, 1_100);
    // An hour of another boot, and a day that it was off.
    assert_eq!(book.begin("b", 3_600, 96_000).agent, 1_100);
    assert_eq!(book.look(3_610, 96_010).agent, 1_110);
    // Nobody says which boot it is: it is taken for another one each time.
    assert_eq!(book.begin("", 4_000, 96_400).agent, 1_100);
    assert_eq!(book.begin("", 5_000, 97_400).agent, 1_100);
    assert!(book.records().is_empty(), "no jump");
}

#[test]
fn agent_time_never_goes_back_and_a_boot_that_is_younger_than_it_was_is_another_one() {
    let mut book = Book::new();
    book.begin("a", 100, 5_000);
    assert_eq!(book.look(1_000, 5_900).agent, 900);
    assert_eq!(book.look(990, 5_890).agent, 900);
    assert_eq!(book.begin("a", 50, 6_000).agent, 900);
    assert_eq!(book.look(60, 6_010).agent, 910);
}

#[test]
fn a_wall_clock_that_is_set_neither_ages_a_window_nor_is_believed_before_an_operator_confirms_it() {
    for jump in [120, -120] {
        let mut book = Book::new();
        book.begin("a", 100, 5_000);
        assert!(!book.look(105, 5_005).stepped);
        let look = book.look(110, 5_010 + jump);
        assert!((look.agent, look.stepped) == (10, true), "{look:?}");
        // It comes back by itself; the vault, and then the machine, is started anew.
        assert!(book.look(115, 5_015).stepped);
        assert!(book.begin("a", 120, 5_020).stepped);
        assert!(book.begin("b", 10, 5_100).stepped);
        let look = book.write(|t| confirm_at(t, "me", seconds(20, 5_110 + jump)));
        assert!(!look.stepped && look.agent == 30, "{look:?}");
        assert!(!book.look(25, 5_115 + jump).stepped);
        let records = book.records();
        assert_eq!(
            records.iter().map(|record| record["kind"].as_str().unwrap()).collect::<Vec<_>>(),
            ["clock-stepped", "clock-confirmed"]
        );
        let (stepped, confirmed) = (&records[0], &records[1]);
        assert_eq!((&stepped["expected"], &stepped["found"]), (&5_010.into(), &(5_010 + jump).into()));
        assert_eq!((&stepped["oldOffset"], &stepped["newOffset"]), (&4_900.into(), &(4_900 + jump).into()));
        assert_eq!((&confirmed["by"], &confirmed["newOffset"]), (&"me".into(), &(5_090 + jump).into()));
    }
}

#[test]
fn a_step_while_the_vault_was_away_is_seen_at_its_start() {
    let mut book = Book::new();
    book.begin("a", 100, 5_000);
    assert!(!book.begin("a", 160, 5_060 + 60).stepped, "a minute is allowed");
    assert!(book.begin("a", 170, 5_070 + 61 + 60).stepped);
}

#[test]
fn after_another_boot_the_wall_clock_may_not_be_earlier_than_the_last_time_on_record() {
    for (wall, stepped) in [(5_200 - 60, false), (5_200 - 61, true), (900_000, false)] {
        let mut book = Book::new();
        book.begin("a", 100, 5_000);
        book.look(300, 5_200);
        assert_eq!(book.begin("b", 10, wall).stepped, stepped, "{wall}");
        if stepped {
            let records = book.records();
            assert_eq!((&records[0]["expected"], &records[0]["oldOffset"]), (&5_200.into(), &serde_json::Value::Null));
            // Not even a second start makes it right.
            assert!(book.begin("c", 10, 5_500).stepped);
        }
    }
}

#[test]
fn looking_writes_once_a_minute_and_a_mark_each_time() {
    let mut book = Book::new();
    book.begin("a", 100, 5_000);
    let mut written = vec![100_000];
    for look in 1..=60 {
        book.look(100 + look * 5, 5_000 + look * 5);
        written.push(book.write(Row::read).unwrap().at);
    }
    written.dedup();
    assert_eq!(written, [100_000, 160_000, 220_000, 280_000, 340_000, 400_000]);
    book.write(|t| look_at(t, seconds(401, 5_301), true));
    assert_eq!(book.begin("b", 0, 5_301).agent, 301, "nothing of it is lost");
}
