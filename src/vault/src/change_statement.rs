//! What people sign for a change (docs/authority.md): one line of JSON. As with an action's, the signature is verified over the
//! octets as they came before anything in them is read.

use crate::ssh::Key;
use crate::statement::{self, LONGEST, Unfit};
use ipc::{CredentialFault, SignedStatement};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What `ssh-keygen -Y sign` is to be told with `-n`.
pub const NAMESPACE: &str = "signing-agent-change";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    agent: String,
    ask: String,
    /// Hex of [`About::digest`].
    change: String,
    serial: u64,
    /// Unix seconds.
    expiry: u64,
}

/// What a statement must be about.
#[derive(Clone, Debug)]
pub struct About {
    /// The agentID, or what its deed's key is called before there is one.
    pub agent: String,
    /// In words: whoever signs has read them, so they must be the change's.
    pub ask: String,
    /// SHA-256 over the change and what it is about.
    pub digest: [u8; 32],
}

/// What enough people have signed.
#[derive(Clone, Debug)]
pub struct Approved {
    pub serial: u64,
    pub by: Vec<By>,
}

/// Whose word it is, and what anybody needs to verify it again.
#[derive(Clone, Debug, Serialize)]
pub struct By {
    pub signer: String,
    /// `TYPE BASE64` of the key that it was signed with.
    pub key: String,
    #[serde(flatten)]
    pub signed: SignedStatement,
}

/// What a signer is to sign, with the newline at its end; `None` where that would be longer than a statement may be.
pub fn draft(about: &About, serial: u64, expiry: u64) -> Option<String> {
    let statement = Statement {
        agent: about.agent.clone(),
        ask: about.ask.clone(),
        change: hex::encode(about.digest),
        serial,
        expiry,
    };
    let text = serde_json::to_string(&statement).ok()? + "\n";
    (text.len() <= ipc::MAX_STATEMENT).then_some(text)
}

/// Verifies them, at `now` in Unix seconds: each is somebody else's, about this change, with the one serial of all. Whether that
/// was used before the ledger knows. `None` where there are none.
pub fn verify(
    signers: &BTreeMap<String, Key>,
    about: &About,
    statements: Vec<SignedStatement>,
    now: u64,
) -> Result<Option<Approved>, Unfit> {
    let (mut names, mut serial, mut by) = (BTreeSet::new(), None, Vec::new());
    for signed in statements {
        let (signer, key) = statement::signer(signers, NAMESPACE, &signed)?;
        let unfit = |fault| Unfit { who: Some(signer.clone()), fault };
        let said = read(about, &signed.statement, now).map_err(unfit)?;
        if *serial.get_or_insert(said) != said {
            return Err(unfit(CredentialFault::ChangeSerial));
        }
        if !names.insert(signer.clone()) {
            return Err(unfit(CredentialFault::CountedAlready));
        }
        by.push(By { signer, key, signed });
    }
    Ok(serial.map(|serial| Approved { serial, by }))
}

/// The serial of a statement that is about this.
fn read(about: &About, text: &str, now: u64) -> Result<u64, CredentialFault> {
    use CredentialFault as F;
    // A person has seen one line of it.
    if text.trim_end_matches('\n').contains(char::is_control) {
        return Err(F::StatementMalformed);
    }
    let statement: Statement = serde_json::from_str(text).map_err(|_| F::StatementMalformed)?;
    match () {
        () if statement.agent != about.agent => Err(F::OtherAgent),
        () if statement.change != hex::encode(about.digest) || statement.ask != about.ask => Err(F::OtherChange),
        () if statement.expiry <= now => Err(F::Expired),
        () if statement.expiry - now > LONGEST => Err(F::TooLong),
        () => Ok(statement.serial),
    }
}

#[cfg(test)]
#[path = "change_statement_tests.rs"]
mod tests;
