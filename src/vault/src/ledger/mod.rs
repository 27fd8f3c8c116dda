//! The ledger: SQLite in WAL mode, `synchronous=FULL`, owned by one thread. It drains what has arrived, applies it in one
//! transaction, commits, and only then answers: a burst costs one fsync a batch.

mod actions;
mod announce;
mod at_rest;
pub mod audit;
pub mod held_for_clock;
mod in_force;
pub mod listing;
pub mod past;
mod people;
mod refused;
mod registration;
pub mod registration_window;
mod schema;
pub mod second;
mod signing;
mod story;
pub mod time;
pub mod timeline;
pub mod tokens;
mod windows;

pub use actions::{Fate, Row, Settling, State, expire, judge, see, settle};
pub use announce::Event;
pub use at_rest::look;
pub use audit::Condition;
pub use in_force::{InForce, LastSigned};
pub use people::{Brought, Heard, Source, Word, hear, on_record};
pub use registration::{Phase, RegistrationRow};
pub use signing::{Kept, Recorded, Submitted, UnderWay, keep};
pub use story::{contradiction, digests};
pub use windows::{forget, used_of};

use announce::{Announcer, Listener};
use config::seams::crash_point;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The most that one transaction takes.
const BATCH: usize = 512;
/// How much of that are clients' questions: a door that asks without end does not make an approval wait behind all of it.
const QUESTIONS: usize = 32;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the ledger: {0}")]
    Sqlite(String),
    #[error("the ledger {path} is of schema {found}; this version knows {known}: run the version that wrote it")]
    Schema { path: String, found: i64, known: i64 },
    #[error(
        "the ledger {0} is missing although the deed is there: restore it from a backup; it is not made anew silently"
    )]
    Missing(String),
    #[error(
        "the ledger {path} is damaged ({why}): restore the state directory from a backup; it is neither repaired nor made anew silently"
    )]
    Damaged { path: String, why: String },
    #[error("the ledger ended")]
    Ended,
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        Error::Sqlite(e.to_string())
    }
}

/// Hears whether the transaction was committed.
type After = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// Gets the open transaction, or why there is none.
type Work = Box<dyn FnOnce(Result<&Transaction<'_>, Error>) -> After + Send>;

enum Message {
    Work(Work),
    /// There is a question.
    Question,
    Close(Sender<()>),
}

/// The way to the ledger's thread. What is written here is on disk when it is answered.
#[derive(Clone)]
pub struct Ledger {
    inbox: Sender<Message>,
    questions: Sender<Work>,
    complaint: Arc<Mutex<Option<String>>>,
    listener: Listener,
}

/// Since when a transaction is under way, if one is.
#[derive(Clone, Default)]
pub struct Busy(Arc<Mutex<Option<Instant>>>);

impl Busy {
    pub fn longest(&self) -> Option<Duration> {
        self.lock().map(|since| since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// Makes an empty ledger where there is none.
    pub fn create(path: &Path) -> Result<(), Error> {
        schema::open(path, true).map(drop)
    }

    /// Opens an existing ledger and starts its thread.
    pub fn open(path: &Path, busy: Busy) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing(path.display().to_string()));
        }
        let connection = schema::open(path, false)?;
        let (inbox, messages) = channel();
        let (questions, asked) = channel();
        let (complaint, listener) = (Arc::default(), Listener::default());
        let announcer = Announcer::new(&connection, listener.clone())?;
        let ledger = Self { inbox, questions, complaint: Arc::clone(&complaint), listener };
        thread::spawn(move || serve(connection, &messages, &asked, &complaint, &busy, announcer));
        Ok(ledger)
    }

    /// Writes all that is committed by now to a new file (SQLite's online backup); the ledger's own thread goes on meanwhile.
    pub fn copy(path: &Path, to: &Path) -> Result<(), Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let from = Connection::open_with_flags(path, flags)?;
        let mut to = Connection::open(to)?;
        let copy = Backup::new(&from, &mut to)?;
        while copy.step(-1)? != StepResult::Done {
            thread::sleep(Duration::from_millis(50));
        }
        drop(copy);
        // In one file, without a write-ahead log beside it.
        to.pragma_update(None, "journal_mode", "DELETE")?;
        Ok(())
    }

    /// From now on `hear` is told what becomes of actions, on the ledger's thread, once it is on disk.
    pub fn tell(&self, hear: impl Fn(Event) + Send + 'static) {
        self.listener.is(hear);
    }

    /// Why the last transaction could not be kept, if it was not.
    pub fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does `work` in the next transaction; `then` gets its result once that is committed, on the ledger's thread: it
    /// must be short. Where the commit fails it gets that error.
    pub fn post<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) {
        self.send(Message::Work(boxed(work, then)));
    }

    /// The same for what a client asks, a few of which a transaction takes: what the vault itself does goes first.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) {
        // The order matters: who is woken finds it. That a ledger has ended is said below.
        let _ = self.questions.send(boxed(work, then));
        self.send(Message::Question);
    }

    /// A ledger that ended drops the work, and with it `then`, whose replies then answer `Internal`.
    fn send(&self, message: Message) {
        if self.inbox.send(message).is_err() {
            tracing::error!("the ledger has ended");
        }
    }

    /// The same, and waits.
    pub fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = channel();
        self.post(work, move |result| {
            let _ = tell.send(result);
        });
        told.recv().map_err(|_| Error::Ended)?
    }

    /// Returns when all that was posted before is on disk.
    pub fn close(&self) {
        let (tell, told) = channel();
        if self.inbox.send(Message::Close(tell)).is_ok() {
            let _ = told.recv();
        }
    }
}

fn boxed<T: Send + 'static>(
    work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    then: impl FnOnce(Result<T, Error>) + Send + 'static,
) -> Work {
    Box::new(move |transaction| {
        let done = transaction.and_then(|transaction| in_savepoint(transaction, work));
        Box::new(move |committed| then(done.and_then(|value| committed.map(|()| value))))
    })
}

/// One work's failure takes back its own writes and nobody else's.
fn in_savepoint<T>(
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
) -> Result<T, Error> {
    // SQLite ends a transaction by itself where the disk is full or fails: a savepoint would then begin one of its own.
    if transaction.is_autocommit() {
        return Err(Error::Sqlite("the transaction was rolled back".into()));
    }
    transaction.execute_batch("SAVEPOINT work")?;
    let done = work(transaction);
    let closed = match &done {
        Ok(_) => transaction.execute_batch("RELEASE work"),
        Err(_) => transaction.execute_batch("ROLLBACK TO work; RELEASE work"),
    };
    let value = done?;
    closed?;
    Ok(value)
}

fn serve(
    mut connection: Connection,
    messages: &Receiver<Message>,
    questions: &Receiver<Work>,
    complaint: &Mutex<Option<String>>,
    busy: &Busy,
    mut announcer: Announcer,
) {
    // Whether there may be more questions than the last transaction took.
    let mut more = false;
    loop {
        let first = match messages.try_recv() {
            Err(TryRecvError::Empty) if !more => messages.recv().ok(),
            tried => tried.ok(),
        };
        if first.is_none() && !more {
            return;
        }
        let mut closing = None;
        let mut batch = Vec::new();
        for message in first.into_iter().chain(messages.try_iter().take(BATCH)) {
            match message {
                Message::Work(work) => batch.push(work),
                Message::Question => {}
                Message::Close(tell) => closing = Some(tell),
            }
        }
        let works = batch.len();
        let most = if closing.is_some() { usize::MAX } else { QUESTIONS };
        batch.extend(questions.try_iter().take(most));
        more = batch.len() - works == QUESTIONS;
        *busy.lock() = Some(Instant::now());
        let (afters, committed) = commit(&mut connection, batch);
        match &committed {
            Err(e) => *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string()),
            Ok(Wrote(true)) => *complaint.lock().unwrap_or_else(PoisonError::into_inner) = None,
            // That it could be read says nothing of a full disk.
            Ok(Wrote(false)) => {}
        }
        for after in afters {
            after(committed.clone().map(drop));
        }
        if let Ok(Wrote(true)) = committed {
            announcer.announce(&connection);
        }
        // What hears of the commit runs here too: one that hangs is no better than a disk that does.
        *busy.lock() = None;
        if let Some(tell) = closing {
            // The last connection's end moves the write-ahead log into the file.
            drop(connection);
            let _ = tell.send(());
            return;
        }
    }
}

/// Whether a transaction had anything to write.
#[derive(Clone, Copy)]
struct Wrote(bool);

/// Applies the batch in one transaction; who is to hear of it, and whether it was kept.
fn commit(connection: &mut Connection, batch: Vec<Work>) -> (Vec<After>, Result<Wrote, Error>) {
    if batch.is_empty() {
        return (Vec::new(), Ok(Wrote(false)));
    }
    let (afters, committed): (Vec<After>, _) =
        match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => {
                let before = changes(&transaction);
                let afters = batch.into_iter().map(|work| work(Ok(&transaction))).collect();
                let wrote = Wrote(changes(&transaction) != before);
                crash_point("ledger.before-commit");
                let done = transaction.commit().map_err(Error::from);
                crash_point("ledger.after-commit");
                (afters, done.map(|()| wrote))
            }
            Err(e) => {
                let e = Error::from(e);
                (batch.into_iter().map(|work| work(Err(e.clone()))).collect(), Err(e))
            }
        };
    if let Err(e) = &committed {
        tracing::error!("nothing of {} writes was kept: {e}", afters.len());
    }
    (afters, committed)
}

/// The rows that this connection has changed so far.
fn changes(transaction: &Transaction<'_>) -> Option<i64> {
    let mut statement = transaction.prepare_cached("SELECT total_changes()").ok()?;
    statement.query_row([], |row| row.get(0)).ok()
}

#[cfg(test)]
mod tests;
