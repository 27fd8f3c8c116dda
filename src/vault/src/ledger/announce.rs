//! What became of actions, told to whoever listens: as the audit log has it, once that is on disk, each once and in its order.

use ipc::bounded;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A decision that was recorded, or an end (docs/api.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    event: &'static str,
    #[serde(rename = "actionID")]
    pub action: String,
    /// The feed's type.
    #[serde(skip)]
    pub claim: Option<String>,
    /// As lists have it.
    pub status: String,
    /// What policy says of it.
    pub verdict: Option<String>,
    pub rule: Option<String>,
    pub decided_by: Option<String>,
    /// Unix seconds.
    pub at: u64,
}

#[cfg(test)]
impl Event {
    pub fn for_a_test(action: &str, status: &str) -> Self {
        let (action, status) = (action.to_owned(), status.to_owned());
        Self { event: "decision", action, claim: None, status, verdict: None, rule: None, decided_by: None, at: 0 }
    }
}

type Hear = Box<dyn Fn(Event) + Send>;

#[derive(Clone, Default)]
pub struct Listener(Arc<Mutex<Option<Hear>>>);

impl Listener {
    pub fn is(&self, hear: impl Fn(Event) + Send + 'static) {
        *self.lock() = Some(Box::new(hear));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Hear>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Announcer {
    /// The record that was not looked at yet.
    next: u64,
    listener: Listener,
}

impl Announcer {
    /// What is on record by now is nobody's news.
    pub fn new(connection: &Connection, listener: Listener) -> Result<Self, rusqlite::Error> {
        Ok(Self { next: size(connection)?, listener })
    }

    /// After a commit. What cannot be read is not told: the ledger has it, and lists and stories show it.
    pub fn announce(&mut self, connection: &Connection) {
        let listener = self.listener.lock();
        let told = match &*listener {
            Some(hear) => fresh(connection, self.next).map(|(next, events)| {
                events.into_iter().for_each(hear);
                next
            }),
            None => size(connection),
        };
        match told {
            Ok(next) => self.next = next,
            Err(e) => tracing::warn!("what became of actions is not announced: {e}"),
        }
    }
}

fn size(connection: &Connection) -> Result<u64, rusqlite::Error> {
    connection.prepare_cached("SELECT coalesce(max(n) + 1, 0) FROM audit")?.query_row([], |row| row.get(0))
}

#[derive(Deserialize)]
struct Record {
    kind: String,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    end: Option<String>,
}

fn fresh(connection: &Connection, from: u64) -> Result<(u64, Vec<Event>), rusqlite::Error> {
    let sql = "SELECT n, unixepoch(json_extract(line, '$.time')), line FROM audit WHERE n >= ?1 ORDER BY n";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([from])?;
    let (mut next, mut events) = (from, Vec::new());
    while let Some(row) = rows.next()? {
        next = row.get::<_, u64>(0)? + 1;
        let Ok(record) = serde_json::from_str::<Record>(row.get_ref(2)?.as_str()?) else { continue };
        if matches!(record.kind.as_str(), "decision" | "settled") {
            events.extend(event(connection, record, row.get(1)?)?);
        }
    }
    Ok((next, events))
}

fn event(connection: &Connection, record: Record, at: u64) -> Result<Option<Event>, rusqlite::Error> {
    let Some(action) = record.action else { return Ok(None) };
    let sql = "SELECT verdict, rule, decided_by, claim FROM action WHERE id = ?1";
    let row = connection.prepare_cached(sql)?.query_row([&action], |row| {
        let text = |n| row.get::<_, Option<String>>(n);
        Ok((text(0)?, text(1)?, text(2)?, text(3)?))
    });
    let Some((verdict, rule, decided_by, claim)) = row.optional()? else { return Ok(None) };
    let (status, decided_by) = match (record.kind.as_str(), record.verdict.as_deref()) {
        ("settled", _) => (record.end.unwrap_or_default(), decided_by),
        (_, Some("approve")) => ("approving".to_owned(), record.by),
        // Nobody has decided it.
        (_, Some("hold")) => ("held".to_owned(), None),
        _ => ("rejecting".to_owned(), record.by),
    };
    let (rule, decided_by) = (rule.map(|rule| bounded(&rule)), decided_by.map(|by| bounded(&by)));
    Ok(Some(Event { event: "decision", action, claim, status, verdict, rule, decided_by, at }))
}

#[cfg(test)]
#[path = "announce_tests.rs"]
mod tests;
