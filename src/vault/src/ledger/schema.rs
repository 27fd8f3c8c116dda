//! The tables. Their version is SQLite's `user_version`.

use super::Error;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;

pub const VERSION: i64 = 5;

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
    signatures BLOB,               -- postcard of the signatures, before any leaves; none but these for ever
    detail     TEXT,               -- the backend's words, bounded
    settled    INTEGER             -- Unix seconds
) STRICT, WITHOUT ROWID;
CREATE INDEX unsettled ON action (state) WHERE settled IS NULL;
-- SHA-256 of each message that was denied or rejected: under another id it is held at most.
CREATE TABLE refused (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
";

/// What version 2 added.
const AUDIT_TABLES: &str = "
-- The audit log's records as they are hashed and exported, from 0.
CREATE TABLE audit (n INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
-- The hashes of the log's complete subtrees (RFC 6962 §2.1); level 0 is the leaves.
CREATE TABLE node (level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, place))
    STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (
    size     INTEGER PRIMARY KEY,  -- how many records it covers
    note     TEXT NOT NULL,        -- as it was signed
    cosigned TEXT NOT NULL DEFAULT ''  -- the witnesses' signature lines
) STRICT;
-- What outlives a restart besides: the number of the last start, and whether the agent is frozen.
CREATE TABLE condition (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What version 3 added.
const CONTRADICTION_TABLE: &str = "
-- Which contradictions are on record already: a client that says one in a loop adds none.
CREATE TABLE contradiction (action TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY (action, what)) STRICT, WITHOUT ROWID;
";

/// What version 4 added: velocity windows and the agent's time;
const WINDOW_TABLES: &str = "
-- What approvals let go, as velocity windows count it. No outcome takes a row away; it goes when no window can ask for it.
CREATE TABLE movement (
    at          INTEGER NOT NULL,  -- the agent's time, seconds
    decision    INTEGER NOT NULL,  -- the approval's record in the audit log
    place       INTEGER NOT NULL,  -- within the approval, from 0
    action      TEXT NOT NULL,
    currency    INTEGER NOT NULL,
    wallet      TEXT NOT NULL,
    destination TEXT NOT NULL,
    rule        TEXT,              -- that approved it, or held it before a person released it
    amount      INTEGER NOT NULL,  -- 64 bits without a sign: above i64::MAX it looks negative here
    PRIMARY KEY (at, decision, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX movement_currency ON movement (currency, at, decision, amount, rule);
CREATE INDEX movement_wallet ON movement (wallet, at, decision, currency, amount, rule);
CREATE INDEX movement_destination ON movement (destination, at, decision, currency, wallet, amount, rule);
-- The agent's time, and where the wall clock should be: milliseconds.
CREATE TABLE agent_time (
    only_one  INTEGER PRIMARY KEY CHECK (only_one = 1),
    boot      TEXT NOT NULL,
    agent     INTEGER NOT NULL,
    at        INTEGER NOT NULL,    -- the time since that boot when agent was so
    wall      INTEGER NOT NULL,    -- when it was last believed
    reference INTEGER NOT NULL     -- wall clock minus time since the boot
) STRICT;
-- What is held for no other cause than a wall clock that jumped: it is judged once that is confirmed.
CREATE TABLE held_for_clock (action TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

const SECOND_OPINION_TABLE: &str = "
-- What policy approves and the callback has not answered for: when it was asked about last, the agent's time, seconds.
CREATE TABLE awaited (action TEXT PRIMARY KEY, asked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// and tokens, and what people said.
const PEOPLE_TABLES: &str = "
CREATE TABLE token (
    name    TEXT PRIMARY KEY,
    scope   TEXT NOT NULL,
    hash    BLOB NOT NULL,         -- SHA-256 of the token
    made    INTEGER NOT NULL,      -- Unix seconds
    expires INTEGER,               -- Unix seconds
    used    INTEGER                -- Unix seconds, to the hour
) STRICT, WITHOUT ROWID;
CREATE TABLE approval (
    approver  TEXT NOT NULL,
    nonce     BLOB NOT NULL,
    action    TEXT NOT NULL,
    verb      TEXT NOT NULL CHECK (verb IN ('approve', 'reject')),
    messages  BLOB NOT NULL,       -- the digest that the statement names
    expires   INTEGER NOT NULL,    -- Unix seconds
    key       TEXT NOT NULL,       -- the public key that it was signed with
    statement TEXT NOT NULL,       -- its octets
    signature TEXT NOT NULL,       -- armored
    at        INTEGER NOT NULL,    -- Unix seconds
    PRIMARY KEY (approver, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_of ON approval (action, verb);
";

/// And for policies that are replaced.
const POLICY_TABLES: &str = "
-- Which policy is in force: what was judged under another one is judged anew.
CREATE TABLE policy_in_force (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    hash     BLOB NOT NULL,        -- SHA-256 of its text
    serial   INTEGER               -- what it calls itself
) STRICT;
-- The last policy that was taken for its signatures: none of an earlier serial is taken after it.
CREATE TABLE policy_signed (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    serial   INTEGER NOT NULL,
    hash     BLOB NOT NULL
) STRICT;
-- SHA-256 of the policy that the verdict is of.
ALTER TABLE action ADD COLUMN policy BLOB;
-- For questions about what was, in order.
CREATE INDEX action_seen ON action (seen);
";

/// What version 5 added. A token's scope is several, with commas.
const TOKEN_COLUMN: &str = "ALTER TABLE token ADD COLUMN per_minute INTEGER;";

/// And for lists of actions and their stories.
const LISTING: &str = "
-- In the order of the list, with what stands behind the messages in the table: there it costs reading them.
CREATE INDEX action_listed ON action (state, seen, id, settled);
-- What an action's messages say, in bounded words: the list does not read them again.
CREATE TABLE action_facts (action TEXT PRIMARY KEY, words TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- The records that are about an action.
CREATE INDEX audit_action ON audit (json_extract(line, '$.action')) WHERE json_extract(line, '$.action') IS NOT NULL;
";

/// What each version added; some have several parts.
const ALL: [&[&str]; 5] = [
    &[TABLES],
    &[AUDIT_TABLES],
    &[CONTRADICTION_TABLE],
    &[WINDOW_TABLES, SECOND_OPINION_TABLE, PEOPLE_TABLES, POLICY_TABLES],
    &[TOKEN_COLUMN, LISTING],
];

pub fn open(path: &Path, create: bool) -> Result<Connection, Error> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let mut connection = Connection::open_with_flags(path, flags)?;
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|e| damage(path, e))?;
    if !create {
        sound(&connection, path, found)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Not in files elsewhere, which the jail would refuse.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    let missing: &[&[&str]] = match found {
        0 if create => &ALL,
        1..VERSION => ALL.get(usize::try_from(found).unwrap_or_default()..).unwrap_or_default(),
        VERSION => &[],
        _ => return Err(Error::Schema { path: path.display().to_string(), found, known: VERSION }),
    };
    if !missing.is_empty() {
        let transaction = connection.transaction()?;
        missing.iter().copied().flatten().try_for_each(|tables| transaction.execute_batch(tables))?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A torn or tampered file is refused here, before anything is written to it.
pub fn sound(connection: &Connection, path: &Path, version: i64) -> Result<(), Error> {
    let damaged = |why: &str| Err(Error::Damaged { path: path.display().to_string(), why: why.into() });
    if version == 0 {
        return damaged("it is empty");
    }
    let said: Result<String, _> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => damaged(&said),
        Err(e) => Err(damage(path, e)),
    }
}

pub fn damage(path: &Path, e: rusqlite::Error) -> Error {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Damaged { path: path.display().to_string(), why: e.to_string() }
        }
        _ => e.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_of_an_earlier_version_is_taken_on_with_all_that_is_in_it() {
        for version in 1..ALL.len() {
            let tables: Vec<&str> = ALL[..version].iter().copied().flatten().copied().collect();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger");
            let old = Connection::open(&path).unwrap();
            tables.iter().for_each(|tables| old.execute_batch(tables).unwrap());
            old.execute_batch("INSERT INTO refused (digest) VALUES (x'01')").unwrap();
            old.pragma_update(None, "user_version", version as i64).unwrap();
            drop(old);
            let connection = open(&path, false).unwrap();
            let count = |table: &str| -> i64 {
                connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
            };
            let new = ["audit", "contradiction", "movement", "awaited", "token", "approval", "action_facts"].map(count);
            assert_eq!((count("refused"), new), (1, [0; 7]));
            assert_eq!(["policy_in_force", "policy_signed", "action WHERE policy IS NOT NULL"].map(count), [0; 3]);
        }
    }

    #[test]
    fn a_torn_ledger_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        drop(open(&path, true).unwrap());
        let whole = std::fs::read(&path).unwrap();
        for torn in [0, 1, 100, 4096, whole.len() - 4096] {
            std::fs::write(&path, &whole[..torn]).unwrap();
            let refused = open(&path, false);
            assert!(matches!(refused, Err(Error::Damaged { .. } | Error::Sqlite(_))), "{torn} octets: {refused:?}");
            assert!(std::fs::read(&path).unwrap() == whole[..torn], "{torn} octets: it was written to");
        }
    }

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
