//! Which policy is in force. The ledger says so, in the transaction that puts it on record: what was judged under another one
//! is not decided by it any more, however late it comes.

use super::actions::{Fate, Row, State, ids, write};
use super::audit;
use crate::pipeline::Judged;
use ipc::ActionId;
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Map, Value, json};

/// A policy as the ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    pub serial: Option<u64>,
}

impl InForce {
    pub fn of(policy: &policy::Policy) -> InForce {
        InForce { hash: policy.hash(), serial: policy.serial() }
    }

    /// `None` where no vault has begun to work on this ledger since it can say so.
    pub fn read(transaction: &Transaction<'_>) -> Result<Option<InForce>, rusqlite::Error> {
        let sql = "SELECT hash, serial FROM policy_in_force";
        let read = |row: &rusqlite::Row<'_>| Ok(InForce { hash: row.get(0)?, serial: row.get(1)? });
        transaction.prepare_cached(sql)?.query_row([], read).optional()
    }

    /// Puts it in force, and on record.
    pub fn write(self, transaction: &Transaction<'_>, by: &str, file: &str) -> Result<(), rusqlite::Error> {
        let old = InForce::read(transaction)?;
        let sql = "INSERT INTO policy_in_force (only_one, hash, serial) VALUES (1, ?1, ?2)
                   ON CONFLICT (only_one) DO UPDATE SET hash = ?1, serial = ?2";
        transaction.prepare_cached(sql)?.execute(params![self.hash.as_slice(), self.serial])?;
        let mut fields = Map::new();
        fields.insert("old".into(), json!(old.map(|old| hex::encode(old.hash))));
        fields.insert("new".into(), json!(hex::encode(self.hash)));
        if let Some(serial) = self.serial {
            fields.insert("serial".into(), json!(serial));
        }
        fields.insert("by".into(), json!(by));
        fields.insert("file".into(), json!(file));
        audit::append(transaction, "policy", &Value::Object(fields))
    }
}

/// The last policy that was taken for its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSigned {
    pub serial: u64,
    pub hash: [u8; 32],
}

impl LastSigned {
    pub fn read(transaction: &Transaction<'_>) -> Result<Option<LastSigned>, rusqlite::Error> {
        let read = |row: &rusqlite::Row<'_>| Ok(LastSigned { serial: row.get(0)?, hash: row.get(1)? });
        transaction.query_row("SELECT serial, hash FROM policy_signed", [], read).optional()
    }

    pub fn write(self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO policy_signed (only_one, serial, hash) VALUES (1, ?1, ?2)
                   ON CONFLICT (only_one) DO UPDATE SET serial = ?1, hash = ?2";
        transaction.execute(sql, params![self.serial, self.hash.as_slice()]).map(drop)
    }
}

/// Whether something that was judged under this policy may still be decided by it.
pub fn is_in_force(transaction: &Transaction<'_>, policy: &[u8; 32]) -> Result<bool, rusqlite::Error> {
    Ok(InForce::read(transaction)?.is_none_or(|in_force| in_force.hash == *policy))
}

pub(super) fn stale(judged: &Judged) -> Fate {
    Fate::Stale(judged.seen().clone(), judged.messages().to_vec())
}

/// Records that it is held, unless another policy held it for the same reason: then only that this one does too.
pub(super) fn hold(
    transaction: &Transaction<'_>,
    judged: &Judged,
    held: Option<Row>,
    why: &str,
    now: u64,
) -> Result<Fate, rusqlite::Error> {
    if held.is_some_and(|row| row.why == why && row.verdict == Some(judged.judgement().verdict)) {
        let sql = "UPDATE action SET policy = ?2 WHERE id = ?1";
        let values = params![judged.seen().id.as_str(), judged.policy().as_slice()];
        transaction.prepare_cached(sql)?.execute(values)?;
        return Ok(Fate::Stands);
    }
    write(transaction, judged, State::Held, None, why, now)?;
    Ok(Fate::Held(why.into()))
}

impl Row {
    /// It is held, and by another policy than the one in force, which this is judged by.
    pub(super) fn may_be_judged_anew(
        &self,
        transaction: &Transaction<'_>,
        judged: &Judged,
    ) -> Result<bool, rusqlite::Error> {
        let held = self.state == State::Held && self.seen == *judged.seen() && self.messages.is_some();
        Ok(held && self.policy.as_ref() != Some(judged.policy()) && InForce::read(transaction)?.is_some())
    }

    /// The ids of what another policy holds than the one in force, is not over at `now`, and comes after this id (the empty one is
    /// before all); so many at the most.
    pub fn held_by_another_policy(
        transaction: &Transaction<'_>,
        now: u64,
        after: &str,
        most: usize,
    ) -> Result<Vec<ActionId>, rusqlite::Error> {
        let Some(InForce { hash, .. }) = InForce::read(transaction)? else { return Ok(Vec::new()) };
        let sql = "SELECT id FROM action WHERE settled IS NULL AND state = 'held' AND policy IS NOT ?1
                   AND (expires IS NULL OR expires > ?2) AND id > ?3 ORDER BY id LIMIT ?4";
        ids(transaction.prepare(sql)?.query_map(params![hash.as_slice(), now, after, most], |row| row.get(0))?)
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
