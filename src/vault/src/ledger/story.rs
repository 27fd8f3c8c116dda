//! What the audit log says of actions. All digests are SHA-256, hex.

use super::audit;
use crate::callback::Heard;
use ipc::ActionId;
use rusqlite::Transaction;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a decision was made of, and by whom.
#[derive(Serialize)]
pub struct Decision<'a> {
    pub action: &'a ActionId,
    pub verdict: &'a str,
    pub by: &'a str,
    pub rule: Option<&'a str>,
    pub why: &'a str,
    pub claim: Option<&'a str>,
    pub expires: Option<u64>,
    pub facts: &'a [String],
    /// Absent where there were no bytes to judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    pub messages: Vec<String>,
    /// The callback's answer, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<&'a Heard>,
}

#[derive(Serialize)]
pub struct Signing<'a> {
    pub action: &'a ActionId,
    pub messages: Vec<String>,
    pub signatures: Vec<String>,
}

#[derive(Serialize)]
pub struct End<'a> {
    pub action: &'a ActionId,
    pub end: &'a str,
    pub detail: &'a str,
}

/// Puts on record that something was refused that would have contradicted what stands; once for an action and a kind, so
/// that nobody fills the log with it. Whether it is new.
pub fn contradiction(transaction: &Transaction<'_>, id: &ActionId, what: &str) -> Result<bool, rusqlite::Error> {
    let sql = "INSERT OR IGNORE INTO contradiction (action, what) VALUES (?1, ?2)";
    let fresh = transaction.prepare_cached(sql)?.execute([id.as_str(), what])? == 1;
    if fresh {
        audit::append(transaction, "contradiction", &serde_json::json!({ "action": id, "what": what }))?;
    }
    Ok(fresh)
}

pub fn digests(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|m| hex::encode(digest(m))).collect()
}

pub fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}
