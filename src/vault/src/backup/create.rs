use super::{
    BLS, CONFIGURATION, DEED, KIND, LEDGER, MANIFEST, MPIN, Manifest, Member, PARTNER, POLICY, SIGNATURES, VERSION,
};
use crate::ledger::{Ledger, audit};
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use crate::{clock, files, jws};
use config::seams::crash_point;
use hsm::{Role, Sealing};
use ipc::{Answer, BackupMade, Refusal};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

/// Octets in one answer.
const PART: u64 = 512 << 10;
/// How long a checkpoint may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// On a thread of its own, for it waits for the token and copies the ledger.
pub fn on_ask(room: &Arc<Room>, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || match create(&room, &reply.who()) {
        Ok(made) => reply.send(Answer::BackupMade(made)),
        Err(refusal) => reply.refuse(refusal),
    });
}

/// The octets of what was made, from `offset` on. It is removed once its end was asked for.
pub fn part(room: &Arc<Room>, offset: u64, reply: Reply) {
    let path = room.config.state.backup();
    let read = File::open(&path).and_then(|mut file| {
        let mut octets = Vec::new();
        file.seek(SeekFrom::Start(offset))?;
        file.take(PART).read_to_end(&mut octets)?;
        if octets.is_empty() {
            files::remove(&path)?;
        }
        Ok(octets)
    });
    match read {
        Ok(octets) => reply.send(Answer::BackupPart { octets }),
        Err(e) => reply.refuse(Refusal::Init(ipc::bounded(&format!("{}: {e}; begin anew", path.display())))),
    }
}

fn create(room: &Room, who: &str) -> Result<BackupMade, Refusal> {
    let words = |words: String| Refusal::Init(ipc::bounded(&words));
    let vault = room.vault()?;
    let recipients = vault.recipients.get(1..).unwrap_or_default().to_vec();
    if recipients.is_empty() {
        return Err(words(
            "nobody could open it: the deed names no recovery recipient. Make an age key (age-keygen) on another machine, name its \
             age1… in [sealing] recovery_recipients, restart the agent, and run `signing-agent init --amend`"
                .into(),
        ));
    }
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    // What is on disk of a registration is of one moment then.
    if vault.registering.swap(true, Ordering::SeqCst) {
        return Err(Refusal::RegistrationBusy);
    }
    let made = write(room, &vault, recipients, who);
    vault.registering.store(false, Ordering::SeqCst);
    files::remove(&room.config.state.backup_ledger()).map_err(|e| words(e.to_string()))?;
    made.map_err(words)
}

/// What goes into it but for the ledger: names and octets.
fn members(room: &Room) -> Result<BTreeMap<&'static str, Vec<u8>>, String> {
    let state = &room.config.state;
    let read = |path: &Path| match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|e| format!("{}: {e}", path.display())),
    };
    let active = room.policy.active();
    let policy = active.file.is_some().then(|| active.text.clone().into_bytes());
    let signatures = active.signatures.clone().ok().filter(|text| !text.is_empty()).map(String::into_bytes);
    let all = [
        (DEED, read(&state.deed())?),
        (BLS, read(&state.bls_sealed())?),
        (MPIN, read(&state.mpin_sealed())?),
        (PARTNER, read(&state.partner_key_sealed())?),
        (CONFIGURATION, read(&room.config_path)?),
        (POLICY, policy),
        (SIGNATURES, signatures),
    ];
    Ok(all.into_iter().filter_map(|(name, octets)| Some((name, octets?))).collect())
}

fn write(room: &Room, vault: &Vault, recipients: Vec<String>, who: &str) -> Result<BackupMade, String> {
    let state = &room.config.state;
    let (copy, sealed) = (state.backup_ledger(), state.backup());
    let by = serde_json::json!({ "by": who, "recipients": recipients });
    vault.ledger.call(move |t| audit::append(t, "backup", &by)).map_err(|e| e.to_string())?;
    let records = vault.notary.checkpoint_within(PATIENCE)?;
    files::remove(&copy).map_err(|e| e.to_string())?;
    drop(private(&copy)?);
    Ledger::copy(&state.ledger(), &copy).map_err(|e| e.to_string())?;
    crash_point("backup.ledger-copied");

    let members = members(room)?;
    let mut listed: BTreeMap<String, Member> =
        members.iter().map(|(name, octets)| ((*name).to_owned(), member(octets))).collect();
    listed.insert(LEDGER.into(), of_file(&copy).map_err(|e| format!("{}: {e}", copy.display()))?);
    let software = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest { version: VERSION, software, made: clock::now(), files: listed };
    let payload = serde_json::to_vec(&manifest).map_err(|e| e.to_string())?;
    let signed =
        jws::sign(KIND, &payload, |digest| vault.token.sign(Role::Audit, digest)).map_err(|e| e.to_string())?;

    let octets = archive(&sealed, &recipients, &signed, &members, &copy, manifest.made)?;
    crash_point("backup.sealed");
    Ok(BackupMade {
        octets,
        agent_id: vault.agent().map(|agent| agent.id.clone()),
        records,
        key: vault.notary.key.to_string(),
        recipients,
    })
}

/// Writes it whole; its length.
fn archive(
    sealed: &Path,
    recipients: &[String],
    manifest: &str,
    members: &BTreeMap<&'static str, Vec<u8>>,
    ledger: &Path,
    made: u64,
) -> Result<u64, String> {
    let at = |e: io::Error| format!("{}: {e}", sealed.display());
    let sealing = Sealing::new(BufWriter::new(private(sealed)?), recipients).map_err(|e| e.to_string())?;
    let mut tar = tar::Builder::new(sealing);
    let mut add = |name: &str, length: u64, octets: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(made);
        tar.append_data(&mut header, name, octets)
    };
    add(MANIFEST, manifest.len() as u64, &mut manifest.as_bytes()).map_err(at)?;
    for (name, octets) in members {
        add(name, octets.len() as u64, &mut octets.as_slice()).map_err(at)?;
    }
    let file = File::open(ledger).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    add(LEDGER, length, &mut BufReader::new(file)).map_err(at)?;
    let file = tar.into_inner().and_then(Sealing::finish).and_then(|out| out.into_inner().map_err(|e| e.into_error()));
    let mut file = file.map_err(at)?;
    file.flush().and_then(|()| file.sync_all()).and_then(|()| file.stream_position()).map_err(at)
}

fn private(path: &Path) -> Result<File, String> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.map_err(|e| format!("{}: {e}", path.display()))
}

fn member(octets: &[u8]) -> Member {
    Member { octets: octets.len() as u64, sha256: hex::encode(Sha256::digest(octets)) }
}

fn of_file(path: &Path) -> io::Result<Member> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let octets = io::copy(&mut file, &mut digest)?;
    Ok(Member { octets, sha256: hex::encode(digest.finalize()) })
}
