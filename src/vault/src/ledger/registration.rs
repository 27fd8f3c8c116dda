//! The registration: one row, first `finishing` (the sealed keys are on disk, the backend may or may not know), then
//! `registered`.

use super::{audit, registration_window};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::json;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Finishing,
    Registered,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationRow {
    pub phase: Phase,
    pub name: String,
    pub agent_id: String,
    /// The M-Pin identity's octets.
    pub identity: Vec<u8>,
    /// 192 octets.
    pub bls_public: Vec<u8>,
    pub iddoc: Vec<u8>,
    pub feed_url: Option<String>,
    /// Unix seconds.
    pub registered_at: Option<u64>,
}

impl RegistrationRow {
    pub fn read(transaction: &Transaction<'_>) -> Result<Option<Self>, rusqlite::Error> {
        let columns = "phase, name, agent_id, identity, bls_public, iddoc, feed_url, registered_at";
        let read = |row: &Row<'_>| {
            Ok(Self {
                phase: match row.get::<_, String>(0)?.as_str() {
                    "registered" => Phase::Registered,
                    _ => Phase::Finishing,
                },
                name: row.get(1)?,
                agent_id: row.get(2)?,
                identity: row.get(3)?,
                bls_public: row.get(4)?,
                iddoc: row.get(5)?,
                feed_url: row.get(6)?,
                registered_at: row.get(7)?,
            })
        };
        transaction.query_row(&format!("SELECT {columns} FROM registration"), [], read).optional()
    }

    /// Of an agent that another program registered: there was no IDDoc to sign, and there is no `finish` to be sent.
    pub fn is_imported(&self) -> bool {
        self.iddoc.is_empty()
    }

    /// Records that `finish` is about to be sent, or that what is imported is about to be sealed.
    pub fn write_finishing(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO registration (only_one, phase, name, agent_id, identity, bls_public, iddoc)
                   VALUES (1, 'finishing', ?1, ?2, ?3, ?4, ?5)";
        let values = params![self.name, self.agent_id, self.identity, self.bls_public, self.iddoc];
        transaction.execute(sql, values)?;
        let fields = json!({
            "step": if self.is_imported() { "importing" } else { "finishing" },
            "agentID": self.agent_id,
            "name": self.name,
            "blsKey": hex::encode(Sha256::digest(&self.bls_public)),
            "iddoc": hex::encode(Sha256::digest(&self.iddoc)),
        });
        audit::append(transaction, "registration", &fields)
    }

    /// Records that the backend accepted it.
    pub fn write_registered(transaction: &Transaction<'_>, feed_url: &str, now: u64) -> Result<(), rusqlite::Error> {
        let sql = "UPDATE registration SET phase = 'registered', feed_url = ?1, registered_at = ?2";
        match transaction.execute(sql, params![feed_url, now])? {
            1 => {
                audit::append(transaction, "registration", &json!({ "step": "registered", "feed": feed_url }))?;
                registration_window::close(transaction, "registration")
            }
            n => Err(rusqlite::Error::StatementChangedRows(n)),
        }
    }

    /// Forgets a registration that the backend never accepted.
    pub fn discard(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        match transaction.execute("DELETE FROM registration WHERE phase = 'finishing'", [])? {
            0 => Ok(()),
            _ => audit::append(transaction, "registration", &json!({ "step": "forgotten" })),
        }
    }
}
