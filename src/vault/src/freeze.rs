//! Stopping all signing, and allowing it again. It is stopped whatever else does not work: also while the vault cannot work, so
//! that it does not begin to sign when it can.

use crate::ledger::{Condition, audit};
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use crate::{authority, files};
use ipc::{Answer, Refusal};
use rusqlite::Transaction;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked that the ledger does not have yet.
#[derive(Default)]
pub struct Freezes {
    /// How often.
    asked: AtomicU64,
    /// By whom, while no vault was at work.
    wish: Mutex<Option<String>>,
}

/// Stops it at once; it outlives a restart.
pub fn stop(room: &Arc<Room>, reply: Reply) {
    room.freezes.asked.fetch_add(1, Ordering::SeqCst);
    match room.vault() {
        Ok(vault) => now(&vault, reply.who(), reply),
        Err(refusal) if !room.config.state.deed().exists() => reply.refuse(refusal),
        Err(_) => wish(room, reply),
    }
}

fn now(vault: &Arc<Vault>, who: String, reply: Reply) {
    // Whatever the disk says.
    vault.frozen.store(true, Ordering::SeqCst);
    let then = vault.clone();
    vault.ledger.post(
        move |t| keep(t, &who),
        move |kept| match kept {
            Ok(()) => {
                then.frozen.store(true, Ordering::SeqCst);
                tracing::warn!("frozen: the operator says so");
                reply.send(Answer::Noted);
            }
            Err(e) => {
                let words = format!("it is frozen until the vault ends, and that is not on disk: {e}");
                reply.refuse(Refusal::Init(ipc::bounded(&words)));
            }
        },
    );
}

/// While there is no vault at work: kept in the state directory for the one that will be.
fn wish(room: &Arc<Room>, reply: Reply) {
    let who = reply.who();
    *room.freezes.wish.lock().unwrap_or_else(PoisonError::into_inner) = Some(who.clone());
    let path = room.config.state.freeze_wish();
    let written = files::write(&path, who.as_bytes());
    tracing::warn!("frozen: the operator says so, while the vault is not at work");
    match (room.vault(), written) {
        // It began meanwhile, and may have looked for the wish before it was there: the next start shall not find it then.
        (Ok(vault), _) => {
            now(&vault, who, reply);
            files::remove(&path).unwrap_or_else(|e| tracing::warn!("{}: {e}", path.display()));
        }
        (Err(_), Ok(())) => reply.send(Answer::Noted),
        (Err(_), Err(e)) => {
            let words = format!("it is frozen until this vault ends, and that could not be written down: {e}");
            reply.refuse(Refusal::Init(ipc::bounded(&words)));
        }
    }
}

/// What was wished while no vault was at work is so from now on.
pub fn grant(room: &Room, vault: &Vault) {
    let path = room.config.state.freeze_wish();
    let wished = room.freezes.wish.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(who) = wished.or_else(|| std::fs::read_to_string(&path).ok()) else { return };
    vault.frozen.store(true, Ordering::SeqCst);
    let who = ipc::bounded(&who);
    match vault.ledger.call(move |t| keep(t, &who)) {
        Ok(()) => files::remove(&path).unwrap_or_else(|e| tracing::warn!("{}: {e}", path.display())),
        // The wish stays where it is.
        Err(e) => tracing::error!("frozen until the vault ends, and that is not in the ledger: {e}"),
    }
}

/// What a vault that is not at work is in trouble with, and whether it will be frozen once that is over.
pub fn told(room: &Room, trouble: &str) -> String {
    let wished = room.freezes.wish.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    if wished || room.config.state.freeze_wish().exists() {
        format!("{trouble}. When that is over it is frozen, as the operator asked")
    } else {
        trouble.to_owned()
    }
}

fn keep(t: &Transaction<'_>, who: &str) -> Result<(), rusqlite::Error> {
    Condition::Frozen.write(t, 1)?;
    authority::void(t)?;
    audit::append(t, "frozen", &serde_json::json!({ "by": who }))
}

/// Allows it again, unless somebody has stopped it since.
pub fn resume(room: &Arc<Room>, who: String, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let (room, then, asked) = (room.clone(), vault.clone(), room.freezes.asked.load(Ordering::SeqCst));
    let (looking, still) = (room.clone(), move |room: &Room| room.freezes.asked.load(Ordering::SeqCst) == asked);
    vault.ledger.post(
        move |t| {
            if !still(&looking) {
                return Ok(false);
            }
            Condition::Frozen.write(t, 0)?;
            audit::append(t, "unfrozen", &serde_json::json!({ "by": who }))?;
            Ok(true)
        },
        move |kept| match kept {
            Ok(true) if still(&room) => {
                then.frozen.store(false, Ordering::SeqCst);
                tracing::warn!("unfrozen: the operator says so");
                then.retries.hurry();
                reply.send(Answer::Noted);
            }
            Ok(_) => reply.refuse(Refusal::Init("somebody has frozen it since this was asked: it stays frozen".into())),
            Err(e) => reply.refuse(Refusal::Init(ipc::bounded(&e.to_string()))),
        },
    );
}
