//! What was answered: a JWT by the answerer's key. The signature is looked at first; only then is a closed, bounded set of claims read.

use super::question::Question;
use crate::digest::messages_digest;
use crate::jws;
use ipc::ActionId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The JWT's `typ`.
const KIND: &str = "signing-agent-callback-answer+jwt";
/// The longest answer, octets.
pub const LONGEST: usize = 4096;
/// How far its time may be from ours, seconds.
const SKEW: u64 = 60;
/// How much of a reason is passed on, characters.
const MOST_REASON: usize = 200;

/// That an approval needs nobody else, or that who is to be asked gave one for exactly these messages. Only this module makes it.
#[derive(Clone, Debug)]
pub struct Seconded(Proof);

#[derive(Clone, Debug)]
enum Proof {
    NobodyToAsk,
    Approved { action: ActionId, messages: [u8; 32] },
}

impl Seconded {
    /// For who knows that the configuration names nobody.
    pub(super) fn nobody_to_ask() -> Self {
        Self(Proof::NobodyToAsk)
    }

    #[cfg(test)]
    pub fn for_a_test() -> Self {
        Self::nobody_to_ask()
    }

    /// Whether it is about this action, and these messages of it.
    pub fn is_about(&self, id: &ActionId, messages: &[Vec<u8>]) -> bool {
        match &self.0 {
            Proof::NobodyToAsk => true,
            Proof::Approved { action, messages: approved } => action == id && *approved == messages_digest(messages),
        }
    }
}

/// A valid answer, as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    decision: Decision,
    /// SHA-256 of its octets, hex.
    answer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Decision {
    Approve,
    Reject,
    Retry,
    Ignore,
}

/// What a valid answer says; the reason is plain and bounded.
#[derive(Debug)]
pub enum Said {
    Approve(Seconded, Heard),
    Reject(String, Heard),
    Retry(String, Heard),
    Ignore(String, Heard),
}

/// Why an answer is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("an answer of more than {LONGEST} octets")]
    TooLong,
    #[error("an answer that is no JWT signed by the callback's key with ES256")]
    Signature,
    #[error("an answer whose header is not {{\"alg\":\"ES256\",\"typ\":\"{KIND}\"}}, with or without a kid")]
    Header,
    #[error("an answer whose claims are not nonce, action, messages, decision, iat and at the most a reason")]
    Claims,
    #[error("an answer to another question (an old one, replayed?)")]
    Nonce,
    #[error("an answer about another action")]
    Action,
    #[error("an answer about other messages")]
    Messages,
    #[error("an answer whose iat is more than {SKEW} s from this machine's time")]
    Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    #[serde(default, rename = "kid")]
    _kid: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    nonce: String,
    action: String,
    messages: String,
    decision: Decision,
    iat: u64,
    #[serde(default)]
    reason: Option<String>,
}

pub(super) fn read(question: Question, answer: &[u8], key: &[u8; 65], now: u64) -> Result<Said, Invalid> {
    if answer.len() > LONGEST {
        return Err(Invalid::TooLong);
    }
    let token = str::from_utf8(answer).map_err(|_| Invalid::Signature)?;
    let (header, payload) = jws::open(token, key).ok_or(Invalid::Signature)?;
    let header: Header = object(&header).ok_or(Invalid::Header)?;
    if header.alg != "ES256" || header.typ != KIND {
        return Err(Invalid::Header);
    }
    let claims: Claims = object(&payload).ok_or(Invalid::Claims)?;
    let Question { action, nonce, messages } = question;
    match () {
        () if claims.nonce != nonce => return Err(Invalid::Nonce),
        () if claims.action != action.as_str() => return Err(Invalid::Action),
        () if claims.messages != hex::encode(messages) => return Err(Invalid::Messages),
        () if claims.iat.abs_diff(now) > SKEW => return Err(Invalid::Time),
        () => {}
    }
    let reason = claims.reason.as_deref().map_or_else(|| "it gives no reason".into(), plain);
    let heard = Heard { decision: claims.decision, answer: hex::encode(Sha256::digest(answer)) };
    Ok(match claims.decision {
        Decision::Approve => Said::Approve(Seconded(Proof::Approved { action, messages }), heard),
        Decision::Reject => Said::Reject(reason, heard),
        Decision::Retry => Said::Retry(reason, heard),
        Decision::Ignore => Said::Ignore(reason, heard),
    })
}

/// A JSON object; serde would take an array for one.
fn object<T: for<'a> Deserialize<'a>>(octets: &[u8]) -> Option<T> {
    octets.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(octets).ok()).flatten()
}

/// Foreign words, for a log and a terminal: all but printable ASCII is escaped.
fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_ascii_graphic() || c == ' ' { c.to_string() } else { c.escape_unicode().collect() };
    ipc::bounded(&text.chars().take(MOST_REASON).map(escaped).collect::<String>())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
