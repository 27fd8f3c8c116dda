//! The tables. Their version is SQLite's `user_version`.

use super::Error;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE registration (
    only_one      INTEGER PRIMARY KEY CHECK (only_one = 1),
    phase         TEXT NOT NULL CHECK (phase IN ('finishing', 'registered')),
    name          TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    identity      BLOB NOT NULL,   -- the M-Pin identity's octets
    bls_public    BLOB NOT NULL,   -- 192 octets
    iddoc         BLOB NOT NULL,
    feed_url      TEXT,            -- what finish answered
    registered_at INTEGER          -- Unix seconds
) STRICT;
CREATE TABLE action (
    id         TEXT PRIMARY KEY,
    claim      TEXT,               -- the feed's type
    expires    INTEGER,            -- the feed's expireTime, Unix seconds
    seen       INTEGER NOT NULL,   -- Unix seconds
    state      TEXT NOT NULL CHECK (state IN
                   ('seen', 'held', 'approving', 'rejecting', 'approved', 'rejected', 'expired', 'failed', 'unknown')),
    verdict    TEXT,
    rule       TEXT,
    why        TEXT,
    decided_by TEXT,
    messages   BLOB,               -- postcard of the messages, once and for ever
    signatures BLOB,               -- postcard of the signatures that the backend accepted
    detail     TEXT,               -- the backend's words, bounded
    settled    INTEGER             -- Unix seconds
) STRICT, WITHOUT ROWID;
CREATE INDEX unsettled ON action (state) WHERE settled IS NULL;
-- SHA-256 of each message that was denied or rejected: under another id it is held at most.
CREATE TABLE refused (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
";

pub fn open(path: &Path, create: bool) -> Result<Connection, Error> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 && create {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    } else if found != VERSION {
        return Err(Error::Schema { path: path.display().to_string(), found, known: VERSION });
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        for create in [true, false] {
            let connection = open(&dir.path().join("ledger"), create).unwrap();
            let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
            assert_eq!((mode.as_str(), synchronous), ("wal", 2), "WAL, and FULL");
        }
    }
}
