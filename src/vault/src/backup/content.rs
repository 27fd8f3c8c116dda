//! A backup, opened with a recovery identity, and looked at to the last octet: nothing of it is used before all of it is known to be
//! this agent's.

use super::{BLS, DEED, KIND, LEDGER, MANIFEST, MPIN, Manifest, Member, PARTNER, VERSION};
use crate::agent::Secrets;
use crate::deed::Deed;
use crate::jws;
use crate::ledger::{Busy, Ledger, Phase, RegistrationRow, audit};
use ::audit::VerifyingKey;
use ::audit::export::{self, checkpoint_line};
use hsm::Recovery;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most that a file other than the ledger may have.
const MOST: u64 = 32 << 20;
/// What is signed to see that the key signs; no message of the backend's reads so.
const TRIAL: &[u8] = b"signing-agent backup";
const CUT_OFF: &str = "it is cut off, or was changed since it was made: take another copy of it, or an older backup";

pub struct Content {
    /// Unix seconds.
    pub made: u64,
    pub software: String,
    pub deed: Deed,
    /// None where no agent is registered.
    pub secrets: Option<Secrets>,
    pub partner_key: Option<Zeroizing<Vec<u8>>>,
    /// The copy, opened.
    pub ledger: Ledger,
    /// Audit records that a checkpoint covers.
    pub records: u64,
    /// Names and octets of everything but the ledger.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Reads it; the ledger goes to `to`, which must not be there. Words say what is wrong, and what to do.
pub fn read(sealed: impl Read, identity: &Recovery, key: &VerifyingKey, to: &Path) -> Result<Content, String> {
    let plain = identity.reader(BufReader::new(sealed)).map_err(|e| match e {
        hsm::Error::NotAgeFile(e) => format!("it is no backup, or was cut off or changed: as an age file {e}"),
        hsm::Error::NotARecipient => "it is sealed to others: none of these identities opens it. Use the identity of one of \
                                      [sealing] recovery_recipients as they were when it was made; or it is another agent's"
            .to_owned(),
        hsm::Error::Tampered => CUT_OFF.to_owned(),
        e => e.to_string(),
    })?;
    let (manifest, files) = unpack(plain, key, to)?;
    let text = |name: &str| files.get(name).map(|octets| String::from_utf8_lossy(octets).into_owned());
    let deed = text(DEED).ok_or("it has no deed")?;
    let deed = Deed::signed_by(key.point(), &deed, "in it").map_err(|e| e.to_string())?;
    let open = |name: &str| {
        let sealed = files.get(name).map(Vec::as_slice);
        sealed.map(|sealed| identity.open(sealed).map_err(|e| format!("{name} in it: {e}"))).transpose()
    };
    let secrets = match (open(BLS)?, open(MPIN)?) {
        (Some(bls), Some(mpin)) => Some(Secrets::of(&bls, &mpin).map_err(|e| e.to_string())?),
        (None, None) => None,
        _ => return Err("it has one of the two sealed keys alone".into()),
    };
    let partner_key = open(PARTNER)?;
    let ledger = Ledger::open(to, Busy::default()).map_err(|e| format!("the ledger in it: {e}"))?;
    let records = whole(&ledger, key)?;
    agrees(&deed, secrets.as_ref(), &ledger)?;
    Ok(Content { made: manifest.made, software: manifest.software, deed, secrets, partner_key, ledger, records, files })
}

/// The files as the signed manifest has them, each once, and nothing else.
fn unpack(plain: impl Read, key: &VerifyingKey, to: &Path) -> Result<(Manifest, BTreeMap<String, Vec<u8>>), String> {
    let cut_off = |_: io::Error| CUT_OFF.to_owned();
    let mut archive = tar::Archive::new(plain);
    let (mut manifest, mut files, mut has_ledger) = (None::<Manifest>, BTreeMap::new(), false);
    for entry in archive.entries().map_err(cut_off)?.raw(true) {
        let mut entry = entry.map_err(cut_off)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let length = entry.header().entry_size().map_err(cut_off)?;
        let mut octets = Vec::new();
        let mut small = |entry: &mut dyn Read| match length {
            0..=MOST => entry.read_to_end(&mut octets).map_err(cut_off),
            _ => Err(format!("{name} in it is too long")),
        };
        let Some(manifest) = &manifest else {
            small(&mut entry)?;
            manifest = Some(listed(&name, &octets, key)?);
            continue;
        };
        let Some(member) = manifest.files.get(&name) else {
            return Err(format!("it has a file that its manifest does not name: {}", ipc::bounded(&name)));
        };
        if files.contains_key(&name) || (has_ledger && name == LEDGER) {
            return Err(format!("{name} is in it twice"));
        }
        let found = if name == LEDGER {
            has_ledger = true;
            place(&mut entry, to)?
        } else {
            small(&mut entry)?;
            let sha256 = hex::encode(Sha256::digest(&octets));
            Member { octets: octets.len() as u64, sha256 }
        };
        if found != *member {
            return Err(format!("{name} in it is not the one that its manifest names"));
        }
        if name != LEDGER {
            files.insert(name, octets);
        }
    }
    // The end of the age file is what says that nothing is missing.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(cut_off)?;
    let manifest = manifest.ok_or("it is empty")?;
    let there = |name: &String| files.contains_key(name) || (has_ledger && name == LEDGER);
    let missing = manifest.files.keys().find(|name| !there(name));
    match missing {
        Some(name) => Err(format!("{} is missing in it", ipc::bounded(name))),
        None if has_ledger => Ok((manifest, files)),
        None => Err("it has no ledger".into()),
    }
}

fn listed(name: &str, octets: &[u8], key: &VerifyingKey) -> Result<Manifest, String> {
    if name != MANIFEST {
        return Err("it is no backup of this program's: it does not begin with a manifest".into());
    }
    let payload = jws::verify(KIND, &String::from_utf8_lossy(octets), key.point()).ok_or_else(|| {
        format!(
            "it is not signed by the audit key {}: it is another agent's, or somebody made it up. The key is what `backup create` \
             and `status` showed when it was made",
            key.name()
        )
    })?;
    let bad = |_| "its manifest is not one that this version knows: run the version that made it".to_owned();
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(&payload).map_err(bad)?;
    if version != VERSION {
        return Err(format!("it is of version {version}; this version knows {VERSION}: run the version that made it"));
    }
    serde_json::from_slice(&payload).map_err(bad)
}

/// Writes the ledger.
fn place(entry: &mut dyn Read, to: &Path) -> Result<Member, String> {
    let at = |e: io::Error| format!("{}: {e}", to.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(at)?;
    let (mut digest, mut octets, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        let read = entry.read(&mut buffer).map_err(|_| CUT_OFF.to_owned())?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(at)?;
        octets += read as u64;
    }
    file.sync_all().map_err(at)?;
    Ok(Member { octets, sha256: hex::encode(digest.finalize()) })
}

/// The audit log from its first record to the last that a checkpoint covers; how many those are.
fn whole(ledger: &Ledger, key: &VerifyingKey) -> Result<u64, String> {
    let broken = |e: &dyn std::fmt::Display| format!("the audit log in it is not whole: {e}");
    let first = export::first_key(BufReader::new(Exported::of(ledger)), key).map_err(|e| broken(&e))?;
    let report =
        export::verify_from(BufReader::new(Exported::of(ledger)), first, key).map_err(|fault| broken(&fault))?;
    let checked = key.clone();
    match ledger.call(move |t| audit::check(t, &checked)).map_err(|e| e.to_string())? {
        Some(why) => Err(broken(&why)),
        None => Ok(report.covered),
    }
}

/// Deed, keys and ledger speak of the same agent.
fn agrees(deed: &Deed, secrets: Option<&Secrets>, ledger: &Ledger) -> Result<(), String> {
    let row = ledger.call(RegistrationRow::read).map_err(|e| e.to_string())?;
    let registered = row.filter(|row| row.phase == Phase::Registered);
    match (&deed.agent, secrets, registered) {
        (None, _, None) => Ok(()),
        (Some(agent), Some(secrets), Some(row)) => {
            let bls = secrets.bls_public();
            if agent.bls_key != hex::encode(bls) || row.bls_public != bls || row.agent_id != agent.agent_id {
                return Err("the sealed BLS key in it is not the one that its deed and its ledger name".into());
            }
            // It is verified.
            secrets.sign(TRIAL).map(drop).map_err(|e| e.to_string())
        }
        _ => Err("deed, keys and ledger in it do not agree on whether there is an agent".into()),
    }
}

/// The log's export as a stream, to its last checkpoint.
struct Exported {
    ledger: Ledger,
    next: Option<u64>,
    end: Arc<str>,
    buffer: io::Cursor<Vec<u8>>,
}

impl Exported {
    fn of(ledger: &Ledger) -> Self {
        let end = ledger.call(|t| {
            let (_, covered) = audit::counts(t)?;
            audit::checkpoint(t, covered)
        });
        let end = end.ok().flatten().map(|note| checkpoint_line(&note)).unwrap_or_default();
        Self { ledger: ledger.clone(), next: Some(0), end: end.into(), buffer: io::Cursor::default() }
    }
}

impl Read for Exported {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.buffer.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let Some(from) = self.next.take() else { return Ok(0) };
            let (mut lines, next) = self.ledger.call(move |t| audit::page(t, from)).map_err(io::Error::other)?;
            match lines.iter().position(|line| **line == *self.end) {
                Some(last) => lines.truncate(last + 1),
                None => self.next = next,
            }
            let text: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
            self.buffer = io::Cursor::new(text);
        }
    }
}
