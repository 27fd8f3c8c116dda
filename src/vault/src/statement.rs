//! An approver's statement (docs/people.md): one line of JSON, signed with their SSH key. The signature is verified over the
//! octets as they came before anything in them is read.

use crate::digest::messages_digest;
use crate::ssh::{self, Key};
use ipc::{ActionId, CredentialFault, SignedStatement, Verb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `ssh-keygen -Y sign` is to be told with `-n`.
pub const NAMESPACE: &str = "signing-agent";
/// So far ahead, seconds, a statement may expire at the most.
pub const LONGEST: u64 = 7 * 24 * 60 * 60;
/// A nonce's octets.
const NONCE: std::ops::RangeInclusive<usize> = 16..=64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "agentID")]
    agent: String,
    action: String,
    /// Hex of [`digest`].
    messages: String,
    verb: String,
    /// Unix seconds.
    expiry: u64,
    /// Hex.
    nonce: String,
}

/// What a statement must be about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub agent: &'a str,
    pub action: &'a ActionId,
    pub messages: &'a [Vec<u8>],
    pub verb: Verb,
}

/// A statement that is an approver's and about this, and has not expired. Whether it was used before the ledger knows.
#[derive(Clone, Debug)]
pub struct Verified {
    pub approver: String,
    /// `TYPE BASE64` of the key that it was signed with.
    pub key: String,
    pub nonce: Vec<u8>,
    /// Unix seconds.
    pub expires: u64,
    pub signed: SignedStatement,
}

/// What is wrong with one, and whose it is where the signature said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    pub who: Option<String>,
    pub fault: CredentialFault,
}

pub fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve => "approve",
        Verb::Reject => "reject",
    }
}

/// What an approver is to sign, with the newline at its end.
pub fn draft(about: &About<'_>, expiry: u64, nonce: &[u8; 16]) -> Result<String, serde_json::Error> {
    let statement = Statement {
        agent: about.agent.to_owned(),
        action: about.action.as_str().to_owned(),
        messages: hex::encode(messages_digest(about.messages)),
        verb: word(about.verb).to_owned(),
        expiry,
        nonce: hex::encode(nonce),
    };
    Ok(serde_json::to_string(&statement)? + "\n")
}

/// Verifies one, at `now` in Unix seconds.
pub fn verify(
    approvers: &BTreeMap<String, Key>,
    about: &About<'_>,
    signed: SignedStatement,
    now: u64,
) -> Result<Verified, Unfit> {
    let (approver, key) = signer(approvers, NAMESPACE, &signed)?;
    let (nonce, expires) =
        read(about, &signed.statement, now).map_err(|fault| Unfit { who: Some(approver.clone()), fault })?;
    Ok(Verified { approver, key, nonce, expires, signed })
}

/// Who of these has signed it for this purpose, and with which key; what it says was not looked at.
pub fn signer(
    people: &BTreeMap<String, Key>,
    namespace: &'static str,
    signed: &SignedStatement,
) -> Result<(String, String), Unfit> {
    let octets = signed.statement.as_bytes();
    if octets.len() > ipc::MAX_STATEMENT {
        return Err(Unfit { who: None, fault: CredentialFault::StatementMalformed });
    }
    for (name, key) in people {
        let fault = match key.verify(namespace, octets, &signed.signature) {
            // The signature names its key: the next one may be it.
            Err(ssh::Error::OtherKey) => continue,
            Err(e) => unfit(e),
            Ok(()) => match key.canonical() {
                Ok(key) => return Ok((name.clone(), key)),
                Err(e) => unfit(e),
            },
        };
        let who = if fault == CredentialFault::NoSignature { None } else { Some(name.clone()) };
        return Err(Unfit { who, fault });
    }
    Err(Unfit { who: None, fault: CredentialFault::SignerUnknown })
}

/// The nonce and the expiry of a statement that is about this.
fn read(about: &About<'_>, text: &str, now: u64) -> Result<(Vec<u8>, u64), CredentialFault> {
    use CredentialFault as F;
    // A person has seen one line of it.
    if text.trim_end_matches('\n').contains(char::is_control) {
        return Err(F::StatementMalformed);
    }
    let statement: Statement = serde_json::from_str(text).map_err(|_| F::StatementMalformed)?;
    let nonce = hex::decode(&statement.nonce).ok().filter(|nonce| NONCE.contains(&nonce.len()));
    match () {
        () if !["approve", "reject"].contains(&statement.verb.as_str()) => Err(F::StatementMalformed),
        () if statement.agent != about.agent => Err(F::OtherAgent),
        () if statement.action != about.action.as_str() => Err(F::OtherAction),
        () if statement.messages != hex::encode(messages_digest(about.messages)) => Err(F::OtherMessages),
        () if statement.verb != word(about.verb) => Err(F::OtherVerb),
        () if statement.expiry <= now => Err(F::Expired),
        () if statement.expiry - now > LONGEST => Err(F::TooLong),
        () => Ok((nonce.ok_or(F::StatementMalformed)?, statement.expiry)),
    }
}

fn unfit(e: ssh::Error) -> CredentialFault {
    match e {
        ssh::Error::NotAKey | ssh::Error::Kind | ssh::Error::OtherKey => CredentialFault::SignerUnknown,
        ssh::Error::NotASignature => CredentialFault::NoSignature,
        ssh::Error::Namespace(_) => CredentialFault::Namespace,
        ssh::Error::NotTouched => CredentialFault::NotTouched,
        ssh::Error::Wrong => CredentialFault::SignatureWrong,
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
