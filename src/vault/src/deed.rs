//! The deed: what this agent is, in the state directory, signed by the audit key. Anyone can seal *a* key to the token's
//! recipient; only a key that the deed names is this agent's.

use crate::people::Named;
use crate::{authority, clock, files, jws};
use hsm::{Generations, PublicKeys, Role, Token};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The JWS `typ` of a deed.
const KIND: &str = "signing-agent-deed+jws";
/// 4 names generations of keys; 3 may name people who sign changes; 2 people who release and who sign policies; 1 names none.
const VERSION: u32 = 4;

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
    #[error(
        "[people] of the configuration is not the deed's: put it back, or run `signing-agent init --amend` to go by it from now on. In the configuration alone: {configured}; in the deed alone: {deed}"
    )]
    OtherPeople { configured: String, deed: String },
    #[error(transparent)]
    Token(#[from] hsm::Error),
    #[error(
        "the deed {0} is older than the one that this ledger was last opened with: put that one back, or the whole state directory of one time"
    )]
    Older(String),
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
    /// How often these two were replaced, from 1 on.
    #[serde(default = "first")]
    audit_generation: u8,
    #[serde(default = "first")]
    sealing_generation: u8,
    /// age recipients: the token's own first, then those for recovery.
    pub recipients: Vec<String>,
    /// Who may release and change what.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub people: Named,
    pub agent: Option<Registered>,
    /// Unix seconds; of two deeds of one agent the later has more.
    pub written: u64,
}

fn first() -> u8 {
    1
}

/// What is read of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registered {
    pub agent_id: String,
    pub name: String,
    /// Hex, 192 octets.
    pub bls_key: String,
}

/// What the configuration says that the deed must say too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// age recipients: the token's own first.
    pub recipients: Vec<String>,
    pub people: Named,
}

impl Deed {
    pub fn new(keys: &PublicKeys, recipients: Vec<String>, people: Named, agent: Option<Registered>) -> Self {
        Self {
            version: VERSION,
            identity_key: hex::encode(keys.identity),
            audit_key: hex::encode(keys.audit),
            sealing_key: hex::encode(keys.sealing),
            audit_generation: keys.generations.audit,
            sealing_generation: keys.generations.sealing,
            recipients,
            people,
            agent,
            written: clock::now(),
        }
    }

    /// Which of the token's keys it speaks of. Of a file this is not believed: a token that is opened with others than the deed was
    /// signed by does not find it its own.
    pub fn generations(&self) -> Generations {
        Generations { audit: self.audit_generation, sealing: self.sealing_generation }
    }

    /// The same of what lies there, whoever wrote it; the first ones where there is nothing that says so.
    pub fn generations_of(path: &Path) -> Generations {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said {
            #[serde(default = "first")]
            audit_generation: u8,
            #[serde(default = "first")]
            sealing_generation: u8,
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let said = jws::unverified(&text).and_then(|payload| serde_json::from_slice::<Said>(&payload).ok());
        let said = said.filter(|said| said.audit_generation > 0 && said.sealing_generation > 0);
        said.map_or_else(Generations::default, |said| Generations {
            audit: said.audit_generation,
            sealing: said.sealing_generation,
        })
    }

    /// Whether it is about these keys.
    pub fn names(&self, keys: &PublicKeys) -> bool {
        self.other_key(keys).is_none() && self.generations() == keys.generations
    }

    fn other_key(&self, keys: &PublicKeys) -> Option<&'static str> {
        let same = [
            ("identity", &self.identity_key, &keys.identity),
            ("audit", &self.audit_key, &keys.audit),
            ("sealing", &self.sealing_key, &keys.sealing),
        ];
        same.into_iter().find(|(_, named, held)| **named != hex::encode(held)).map(|(role, _, _)| role)
    }

    /// The same agent's, with these keys.
    pub fn with(self, keys: &PublicKeys, recipients: Vec<String>) -> Self {
        Self::new(keys, recipients, self.people, self.agent)
    }

    /// In the place of one that was written then, whatever the clock says.
    pub fn after(self, written: u64) -> Self {
        Self { written: self.written.max(written.saturating_add(1)), ..self }
    }

    /// Whether it is none that was put back, for whom it names may have been taken from it since. `known`: when the deed was written
    /// that the ledger was last opened with.
    pub fn is_the_last(&self, path: &Path, known: u64) -> Result<(), Error> {
        if self.written < known { Err(Error::Older(path.display().to_string())) } else { Ok(()) }
    }

    /// Reads it and checks it against the token.
    pub fn read(path: &Path, keys: &PublicKeys) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::Read(shown(), e))?;
        let deed = Self::signed_by(&keys.audit, &text, &shown())?;
        match deed.other_key(keys) {
            Some(role) => Err(Error::OtherKey(role)),
            None => Ok(deed),
        }
    }

    /// What this audit key signed, whatever token it is about; `shown` is what it is called in errors.
    pub fn signed_by(audit: &[u8; 65], text: &str, shown: &str) -> Result<Self, Error> {
        let shown = || shown.to_owned();
        let payload = jws::verify(KIND, text, audit).ok_or_else(|| Error::NotOurs(shown()))?;
        let Versioned { version } = serde_json::from_slice(&payload).map_err(|_| Error::NotOurs(shown()))?;
        if !(1..=VERSION).contains(&version) {
            return Err(Error::Version(shown(), version));
        }
        serde_json::from_slice(&payload).map_err(|_| Error::NotOurs(shown()))
    }

    /// The deed stops the vault where the configuration names other recipients or other people.
    pub fn check(&self, configured: &Configured) -> Result<(), Error> {
        let Configured { recipients, people } = configured;
        if self.recipients != *recipients {
            return Err(Error::OtherRecipients { configured: recipients.join(", "), deed: self.recipients.join(", ") });
        }
        if self.people != *people {
            return Err(Error::OtherPeople {
                configured: people.beyond(&self.people),
                deed: self.people.beyond(people),
            });
        }
        Ok(())
    }

    /// The agentID, or what its audit key is called before there is one.
    pub fn called(&self) -> String {
        let key = hex::decode(&self.audit_key).unwrap_or_default();
        authority::called(self.agent.as_ref().map(|agent| agent.agent_id.as_str()), &key)
    }

    /// Signed by the audit key that it names.
    pub fn write(&self, path: &Path, token: &Token) -> Result<(), Error> {
        let cannot = |e| Error::Write(path.display().to_string(), e);
        let payload = serde_json::to_vec(self).map_err(|e| cannot(e.into()))?;
        let signed = jws::sign(KIND, &payload, |digest| token.sign_as(self.generations(), Role::Audit, digest))?;
        files::write(path, format!("{signed}\n").as_bytes()).map_err(cannot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::ecdsa::{Signature, SigningKey};
    use serde_json::{Value, json};

    fn read(deed: &Value) -> Result<Deed, Error> {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let public: [u8; 65] = key.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap();
        let mut deed = deed.clone();
        for role in ["identityKey", "auditKey", "sealingKey"] {
            deed[role] = json!(hex::encode(public));
        }
        let signed = jws::sign(KIND, deed.to_string().as_bytes(), |digest| {
            key.sign_prehash(digest).map(|signature: Signature| signature.to_bytes().into())
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deed.jws");
        std::fs::write(&path, signed.unwrap()).unwrap();
        Deed::read(
            &path,
            &PublicKeys {
                identity: public,
                audit: public,
                sealing: public,
                identity_curve: hsm::Curve::P256,
                generations: Default::default(),
            },
        )
    }

    #[test]
    fn a_deed_of_the_first_version_names_nobody_and_one_of_a_later_version_is_told_by_it() {
        let first = json!({ "version": 1, "recipients": ["age1x"], "agent": null, "written": 1 });
        let deed = read(&first).unwrap();
        assert_eq!((deed.people, deed.recipients), (Named::default(), vec!["age1x".to_owned()]));
        let mut second = first.clone();
        second["version"] = json!(2);
        let alice = json!({ "alice": "ssh-ed25519 AAAA" });
        second["people"] = json!({ "approvers": alice, "policySigners": {}, "policySignatures": 0 });
        let deed = read(&second).unwrap();
        assert_eq!(deed.people.approvers["alice"], "ssh-ed25519 AAAA");
        assert_eq!((deed.people.change_signers.len(), deed.people.change_signatures), (0, 0));
        let mut later = second.clone();
        (later["version"], later["more"]) = (json!(5), json!("what a later version says"));
        assert!(matches!(read(&later), Err(Error::Version(_, 5))));
        later["version"] = json!(2);
        assert!(matches!(read(&later), Err(Error::NotOurs(_))), "nothing in a deed is passed over");
    }
}
