//! The partner app's word on an action, and what those who wait for it are told.

use crate::fetch::{self, Wanted, fetch};
use crate::ledger::{self, Brought, Row, Source, State};
use crate::pipeline::{Judged, Seen};
use crate::reply::Reply;
use crate::room::Room;
use crate::settle::{expire, untold};
use crate::statement::{self, About};
use crate::tokens;
use crate::vault::Vault;
use crate::waiting::Asked;
use config::seams::pace;
use ipc::{ActionEnd, ActionId, Credentials, Refusal, Verb};
use std::sync::Arc;
use std::time::Duration;

/// How long the partner app waits for an end before it is told that there is none yet.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// How often that is looked after.
const LOOK: Duration = Duration::from_secs(1);
/// Contradictions that are on record, as far as memory knows.
const MOST_KNOWN: usize = 1024;

/// Tells those who have waited too long. One look for all of them: a timer for each would stay when its asker is answered,
/// and a door that asks a million times would fill the memory with them.
pub fn be_patient(room: Arc<Room>, vault: Arc<Vault>) {
    for reply in vault.waiting.take_late(pace(PATIENCE)) {
        reply.refuse(Refusal::Timeout);
    }
    let again = room.clone();
    room.clock.after(LOOK, move || be_patient(again, vault));
}

/// The partner app's `PUT` or `DELETE`, or the operator's word.
pub fn decide(room: &Arc<Room>, id: ActionId, verb: Verb, source: Source, credentials: Credentials, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if vault.agent().is_none() {
        return reply.refuse(Refusal::NotRegistered);
    }
    vault.waiting.add(&id, verb, source, credentials, reply);
    let (room, then) = (room.clone(), vault.clone());
    let wanted = id.clone();
    vault.ledger.ask(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) => stands(&room, &then, row),
            Ok(None) => fetch(&room, &then, Seen { id, claim: None, expires: None }, Wanted::by_them()),
            // Whatever is under way with it goes on by itself.
            Err(e) => untold(&then, &id, &e),
        },
    );
}

/// Whoever waits and wants this of an action, and what of their statements is good as far as the ledger is not needed for
/// it. One that is not ends the looking: a door that brings many costs no more than one.
pub fn brought(vault: &Vault, judged: &Judged, verb: Verb, now: u64) -> Vec<Brought> {
    let Some(agent) = vault.agent() else { return Vec::new() };
    let id = &judged.seen().id;
    let about = About { agent: &agent.id, action: id, messages: judged.messages(), verb };
    let verified = |asked: &Asked| {
        let statements = asked.credentials.statements.iter();
        statements.map(|signed| statement::verify(&vault.approvers, &about, signed.clone(), now)).collect()
    };
    let all = vault.waiting.hear(id, verb).into_iter();
    all.map(|asked| Brought {
        ticket: asked.ticket,
        bearer: asked.credentials.bearer.as_ref().map(|bearer| vault.tokens.known(tokens::hash(bearer))),
        statements: verified(&asked),
        source: asked.source,
    })
    .collect()
}

/// Answers those who wait for an action that stands where it stands, or goes on with one that is held.
pub fn stands(room: &Arc<Room>, vault: &Arc<Vault>, row: Row) {
    let id = row.seen.id.clone();
    let contradicted = |verb, refusal: &Refusal| {
        let refused = vault.waiting.take(&id, |wanted| wanted == verb);
        if !refused.is_empty() {
            on_record(vault, &id, verb);
        }
        for (_, reply) in refused {
            reply.refuse(refusal.clone());
        }
    };
    let denied = row.verdict == Some(policy::Verdict::Deny);
    match row.state {
        State::Held | State::Seen if vault.is_over(&row.seen) => expire(room, vault, &id),
        State::Held => match (vault.waiting.verb(&id), row.messages()) {
            (Some(_), Some(messages)) => {
                let messages = messages.to_vec();
                let (room, vault) = (room.clone(), vault.clone());
                room.pool.clone().spawn(move || fetch::judge(&room, &vault, row.seen, messages));
            }
            (Some(_), None) => fetch(room, vault, row.seen, Wanted::by_them()),
            (None, _) => {}
        },
        State::Seen => fetch(room, vault, row.seen, Wanted::by_them()),
        State::Approving => contradicted(Verb::Reject, &Refusal::Contradiction(ActionEnd::Approved)),
        State::Rejecting | State::Settled(ActionEnd::Rejected) if denied => {
            contradicted(Verb::Approve, &Refusal::Denied(row.why));
            if row.state != State::Rejecting {
                vault.waiting.end(&id, ActionEnd::Rejected);
            }
        }
        State::Rejecting => contradicted(Verb::Approve, &Refusal::Contradiction(ActionEnd::Rejected)),
        State::Settled(end) => {
            if vault.waiting.end(&id, end) {
                on_record(vault, &id, if end == ActionEnd::Approved { Verb::Reject } else { Verb::Approve });
            }
        }
    }
}

/// A client's word against what stands: refused.
fn on_record(vault: &Arc<Vault>, id: &ActionId, verb: Verb) {
    let what = match verb {
        Verb::Approve => "the partner app approves what is rejected; refused",
        Verb::Reject => "the partner app rejects what is approved; refused",
    };
    contradicted(vault, id, what);
}

/// What contradicts what stands or what was said: on record and alarmed once, however often it is said.
pub fn contradicted(vault: &Arc<Vault>, id: &ActionId, what: &'static str) {
    if vault.contradictions().contains(&(id.clone(), what)) {
        return;
    }
    let (then, id, about) = (vault.clone(), id.clone(), id.clone());
    vault.ledger.post(
        move |t| ledger::contradiction(t, &about, what),
        move |fresh| match fresh {
            Ok(fresh) => {
                if fresh {
                    then.alarm(Some(&id), what);
                }
                let mut known = then.contradictions();
                // The ledger knows them all: this only spares it the question.
                if known.len() >= MOST_KNOWN {
                    known.clear();
                }
                known.insert((id, what));
            }
            Err(e) => tracing::error!(action = %id, "a contradiction is not on record: {e}"),
        },
    );
}

/// Nothing was changed by what was found out of an action. Where that was of another announcement than it has by now, nothing else
/// goes on with it.
pub fn stood(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) if row.state == State::Seen => fetch(&room, &then, row.seen, Wanted::by_us()),
            Ok(_) => reconsider(&room, &then, id),
            Err(e) => untold(&then, &id, &e),
        },
    );
}

/// Nobody may release what policy denies.
pub fn refuse_approvals(vault: &Vault, id: &ActionId, why: &str) {
    vault.waiting.refuse_approvals(id, &Refusal::Denied(why.to_owned()));
}

/// Somebody may have come to wait while the action was on its way to where it stands now.
pub fn reconsider(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    if vault.waiting.verb(&id).is_none() {
        return;
    }
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) => stands(&room, &then, row),
            Ok(None) => then.waiting.refuse(&id, &Refusal::Internal),
            // Whatever is under way with it goes on by itself.
            Err(e) => untold(&then, &id, &e),
        },
    );
}
