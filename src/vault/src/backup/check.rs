//! `signing-agent-vault --verify-backup`: proves that a backup can be restored, without a token, a configuration or a state directory;
//! no key is shown.

use super::content::{self, Content};
use super::{CONFIGURATION, POLICY, SIGNATURES};
use crate::files;
use crate::walls::FILES;
use ::audit::VerifyingKey;
use hsm::Recovery;
use ipc::Secret;
use jail::{Filter, Ground};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What is read of stdin at the most.
const MOST: u64 = 1 << 20;
/// So that the text is not moved while it is read, and leaves no copy.
const MOST_EXPECTED: usize = 256 << 10;

/// What stdin says, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    file: PathBuf,
    /// Identities as age-keygen writes them.
    identity: Secret,
    /// The audit key (a vkey).
    key: String,
    /// A directory of its own for the ledger, which it fills.
    scratch: PathBuf,
}

/// Prints a report as JSON. Words say why it cannot be restored.
pub fn check() -> Result<u8, String> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(MOST_EXPECTED));
    std::io::stdin().take(MOST).read_to_string(&mut text).map_err(|e| e.to_string())?;
    let wanted: Wanted = serde_json::from_str(&text).map_err(|_| "stdin is not what this is asked by".to_owned())?;
    jail::limit(FILES, false).map_err(|e| e.to_string())?;
    let beside = |path: &Path| path.parent().map(Path::to_owned);
    let ground = Ground {
        read: beside(&wanted.file).into_iter().collect(),
        write: vec![wanted.scratch.clone()],
        connects: false,
        required: false,
    };
    ground.stand().map_err(|e| e.to_string())?;
    Filter::Vault.install().map_err(|e| e.to_string())?;

    files::private_dir(&wanted.scratch).map_err(|e| e.to_string())?;
    let identity = Recovery::parse(wanted.identity.expose()).map_err(|e| e.to_string())?;
    let key: VerifyingKey = wanted.key.trim().parse().map_err(|e: ::audit::Error| e.to_string())?;
    let file = File::open(&wanted.file).map_err(|e| format!("{}: {e}", wanted.file.display()))?;
    let content = content::read(file, &identity, &key, &wanted.scratch.join(super::LEDGER))?;
    let report = report(&content);
    content.ledger.close();
    writeln!(std::io::stdout(), "{report}").map_err(|e| e.to_string())?;
    Ok(0)
}

fn report(content: &Content) -> Value {
    let agent = content.deed.agent.as_ref();
    let settings: Map<String, Value> = [CONFIGURATION, POLICY, SIGNATURES]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), json!(String::from_utf8_lossy(content.files.get(name)?)))))
        .collect();
    json!({
        "agentID": agent.map(|agent| &agent.agent_id),
        "name": agent.map(|agent| &agent.name),
        "made": content.made,
        "software": content.software,
        "records": content.records,
        "recipients": content.deed.recipients.get(1..).unwrap_or_default(),
        "files": content.files.keys().collect::<Vec<_>>(),
        "settings": settings,
    })
}
