//! Until when a registration is taken, in the agent's own time: a wall clock that is set neither opens nor lengthens it.

use super::{Condition, audit, time};
use rusqlite::Transaction;

/// What `init` opens when it makes an agent, seconds.
pub const AT_INIT: u64 = 60 * 60;

/// From now on, for so many seconds.
pub fn open(transaction: &Transaction<'_>, seconds: u64, by: &str) -> Result<(), rusqlite::Error> {
    let until = time::mark(transaction)?.agent.saturating_add(seconds);
    // The ledger's numbers have a sign.
    Condition::RegistrationUntil.write(transaction, until.min(i64::MAX as u64))?;
    let fields = serde_json::json!({ "step": "opened", "seconds": seconds, "by": by });
    audit::append(transaction, "registration-window", &fields)
}

/// On record where it was open.
pub fn close(transaction: &Transaction<'_>, by: &str) -> Result<(), rusqlite::Error> {
    if left(transaction)?.is_none() {
        return Ok(());
    }
    Condition::RegistrationUntil.write(transaction, 0)?;
    audit::append(transaction, "registration-window", &serde_json::json!({ "step": "closed", "by": by }))
}

/// For so many seconds still; `None` where it is closed.
pub fn left(transaction: &Transaction<'_>) -> Result<Option<u64>, rusqlite::Error> {
    let until = Condition::RegistrationUntil.read(transaction)?;
    let now = time::agent(transaction)?;
    Ok((until > now).then(|| until - now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::schema;
    use crate::window_time::Reading;

    struct Book {
        _dir: tempfile::TempDir,
        connection: rusqlite::Connection,
    }

    impl Book {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut book = Self { connection: schema::open(&dir.path().join("ledger"), true).unwrap(), _dir: dir };
            book.boot("a", 0, 0);
            book
        }

        fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
            let transaction = self.connection.transaction().unwrap();
            let value = work(&transaction).unwrap();
            transaction.commit().unwrap();
            value
        }

        /// The vault began so many seconds ago in this boot, with a wall clock that was so much ahead then.
        fn boot(&mut self, boot: &str, ago: i64, ahead: i64) {
            let now = Reading::take();
            // As a vault at work does from time to time.
            self.write(time::mark);
            let then = Reading { wall: now.wall - (ago - ahead) * 1000, boot: now.boot - ago * 1000 };
            self.write(|t| time::begin(t, boot, then));
        }

        fn left(&mut self) -> Option<u64> {
            self.write(left)
        }

        fn steps(&mut self) -> Vec<String> {
            let lines = self.write(|t| audit::page(t, 0)).0;
            let records = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let of_it = records.filter(|record| record["kind"] == "registration-window");
            of_it.map(|record| format!("{} by {}", record["step"], record["by"]).replace('"', "")).collect()
        }
    }

    fn about(left: Option<u64>, seconds: u64) -> bool {
        left.is_some_and(|left| left <= seconds && left + 60 > seconds)
    }

    #[test]
    fn it_is_closed_until_it_is_opened_and_ends_by_itself_or_by_somebody() {
        let mut book = Book::new();
        assert_eq!(book.left(), None);
        book.write(|t| close(t, "nobody"));
        book.write(|t| open(t, 3600, "init"));
        assert!(about(book.left(), 3600));
        book.boot("b", 1800, 0);
        assert!(about(book.left(), 1800), "half an hour of another boot");
        book.boot("c", 3601, 0);
        assert_eq!(book.left(), None);
        book.write(|t| open(t, 60, "uid 0"));
        assert!(about(book.left(), 60), "and no more than that");
        book.write(|t| close(t, "uid 1"));
        book.write(|t| close(t, "uid 2"));
        assert_eq!(book.left(), None);
        assert_eq!(book.steps(), ["opened by init", "opened by uid 0", "closed by uid 1"]);
    }

    #[test]
    fn a_wall_clock_that_is_set_neither_opens_nor_lengthens_nor_shortens_it() {
        const DAY: i64 = 86_400;
        for ahead in [-DAY, -7200, 7200, DAY] {
            let mut book = Book::new();
            book.boot("b", 0, ahead);
            assert_eq!(book.left(), None, "{ahead}");
            book.write(|t| open(t, 3600, "init"));
            book.boot("c", 1800, -ahead);
            assert!(about(book.left(), 1800), "{ahead}: {:?}", book.left());
            book.boot("d", 1801, ahead);
            assert_eq!(book.left(), None, "{ahead}");
            book.boot("e", 0, -ahead);
            assert_eq!(book.left(), None, "{ahead}");
        }
    }
}
