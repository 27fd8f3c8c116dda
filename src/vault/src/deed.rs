//! The deed: what this agent is, in the state directory, signed by the audit key. Anyone can seal *a* key to the token's
//! recipient; only a key that the deed names is this agent's.

use crate::{clock, files, jws};
use hsm::{PublicKeys, Role, Token};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The JWS `typ` of a deed.
const KIND: &str = "signing-agent-deed+jws";
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the deed {0} cannot be read: {1}")]
    Read(String, std::io::Error),
    #[error(
        "the deed {0} is not signed by this token's audit key: it is another agent's, or was tampered with; restore it, or use its token"
    )]
    NotOurs(String),
    #[error("the deed {0} is of version {1}; this version knows {VERSION}: run the version that wrote it")]
    Version(String, u32),
    #[error("the deed names another {0} key than the token has: use the token that `signing-agent init` was run with")]
    OtherKey(&'static str),
    #[error(
        "the configuration seals to [{configured}], the deed to [{deed}]: put [sealing] recovery_recipients back, or run `signing-agent init --amend` to seal to them from now on"
    )]
    OtherRecipients { configured: String, deed: String },
    #[error(transparent)]
    Token(#[from] hsm::Error),
    #[error("the deed {0} cannot be written: {1}")]
    Write(String, std::io::Error),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deed {
    version: u32,
    /// Hex of the uncompressed points.
    identity_key: String,
    audit_key: String,
    sealing_key: String,
    /// age recipients: the token's own first, then those for recovery.
    pub recipients: Vec<String>,
    pub agent: Option<Registered>,
    /// Unix seconds.
    written: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registered {
    pub agent_id: String,
    pub name: String,
    /// Hex, 192 octets.
    pub bls_key: String,
}

impl Deed {
    pub fn new(keys: &PublicKeys, recipients: Vec<String>, agent: Option<Registered>) -> Self {
        Self {
            version: VERSION,
            identity_key: hex::encode(keys.identity),
            audit_key: hex::encode(keys.audit),
            sealing_key: hex::encode(keys.sealing),
            recipients,
            agent,
            written: clock::now(),
        }
    }

    /// Reads it and checks it against the token.
    pub fn read(path: &Path, keys: &PublicKeys) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::Read(shown(), e))?;
        let payload = jws::verify(KIND, &text, &keys.audit).ok_or_else(|| Error::NotOurs(shown()))?;
        let deed: Deed = serde_json::from_slice(&payload).map_err(|_| Error::NotOurs(shown()))?;
        if deed.version != VERSION {
            return Err(Error::Version(shown(), deed.version));
        }
        let same = [
            ("identity", &deed.identity_key, &keys.identity),
            ("audit", &deed.audit_key, &keys.audit),
            ("sealing", &deed.sealing_key, &keys.sealing),
        ];
        if let Some((role, _, _)) = same.into_iter().find(|(_, named, held)| **named != hex::encode(held)) {
            return Err(Error::OtherKey(role));
        }
        Ok(deed)
    }

    /// The deed stops the vault where the configuration names other recipients.
    pub fn check_recipients(&self, configured: &[String]) -> Result<(), Error> {
        if self.recipients == configured {
            return Ok(());
        }
        Err(Error::OtherRecipients { configured: configured.join(", "), deed: self.recipients.join(", ") })
    }

    pub fn write(&self, path: &Path, token: &Token) -> Result<(), Error> {
        let cannot = |e| Error::Write(path.display().to_string(), e);
        let payload = serde_json::to_vec(self).map_err(|e| cannot(e.into()))?;
        let signed = jws::sign(KIND, &payload, |digest| token.sign(Role::Audit, digest))?;
        files::write(path, format!("{signed}\n").as_bytes()).map_err(cannot)
    }
}
