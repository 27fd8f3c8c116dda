//! The ledger's thread: what is in one transaction, and what an answer means.

use super::*;

/// However many clients ask, what the vault does waits for a few of them, and all are answered.
#[test]
fn questions_wait_for_work_and_none_is_forgotten() {
    const ASKED: usize = 40 * QUESTIONS;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    Ledger::create(&path).unwrap();
    let ledger = Ledger::open(&path, Busy::default()).unwrap();
    let (tell, told) = channel();
    // The ledger is held until all of it has been posted.
    let (open, gate) = channel::<()>();
    ledger.post(|_| Ok(()), move |_| gate.recv().unwrap());
    for _ in 0..ASKED {
        let tell = tell.clone();
        ledger.ask(|_| Ok(()), move |_| tell.send("question").unwrap());
    }
    ledger.post(|_| Ok(()), move |_| tell.send("work").unwrap());
    open.send(()).unwrap();
    let order: Vec<&str> = told.iter().take(ASKED + 1).collect();
    let place = order.iter().position(|what| *what == "work").unwrap();
    // The inbox is taken 513 at a time, with a few questions each.
    assert!(place <= (ASKED / BATCH + 1) * QUESTIONS, "the work came after {place} questions");
    ledger.ask(|_| Ok(()), |_| {});
    ledger.close();
}

#[test]
fn a_failed_write_takes_back_only_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    Ledger::create(&path).unwrap();
    let ledger = Ledger::open(&path, Busy::default()).unwrap();
    let put = "INSERT INTO refused (digest) VALUES (?1)";
    let (tell, told) = channel();
    for digest in [b"a", b"a", b"b"] {
        let tell = tell.clone();
        ledger.post(move |t| t.execute(put, [digest.as_slice()]), move |r| tell.send(r.is_ok()).unwrap());
    }
    assert_eq!(told.iter().take(3).collect::<Vec<_>>(), [true, false, true]);
    let count = ledger.call(|t| t.query_row("SELECT count(*) FROM refused", [], |r| r.get::<_, i64>(0)));
    assert_eq!(count.unwrap(), 2);
}

#[test]
fn after_sqlite_rolled_back_by_itself_nothing_of_the_batch_is_kept_or_called_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    Ledger::create(&path).unwrap();
    let mut connection = schema::open(&path, false).unwrap();
    let (tell, told) = channel();
    let put = |digest: &'static [u8], breaks: bool| -> Work {
        let tell = tell.clone();
        Box::new(move |transaction| {
            let done = transaction.and_then(|t| {
                in_savepoint(t, |t| {
                    if breaks {
                        t.execute_batch("ROLLBACK")?;
                    }
                    t.execute("INSERT INTO refused (digest) VALUES (?1)", [digest])
                })
            });
            Box::new(move |committed| tell.send(done.is_ok() && committed.is_ok()).unwrap())
        })
    };
    let apply = |connection: &mut Connection, batch| {
        let (afters, committed) = commit(connection, batch);
        afters.into_iter().for_each(|after| after(committed.clone().map(drop)));
    };
    apply(&mut connection, vec![put(b"a", false), put(b"b", true), put(b"c", false)]);
    assert_eq!(told.iter().take(3).collect::<Vec<_>>(), [false; 3]);
    let kept = |c: &Connection| c.query_row("SELECT count(*) FROM refused WHERE digest <> x'62'", [], |r| r.get(0));
    assert_eq!(kept(&connection).unwrap_or(-1i64), 0);
    apply(&mut connection, vec![put(b"d", false)]);
    assert!(told.recv().unwrap());
}

#[test]
fn what_was_answered_is_there_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    Ledger::create(&path).unwrap();
    let ledger = Ledger::open(&path, Busy::default()).unwrap();
    ledger.call(|t| t.execute("INSERT INTO refused (digest) VALUES (x'01')", [])).unwrap();
    ledger.close();
    assert!(matches!(ledger.call(|_| Ok(())), Err(Error::Ended)));
    let again = Ledger::open(&path, Busy::default()).unwrap();
    let count = again.call(|t| t.query_row("SELECT count(*) FROM refused", [], |r| r.get::<_, i64>(0)));
    assert_eq!(count.unwrap(), 1);
}

#[test]
fn a_missing_ledger_is_not_made_anew_and_a_foreign_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    assert!(matches!(Ledger::open(&path, Busy::default()), Err(Error::Missing(_))));
    Ledger::create(&path).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Ledger::open(&path, Busy::default()), Err(Error::Schema { found: 99, .. })));
}
