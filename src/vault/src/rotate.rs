//! A new sealing key, a new audit key, another PIN (docs/rotation.md). The deed says which key is in use, and its replacement is the
//! moment of the change: killed before it, the vault starts with the old key, after it with the new one, and nothing needs the other.

use crate::ledger::audit;
use crate::notary;
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use crate::{deed, files};
use config::seams::crash_point;
use hsm::{Generations, Role, seal};
use ipc::{Answer, Refusal, RotateReport, RotatedKey, Secret};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a checkpoint may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What its answer has to leave, before the vault ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// On a thread of its own, for it waits for the token.
pub fn on_ask(room: &Arc<Room>, key: RotatedKey, who: String, reply: Reply) {
    alone(room, reply, move |room, vault| {
        // It stays so: this vault registers nobody with the old key, for it ends.
        if vault.registering.swap(true, Ordering::SeqCst) {
            return Err(Refusal::RegistrationBusy);
        }
        let rotated = match key {
            RotatedKey::Sealing => sealing(room, vault, &who),
            RotatedKey::Audit => audit_key(room, vault, &who),
        };
        if rotated.is_err() {
            vault.registering.store(false, Ordering::SeqCst);
        }
        rotated.map(Answer::Rotated).map_err(refusal)
    });
}

/// The keys before the one in use are destroyed, once nothing needs them.
pub fn destroy_former(room: &Arc<Room>, key: RotatedKey, who: String, reply: Reply) {
    alone(room, reply, move |room, vault| destroy(room, vault, key, &who).map(Answer::Rotated).map_err(refusal));
}

/// Gives the token another PIN. What has the old one is the operator's to change.
pub fn change_pin(room: &Arc<Room>, new: Secret, reply: Reply) {
    let who = reply.who();
    alone(room, reply, move |_, vault| {
        note(vault, json!({ "key": "pin", "by": who })).map_err(refusal)?;
        vault.token.change_pin(new.expose()).map_err(|e| refusal(e.to_string()))?;
        crash_point("rotate.pin-changed");
        Ok(Answer::Noted)
    });
}

/// One at a time, and no opening meanwhile. A vault whose keys were replaced ends.
fn alone(
    room: &Arc<Room>,
    reply: Reply,
    work: impl FnOnce(&Room, &Arc<Vault>) -> Result<Answer, Refusal> + Send + 'static,
) {
    let room = room.clone();
    thread::spawn(move || {
        let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let done = room.vault().and_then(|vault| work(&room, &vault));
        let replaced = matches!(&done, Ok(Answer::Rotated(RotateReport { former: Some(_), .. })));
        if replaced {
            // Who asks after the answer must not be answered by the vault that was.
            room.retiring.store(true, Ordering::SeqCst);
        }
        match done {
            Ok(answer) => reply.send(answer),
            Err(refusal) => reply.refuse(refusal),
        }
        if replaced {
            tracing::info!("a key was replaced: the vault starts anew with it");
            thread::sleep(FAREWELL);
            room.retire();
        }
    });
}

fn refusal(words: String) -> Refusal {
    Refusal::Init(ipc::bounded(&words))
}

fn note(vault: &Vault, fields: serde_json::Value) -> Result<(), String> {
    vault.ledger.call(move |t| audit::append(t, "rotation", &fields)).map_err(|e| e.to_string())
}

/// What is sealed opens with both keys first, and with the new one alone once the deed names it.
fn sealing(room: &Room, vault: &Vault, who: &str) -> Result<RotateReport, String> {
    let keys = vault.token.ensure_next(Role::Sealing).map_err(|e| e.to_string())?;
    crash_point("rotate.key-made");
    let [former, recovery @ ..] = &vault.recipients[..] else { return Err("the deed names no recipient".into()) };
    let key = keys.recipient().map_err(|e| e.to_string())?;
    let sealed = Sealed::open(room, vault)?;
    let both: Vec<String> = [&key, former].into_iter().chain(recovery).cloned().collect();
    sealed.seal(vault, keys.generations, &both)?;
    crash_point("rotate.sealed-to-both");
    note(vault, json!({ "key": "sealing", "from": former, "to": key, "by": who }))?;
    let recipients: Vec<String> = std::iter::once(&key).chain(recovery).cloned().collect();
    replace_deed(room, vault, |deed| deed.with(&keys, recipients.clone()))?;
    // The deed names the new key by now, and what is sealed opens with it: `--confirm` seals it once more.
    if let Err(e) = sealed.seal(vault, keys.generations, &recipients) {
        vault.alarm(None, &format!("what is sealed opens with the former sealing key too: {e}"));
    }
    crash_point("rotate.sealed-anew");
    Ok(RotateReport { key, former: Some(former.clone()), destroyed: 0 })
}

/// The old key vouches for the new one: it signs a checkpoint of the record that names it.
fn audit_key(room: &Room, vault: &Vault, who: &str) -> Result<RotateReport, String> {
    let keys = vault.token.ensure_next(Role::Audit).map_err(|e| e.to_string())?;
    crash_point("rotate.key-made");
    let former = vault.notary.key.clone();
    let key = notary::key(&keys.audit).map_err(|e| e.to_string())?;
    let (from, to) = (former.clone(), key.clone());
    note(vault, json!({ "key": "audit", "from": from.to_string(), "to": to.to_string(), "by": who }))?;
    vault.ledger.call(move |t| audit::change_key(t, &from, &to)).map_err(|e| e.to_string())?;
    crash_point("rotate.named");
    vault.notary.checkpoint_within(PATIENCE)?;
    crash_point("rotate.vouched-for");
    replace_deed(room, vault, |deed| {
        let recipients = deed.recipients.clone();
        deed.with(&keys, recipients)
    })?;
    Ok(RotateReport { key: key.to_string(), former: Some(former.to_string()), destroyed: 0 })
}

fn replace_deed(room: &Room, vault: &Vault, next: impl FnOnce(deed::Deed) -> deed::Deed) -> Result<(), String> {
    let path = room.config.state.deed();
    let deed = deed::Deed::read(&path, &vault.keys).map_err(|e| e.to_string())?;
    let written = deed.written;
    next(deed).after(written).write(&path, &vault.token).map_err(|e| {
        // It may lie there all the same: the next start goes by what does.
        room.retire();
        format!("{e}; the vault starts anew with the key that the deed names")
    })?;
    crash_point("rotate.deed-written");
    Ok(())
}

fn destroy(room: &Room, vault: &Vault, key: RotatedKey, who: &str) -> Result<RotateReport, String> {
    let (role, now) = match key {
        RotatedKey::Sealing => {
            // What an interrupted rotation left is sealed to both.
            Sealed::open(room, vault)?.seal(vault, vault.keys.generations, &vault.recipients)?;
            (Role::Sealing, vault.recipients.first().cloned().unwrap_or_default())
        }
        RotatedKey::Audit => {
            // From here on the log does not need the old one: its last checkpoint is of the key in use.
            vault.notary.checkpoint_within(PATIENCE)?;
            (Role::Audit, vault.notary.key.to_string())
        }
    };
    let fields = json!({ "key": key.as_str(), "destroyed": "all before the one in use", "now": now, "by": who });
    note(vault, fields)?;
    crash_point("rotate.destroying");
    let destroyed = vault.token.destroy_former(role).map_err(|e| e.to_string())?;
    Ok(RotateReport { key: now, former: None, destroyed: u32::try_from(destroyed).unwrap_or(u32::MAX) })
}

/// The sealed files that there are, and what is in them.
struct Sealed(Vec<(PathBuf, Zeroizing<Vec<u8>>)>);

impl Sealed {
    fn open(room: &Room, vault: &Vault) -> Result<Self, String> {
        let state = &room.config.state;
        let paths = [state.bls_sealed(), state.mpin_sealed(), state.partner_key_sealed()];
        let there = paths.into_iter().filter(|path| path.exists());
        let opened = there.map(|path| {
            let plain = std::fs::read(&path)
                .map_err(|e| e.to_string())
                .and_then(|octets| seal::open(&vault.token, &octets).map_err(|e| e.to_string()));
            plain.map(|plain| (path.clone(), plain)).map_err(|e| format!("{}: {e}", path.display()))
        });
        opened.collect::<Result<_, _>>().map(Self)
    }

    /// Seals each to these, and reads it back with the sealing key of these generations.
    fn seal(&self, vault: &Vault, generations: Generations, recipients: &[String]) -> Result<(), String> {
        for (path, plain) in &self.0 {
            let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
            let sealed = seal::seal(plain, recipients).map_err(|e| at(&e))?;
            // Before it takes the place of what is good.
            let back = seal::open_as(&vault.token, generations, &sealed).map_err(|e| at(&e))?;
            if back != *plain {
                return Err(at(&"what was sealed anew does not open to the same"));
            }
            files::write(path, &sealed).map_err(|e| at(&e))?;
        }
        Ok(())
    }
}
