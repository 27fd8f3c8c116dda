//! The audit log in the ledger: each record is written in the transaction of what it tells of, so that there is never one
//! without the other. Its format is the `audit` crate's.

use crate::clock;
use ::audit::tree::{self, Nodes};
use ::audit::{Hash, VerifyingKey, export, record};
use ipc::Method;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

/// What one page of an export holds at the most, octets.
const PAGE: usize = 256 << 10;

/// How far the log is, and its checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many records there are.
    pub size: u64,
    pub root: Hash,
    /// How many of them the last checkpoint covers.
    pub covered: u64,
}

/// Numbers that outlive a restart.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// How many times a vault began to work on this ledger.
    Epoch,
    /// 1: nothing is signed.
    Frozen,
    /// 1: the wall clock jumped, and no operator has confirmed it; nothing is approved.
    ClockStepped,
    /// 1: nothing is signed, for the policy lacks its signatures.
    Unsigned,
    /// Until when a registration is taken, the agent's time in seconds; 0: none is.
    RegistrationUntil,
    /// That of the last change that people signed: none of a lower one, or of the same, is made after it.
    ChangeSerial,
    /// When the deed was written that this ledger was last opened with, Unix seconds.
    DeedWritten,
    /// One more than the number of the last record that names another audit key.
    AuditKeyAfter,
    /// The agent's time, seconds: what was approved until then is not all on record, for the ledger was an older one.
    WindowsFullUntil,
    /// Written to see whether it can be.
    Pulse,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Condition::Epoch => "epoch",
            Condition::Frozen => "frozen",
            Condition::ClockStepped => "clock-stepped",
            Condition::Unsigned => "unsigned",
            Condition::RegistrationUntil => "registration-until",
            Condition::ChangeSerial => "change-serial",
            Condition::DeedWritten => "deed-written",
            Condition::AuditKeyAfter => "audit-key-after",
            Condition::WindowsFullUntil => "windows-full-until",
            Condition::Pulse => "pulse",
        }
    }

    /// 0 where it was never written.
    pub fn read(self, transaction: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
        let sql = "SELECT value FROM condition WHERE name = ?1";
        let value = transaction.prepare_cached(sql)?.query_row([self.name()], |row| row.get(0)).optional()?;
        Ok(value.unwrap_or_default())
    }

    pub fn write(self, transaction: &Transaction<'_>, value: u64) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO condition (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        transaction.prepare_cached(sql)?.execute(params![self.name(), value]).map(drop)
    }
}

/// Appends a record of this kind.
pub fn append(transaction: &Transaction<'_>, kind: &str, fields: &impl Serialize) -> Result<(), rusqlite::Error> {
    let n = size(transaction)?;
    let nodes = Table(transaction);
    let prev = match n {
        0 => record::FIRST,
        n => nodes.get(0, n - 1)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
    };
    let line = record::line(n, &prev, clock::now_ms(), kind, fields).map_err(Fault::from)?;
    for (level, place, hash) in
        tree::completed(&nodes, n, tree::leaf_hash(line.as_bytes())).map_err(rusqlite::Error::from)?
    {
        let sql = "INSERT INTO node (level, place, hash) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(sql)?.execute(params![level, place, hash.as_slice()])?;
    }
    transaction.prepare_cached("INSERT INTO audit (n, line) VALUES (?1, ?2)")?.execute(params![n, line])?;
    Ok(())
}

/// Puts on record what the courier is sent out for, with a pass of this agent's.
pub fn errand(transaction: &Transaction<'_>, method: Method, tail: &str) -> Result<(), rusqlite::Error> {
    let method = match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    };
    append(transaction, "errand", &serde_json::json!({ "method": method, "path": tail }))
}

/// Puts on record who signs checkpoints from here on.
pub fn change_key(t: &Transaction<'_>, from: &VerifyingKey, to: &VerifyingKey) -> Result<(), rusqlite::Error> {
    let (from, to) = (from.to_string(), to.to_string());
    append(t, record::KEY, &record::KeyChange { from, to })?;
    Condition::AuditKeyAfter.write(t, size(t)?)
}

/// The key that signed until `key` was named, and the number of the record that names it.
fn key_before(t: &Transaction<'_>, key: &VerifyingKey) -> Result<Option<(VerifyingKey, u64)>, rusqlite::Error> {
    let Some(n) = Condition::AuditKeyAfter.read(t)?.checked_sub(1) else { return Ok(None) };
    let line: String = t.query_row("SELECT line FROM audit WHERE n = ?1", [n], |row| row.get(0))?;
    let change = record::Envelope::parse(line.as_bytes()).map_err(Fault::from)?.key;
    Ok(change.filter(|change| change.to == key.to_string()).and_then(|change| Some((change.from.parse().ok()?, n))))
}

pub fn head(transaction: &Transaction<'_>) -> Result<Head, rusqlite::Error> {
    let size = size(transaction)?;
    let root = tree::root(&Table(transaction), size).map_err(rusqlite::Error::from)?;
    Ok(Head { size, root, covered: covered(transaction)? })
}

/// The root over the first `size` records.
pub fn root(transaction: &Transaction<'_>, size: u64) -> Result<Hash, rusqlite::Error> {
    tree::root(&Table(transaction), size).map_err(rusqlite::Error::from)
}

/// How many records there are, and how many of them a checkpoint covers.
pub fn counts(transaction: &Transaction<'_>) -> Result<(u64, u64), rusqlite::Error> {
    Ok((size(transaction)?, covered(transaction)?))
}

pub fn keep_checkpoint(transaction: &Transaction<'_>, size: u64, note: &str) -> Result<(), rusqlite::Error> {
    transaction.execute("INSERT INTO checkpoint (size, note) VALUES (?1, ?2)", params![size, note]).map(drop)
}

/// The checkpoint of this size as it was signed.
pub fn checkpoint(transaction: &Transaction<'_>, size: u64) -> Result<Option<String>, rusqlite::Error> {
    let sql = "SELECT note FROM checkpoint WHERE size = ?1";
    transaction.query_row(sql, [size], |row| row.get(0)).optional()
}

/// Adds what a witness signed it with.
pub fn cosigned(transaction: &Transaction<'_>, size: u64, lines: &str) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE checkpoint SET cosigned = cosigned || ?2 WHERE size = ?1";
    transaction.execute(sql, params![size, lines]).map(drop)
}

/// That the log of `new` records begins with the log of `old` (RFC 6962 §2.1.2).
pub fn consistency(transaction: &Transaction<'_>, old: u64, new: u64) -> Result<Vec<Hash>, rusqlite::Error> {
    tree::consistency_proof(&Table(transaction), old, new).map_err(rusqlite::Error::from)
}

/// Lines of the export from this record on, each checkpoint after the last record that it covers; and where to go on.
pub fn page(transaction: &Transaction<'_>, from: u64) -> Result<(Vec<String>, Option<u64>), rusqlite::Error> {
    let sql = "SELECT a.n, a.line, c.note FROM audit a LEFT JOIN checkpoint c ON c.size = a.n + 1
               WHERE a.n >= ?1 ORDER BY a.n";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([from])?;
    let (mut lines, mut octets) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if octets > PAGE {
            return Ok((lines, Some(row.get(0)?)));
        }
        let line: String = row.get(1)?;
        octets += line.len();
        lines.push(line);
        if let Some(note) = row.get::<_, Option<String>>(2)? {
            let line = export::checkpoint_line(&note);
            octets += line.len();
            lines.push(line);
        }
    }
    Ok((lines, None))
}

/// Whether the log is whole as far as it can be seen without reading all of it: no gap, the last record and the last
/// checkpoint fit the tree, and `key` signed it; or the key before it, once it has vouched for `key`. The words say what does not fit.
pub fn check(transaction: &Transaction<'_>, key: &VerifyingKey) -> Result<Option<String>, rusqlite::Error> {
    let nodes = Table(transaction);
    let size = size(transaction)?;
    let count: u64 = transaction.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))?;
    let leaves: u64 = transaction.query_row("SELECT count(*) FROM node WHERE level = 0", [], |row| row.get(0))?;
    if count != size || leaves != size {
        return Ok(Some(format!("of {size} records {count} are there, and {leaves} leaves")));
    }
    if let Some(last) = size.checked_sub(1) {
        let line: String = transaction.query_row("SELECT line FROM audit WHERE n = ?1", [last], |row| row.get(0))?;
        if nodes.get(0, last)? != Some(tree::leaf_hash(line.as_bytes())) {
            return Ok(Some(format!("record {last} is not the one that its leaf is of")));
        }
    }
    let covered = covered(transaction)?;
    let Some(note) = checkpoint(transaction, covered)? else { return Ok(None) };
    let verified = key.verify(&note).or_else(|e| match key_before(transaction, key) {
        Ok(Some((before, n))) if n < covered => before.verify(&note),
        _ => Err(e),
    });
    match verified {
        Err(e) => Ok(Some(format!("the checkpoint of {covered} records: {e}"))),
        Ok(checkpoint) if covered > size || checkpoint.size != covered => {
            Ok(Some(format!("there are {size} records, the last checkpoint is of {}", checkpoint.size)))
        }
        Ok(checkpoint) if tree::root(&nodes, covered).map_err(rusqlite::Error::from)? != checkpoint.root => {
            Ok(Some(format!("the first {covered} records are not those that the checkpoint covers")))
        }
        Ok(_) => Ok(None),
    }
}

fn size(transaction: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
    transaction.prepare_cached("SELECT coalesce(max(n) + 1, 0) FROM audit")?.query_row([], |row| row.get(0))
}

fn covered(transaction: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
    transaction.prepare_cached("SELECT coalesce(max(size), 0) FROM checkpoint")?.query_row([], |row| row.get(0))
}

struct Table<'a>(&'a Transaction<'a>);

impl Nodes for Table<'_> {
    type Error = Fault;

    fn get(&self, level: u8, index: u64) -> Result<Option<Hash>, Fault> {
        let sql = "SELECT hash FROM node WHERE level = ?1 AND place = ?2";
        Ok(self.0.prepare_cached(sql)?.query_row(params![level, index], |row| row.get(0)).optional()?)
    }
}

/// The tree's errors among SQLite's.
struct Fault(rusqlite::Error);

impl From<rusqlite::Error> for Fault {
    fn from(e: rusqlite::Error) -> Self {
        Self(e)
    }
}

impl From<::audit::Error> for Fault {
    fn from(e: ::audit::Error) -> Self {
        Self(rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
    }
}

impl From<Fault> for rusqlite::Error {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
