//! What the operator asks of a vault besides `init` and `status`.

use crate::authority::{self, Consent};
use crate::init;
use crate::ledger::{Condition, audit, held_for_clock, past, time};
use crate::reload::judge_held_anew;
use crate::reply::Reply;
use crate::room::Room;
use crate::settle::{MOST_WAITING, judge_again};
use crate::vault::Vault;
use ipc::{ActionId, Answer, AuditPage, PolicyPart, Refusal};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a checkpoint may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A page of the audit log's export.
pub fn export(room: &Arc<Room>, record: u64, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let key = vault.notary.key.to_string();
    vault.ledger.post(
        move |t| audit::page(t, record),
        move |page| match page {
            Ok((lines, next)) => reply.send(Answer::AuditPage(AuditPage { lines, next, key })),
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}

/// Waits for the notary, on a thread of its own.
pub fn checkpoint(room: &Arc<Room>, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    thread::spawn(move || match vault.notary.checkpoint_within(PATIENCE) {
        Ok(size) => reply.send(Answer::AuditCheckpoint { size }),
        Err(words) => reply.refuse(Refusal::Init(ipc::bounded(&words))),
    });
}

/// Takes the state directory as it is, on record, and frozen.
pub fn accept_rollback(room: &Arc<Room>, consent: Consent, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || match accept(&room, consent) {
        Ok(words) => reply.send(Answer::Recovered(words)),
        Err(refusal) => reply.refuse(refusal),
    });
}

/// What is wrong with the ledger, where that is what an operator may accept; else why there is nothing to accept.
pub fn rolled_back(room: &Room) -> Result<String, String> {
    match room.trouble_or_vault() {
        Ok(_) => Err("there is nothing to recover: the ledger is the one that the token remembers".into()),
        Err(trouble) if !trouble.rollback => Err(trouble.words),
        Err(trouble) => Ok(trouble.words),
    }
}

fn accept(room: &Arc<Room>, consent: Consent) -> Result<String, Refusal> {
    let refuse = |words: String| Refusal::Init(ipc::bounded(&words));
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    let words = rolled_back(room).map_err(refuse)?;
    let opened = init::agreed(room).map_err(|trouble| refuse(trouble.words))?;
    let who = authority::allow_rollback(&opened, consent)?;
    tracing::warn!(who, "a rollback is accepted: {words}");
    let vault = Vault::new(room, opened, Some(who)).map_err(|trouble| refuse(trouble.words))?;
    room.begin(vault);
    Ok("the state directory is taken as it is, and that is in the audit log. The agent is frozen: look what was decided after \
        the copy was made (the backend knows), then `signing-agent unfreeze`"
        .into())
}

/// The wall clock is right as it is now; what was held for it alone is judged.
pub fn confirm_clock(room: &Arc<Room>, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let (room, who, then) = (room.clone(), reply.who(), vault.clone());
    vault.ledger.post(
        move |t| Ok((time::confirm(t, &who)?, held_for_clock::list(t, MOST_WAITING)?)),
        move |kept| match kept {
            Ok((look, held)) => {
                then.looked_at_the_clocks(&look);
                tracing::warn!("the operator says that the wall clock is right");
                judge_again(&room, &then, held);
                // Meanwhile no other policy could approve what an earlier one held.
                judge_held_anew(&room, &then);
                reply.send(Answer::Noted);
            }
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}

/// The windows are as full as the ledger has them, although it was restored.
pub fn confirm_windows(room: &Arc<Room>, who: String, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.post(
        move |t| {
            Condition::WindowsFullUntil.write(t, 0)?;
            audit::append(t, "windows-confirmed", &serde_json::json!({ "by": who }))
        },
        move |kept| match kept {
            Ok(()) => {
                judge_held_anew(&room, &then);
                reply.send(Answer::Noted);
            }
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}

/// Octets of a policy's text in one answer.
const PART: usize = 512 << 10;

/// A piece of the text of the policy in force.
pub fn policy_text(room: &Arc<Room>, offset: u64, reply: Reply) {
    let active = room.policy.active();
    let rest = usize::try_from(offset).ok().and_then(|offset| active.text.as_bytes().get(offset..)).unwrap_or_default();
    reply.send(Answer::PolicyPart(PolicyPart {
        hash: active.hash(),
        serial: active.policy.serial(),
        loaded: active.loaded(),
        source: active.source(),
        total: active.text.len() as u64,
        octets: rest.iter().copied().take(PART).collect(),
    }));
}

/// What is known of an action.
pub fn action(room: &Arc<Room>, id: ActionId, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    vault.ledger.ask(
        move |t| past::known(t, &id),
        move |known| match known {
            Ok(known) => reply.send(Answer::Action(known.map(Box::new))),
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}

/// A page of what was.
pub fn actions_since(room: &Arc<Room>, since: u64, after: Option<(u64, ActionId)>, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    vault.ledger.ask(
        move |t| past::since(t, since, after.as_ref()),
        move |page| match page {
            Ok(page) => reply.send(Answer::ActionPage(page)),
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}
