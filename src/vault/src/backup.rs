//! Backups: all that outlives the machine in one age file, to the recovery recipients and to nobody else (docs/backup.md). Its
//! plaintext is a tar archive, so that age and tar are enough where this program is not there; what is in it is signed by the audit key.

mod check;
mod content;
mod create;
mod restore;

pub use check::check;
pub use create::{on_ask, part};
pub use restore::{clean, part as restore_part, restore};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The JWS `typ` of a backup's manifest.
const KIND: &str = "signing-agent-backup+jws";
const VERSION: u32 = 1;

/// The names of what is in it.
const MANIFEST: &str = "manifest.jws";
const DEED: &str = "deed.jws";
const BLS: &str = "bls.age";
const MPIN: &str = "mpin.age";
const PARTNER: &str = "partner.age";
const LEDGER: &str = "ledger.sqlite";
const CONFIGURATION: &str = "signing-agent.toml";
const POLICY: &str = "policy.toml";
const SIGNATURES: &str = "policy.toml.sig";

/// What else is in it; the first file, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    version: u32,
    /// The version of this program.
    software: String,
    /// Unix seconds.
    made: u64,
    files: BTreeMap<String, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    octets: u64,
    /// Hex.
    sha256: String,
}
