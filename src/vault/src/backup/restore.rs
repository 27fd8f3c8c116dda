//! A backup becomes this vault's state: where there is none, onto this token, sealed anew, frozen. Until the deed is written there is
//! nothing, and all of it can be repeated; from then on it is all there.

use super::content::{self, Content};
use crate::authority::called;
use crate::deed::{Configured, Deed};
use crate::files;
use crate::init::{self, Opened};
use crate::ledger::{Condition, Ledger, audit, time};
use crate::memory::{self, Mark};
use crate::notary;
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use crate::window_time::Reading;
use ::audit::{Checkpoint, VerifyingKey};
use config::seams::crash_point;
use hsm::{Generations, PublicKeys, Recovery, Token, seal};
use ipc::{Answer, Refusal, RestoreOptions, RestoreReport, Secret};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread;

/// What is not restored over.
const LIVE: &str = "there is an agent's state here already, and nothing is restored over it. If it is to go, stop the agent and move the \
                    whole state directory away; then bring the backup again";

/// Takes a part of a backup; the first makes it begin anew.
pub fn part(room: &Arc<Room>, offset: u64, octets: &[u8], reply: Reply) {
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    match keep(room, offset, octets) {
        Ok(()) => reply.send(Answer::Noted),
        Err(words) => reply.refuse(Refusal::Init(ipc::bounded(&words))),
    }
}

fn keep(room: &Room, offset: u64, octets: &[u8]) -> Result<(), String> {
    let path = room.config.state.restore();
    let at = |e: io::Error| format!("{}: {e}", path.display());
    files::private_dir(&room.config.state.dir).map_err(at)?;
    may_begin(room)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(offset == 0).mode(0o600).open(&path).map_err(at)?;
    if file.seek(SeekFrom::End(0)).map_err(at)? != offset {
        return Err("a part of the backup is missing: bring it again from its beginning".into());
    }
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(at)
}

/// What has no deed and lies beside a backup that was brought is what an interrupted restore left; any other state is somebody's.
fn may_begin(room: &Room) -> Result<(), String> {
    let state = &room.config.state;
    let left = [state.ledger(), state.bls_sealed(), state.mpin_sealed()].iter().any(|path| path.exists());
    if state.deed().exists() || (left && !state.restore().exists()) { Err(LIVE.into()) } else { Ok(()) }
}

/// What a restore that is done, or was given up, left: the deed is there.
pub fn clean(room: &Room) {
    let state = &room.config.state;
    for path in [state.restore(), state.restore_ledger(), state.backup(), state.backup_ledger()] {
        if path.exists()
            && let Err(e) = files::remove(&path)
        {
            tracing::warn!("{} could not be removed: {e}", path.display());
        }
    }
}

/// On a thread of its own, for it waits for the token.
pub fn restore(room: &Arc<Room>, identity: Secret, options: RestoreOptions, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || match begin(&room, &identity, &options, &reply.who()) {
        Ok(report) => reply.send(Answer::Restored(report)),
        Err(words) => {
            tracing::warn!("not restored: {words}");
            reply.refuse(Refusal::Init(ipc::bounded(&words)));
        }
    });
}

fn begin(room: &Arc<Room>, identity: &Secret, options: &RestoreOptions, who: &str) -> Result<RestoreReport, String> {
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    may_begin(room)?;
    let state = &room.config.state;
    let alone = files::lock(&state.dir).map_err(|e| format!("{}: {e}", state.dir.display()))?;
    let identity = Recovery::parse(identity.expose()).map_err(|e| e.to_string())?;
    let before: VerifyingKey = options.key.trim().parse().map_err(|e: ::audit::Error| e.to_string())?;
    let brought = File::open(state.restore()).map_err(|e| format!("no backup was brought: {e}"))?;
    files::remove(&state.restore_ledger()).map_err(|e| e.to_string())?;
    let content = content::read(brought, &identity, &before, &state.restore_ledger());
    let content = content.map_err(|why| format!("the backup: {why}"))?;

    let module = room.module.as_ref().map_err(Clone::clone)?;
    let (token, keys) = keys(room, module, &content.deed)?;
    crash_point("restore.keys-made");
    let configured = init::configured(&room.config, &token).map_err(|trouble| trouble.words)?;
    init::recovers(&configured)?;
    // Who may change what is not for the host's configuration to say.
    let people = Configured { recipients: content.deed.recipients.clone(), ..configured.clone() };
    content.deed.check(&people).map_err(|e| {
        format!("{e}. (The backup's configuration has it: `signing-agent backup verify --settings DIR`)")
    })?;
    let rollback = remembered(room, &token, &content, &before, options.newest.as_deref())?;
    if let Some(words) = &rollback
        && !options.accept_rollback
    {
        return Err(format!(
            "the backup is older than what is remembered: {words}. Restore the newest backup that there is; what was approved after it \
             was made is not in it. If there is no newer one, --accept-rollback restores it, on record"
        ));
    }

    sealed(room, &content, &configured)?;
    crash_point("restore.sealed");
    let change = Change { token: &token, keys: &keys, before: &before, who, rollback: rollback.as_deref() };
    let (mark, key) = change.ledger(room, &content)?;
    crash_point("restore.ledger-written");
    std::fs::rename(state.restore_ledger(), state.ledger()).map_err(|e| e.to_string())?;
    crash_point("restore.ledger-placed");
    if room.config.ledger.token_memory {
        token.replace_memory(&mark.to_bytes()).map_err(|e| e.to_string())?;
    }
    crash_point("restore.remembered");
    let Content { deed, made, records, .. } = content;
    let Configured { recipients, people } = configured;
    let deed = Deed::new(&keys, recipients, people, deed.agent).after(deed.written);
    deed.write(&state.deed(), &token).map_err(|e| e.to_string())?;
    crash_point("restore.deed-written");

    let ledger = Ledger::open(&state.ledger(), room.ledger_busy.clone()).map_err(|e| e.to_string())?;
    let agent = deed.agent.clone();
    let opened = Opened { token, keys, deed, ledger, alone };
    let vault = Vault::new(room, opened, None).map_err(|trouble| room.in_trouble(trouble))?;
    room.begin(vault);
    tracing::warn!(who, made, records, "restored from a backup; frozen");
    let (agent_id, name) = agent.map(|agent| (agent.agent_id, agent.name)).unzip();
    Ok(RestoreReport { agent_id, name, made, records, key: key.to_string(), rollback })
}

/// The token's keys: those that the deed names, where it is the same token; else its first ones, made where they are missing.
fn keys(room: &Room, module: &hsm::Module, deed: &Deed) -> Result<(Token, PublicKeys), String> {
    let open = |generations| {
        init::open_token_with(&room.config, module, room.token_watch.clone(), generations).map_err(|e| e.to_string())
    };
    if deed.generations() != Generations::default() {
        let token = open(deed.generations())?;
        if let Ok(keys) = token.public_keys()
            && deed.names(&keys)
        {
            return Ok((token, keys));
        }
    }
    let token = open(Generations::default())?;
    let keys = token.ensure_keys().map_err(|e| e.to_string())?;
    Ok((token, keys))
}

/// What the token, the witness's directory or the operator know of this log that is not in the backup.
fn remembered(
    room: &Room,
    token: &Token,
    content: &Content,
    key: &VerifyingKey,
    newest: Option<&str>,
) -> Result<Option<String>, String> {
    if room.config.ledger.token_memory {
        match token.read_memory() {
            Err(hsm::Error::MemoryMalformed(e)) => return Ok(Some(format!("the token's memory is malformed ({e})"))),
            Err(e) => return Err(e.to_string()),
            Ok(None) => {}
            Ok(Some(memory)) => {
                let Some(mark) = Mark::from_bytes(&memory.content) else {
                    return Ok(Some("the token's memory is not one of this program's".into()));
                };
                let why = content.ledger.call(move |t| memory::fits(t, mark)).map_err(|e| e.to_string())?;
                if why.is_some() {
                    return Ok(why);
                }
            }
        }
    }
    if let Some(newest) = newest {
        let known = key.verify(newest).map_err(|e| format!("the newest checkpoint that was given: {e}"))?;
        if let Some(why) = beyond(content, known)? {
            return Ok(Some(format!("the checkpoint that was given is of {why}")));
        }
    }
    let Some(dir) = &room.config.audit.witness_dir else { return Ok(None) };
    for note in notes(dir) {
        // Others' are none of ours.
        let Ok(known) = key.verify(&note) else { continue };
        if let Some(why) = beyond(content, known)? {
            return Ok(Some(format!("{} has a checkpoint of {why}", dir.display())));
        }
    }
    Ok(None)
}

/// The newest first.
fn notes(dir: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().rev().filter_map(|path| std::fs::read_to_string(path).ok())
}

/// What of this checkpoint is not in the backup's log.
fn beyond(content: &Content, known: Checkpoint) -> Result<Option<String>, String> {
    let Checkpoint { size, root, .. } = known;
    if size > content.records {
        return Ok(Some(format!("{size} records, the backup has {}", content.records)));
    }
    let same = content.ledger.call(move |t| audit::root(t, size)).map_err(|e| e.to_string())? == root;
    Ok((!same).then(|| format!("{size} records, and they are others than the backup's")))
}

/// The keys, sealed to this token and to the configuration's recovery recipients.
fn sealed(room: &Room, content: &Content, configured: &Configured) -> Result<(), String> {
    let state = &room.config.state;
    let write = |path: &Path, octets: &[u8]| files::write(path, octets).map_err(|e| format!("{}: {e}", path.display()));
    if let Some(secrets) = &content.secrets {
        let [bls, mpin] = secrets.seal(&configured.recipients).map_err(|e| e.to_string())?;
        write(&state.bls_sealed(), &bls)?;
        write(&state.mpin_sealed(), &mpin)?;
    }
    match &content.partner_key {
        Some(plain) => {
            let octets = seal::seal(plain, &configured.recipients).map_err(|e| e.to_string())?;
            write(&state.partner_key_sealed(), &octets)
        }
        None => Ok(()),
    }
}

struct Change<'a> {
    token: &'a Token,
    keys: &'a PublicKeys,
    /// Whose backup it is.
    before: &'a VerifyingKey,
    who: &'a str,
    rollback: Option<&'a str>,
}

impl Change<'_> {
    /// Puts the restore on record in the copy, frozen and with full windows, under a checkpoint of this token's; what the token is to
    /// remember, and the key.
    fn ledger(&self, room: &Room, content: &Content) -> Result<(Mark, VerifyingKey), String> {
        let ledger = &content.ledger;
        let key = notary::key(&self.keys.audit).map_err(|e| e.to_string())?;
        let agent = content.deed.agent.as_ref().map(|agent| agent.agent_id.as_str());
        let fields = json!({
            "by": self.who,
            "agent": called(agent, &self.keys.audit),
            "made": content.made,
            "software": content.software,
            "records": content.records,
            "identityKey": hex::encode(self.keys.identity),
            "rollback": self.rollback,
        });
        let (from, to, boot) = (self.before.clone(), key.clone(), room.boot.clone());
        let mark = ledger.call(move |t| {
            let (epoch, covered) = (Condition::Epoch.read(t)?, audit::counts(t)?.1);
            // That of the backup: where this is interrupted once the token has it, the same backup is not older than that.
            let mark = audit::checkpoint(t, covered)?.map_or(Mark::NONE, |note| Mark::new(epoch, covered, &note));
            let agent_time = time::begin(t, &boot, Reading::take())?.agent;
            Condition::Frozen.write(t, 1)?;
            // Also where no time has passed by the agent's clock.
            Condition::WindowsFullUntil.write(t, agent_time.max(1))?;
            audit::append(t, "restored", &fields)?;
            if from != to {
                audit::change_key(t, &from, &to)?;
            }
            Ok(mark)
        });
        let mark = mark.map_err(|e| e.to_string())?;
        notary::sign(self.token, ledger, &key).map_err(|e| e.to_string())?;
        ledger.close();
        Ok((mark, key))
    }
}
