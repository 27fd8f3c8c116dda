//! From a record to its end at the backend: what was approved is signed, kept and submitted, what was rejected withdrawn.

use crate::agent::Agent;
use crate::clock;
use crate::errands::Job;
use crate::ledger::{self, Kept, Recorded, Row, Settling, State, Submitted, audit};
use crate::outcome::{self, Said};
use crate::retry::Tries;
use crate::room::Room;
use crate::settle::{failed, settle, take_up};
use crate::vault::Vault;
use config::seams::crash_point;
use ipc::{ActionEnd, ActionId, Method, Outcome, Place, Refusal};
use std::sync::Arc;
use std::time::Duration;

/// How long an action that names no expiry is tried, seconds.
const NO_EXPIRY: u64 = 24 * 60 * 60;

/// Signs what was recorded, keeps the signatures, and submits them.
pub fn sign(room: &Arc<Room>, vault: &Arc<Vault>, recorded: Recorded, tries: Tries) {
    let id = recorded.id().clone();
    if let Err(why) = vault.may_sign() {
        return wait_to_sign(room, vault, id, tries, &why);
    }
    let (room, vault) = (room.clone(), vault.clone());
    room.pool.clone().spawn(move || {
        let Some(agent) = vault.agent() else { return };
        let signed = match agent.sign(recorded) {
            Ok(signed) => signed,
            Err(e) => {
                vault.alarm(Some(&id), &format!("its signature is not used: {e}"));
                return wait_to_sign(&room, &vault, id, tries, "the signature did not verify");
            }
        };
        crash_point("action.signed");
        let (then, again) = (vault.clone(), room.clone());
        vault.ledger.post(
            move |t| ledger::keep(t, &signed),
            move |kept| match kept {
                Ok(Kept::Submit(submitted)) => {
                    crash_point("action.kept");
                    submit(&again, &then, submitted, tries);
                }
                Ok(Kept::Frozen) => wait_to_sign(&again, &then, id, tries, "the agent is frozen"),
                Ok(Kept::Contradiction) => then.alarm(Some(&id), "signatures that contradict the ledger were refused"),
                Err(e) => failed(&again, &then, &id, &e),
            },
        );
    });
}

/// What is recorded stays recorded: it is signed when that may be again, or ends with its time.
fn wait_to_sign(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, tries: Tries, why: &str) {
    let refusal = Refusal::NotReady(why.to_owned());
    let (again, then, target) = (room.clone(), vault.clone(), id.clone());
    let next = tries.and(&refusal, false);
    try_again(room, vault, id, next, refusal, None, move || take_up(&again, &then, target, next));
}

/// Sends signatures that are in the ledger; the same ones each time.
pub fn submit(room: &Arc<Room>, vault: &Arc<Vault>, submitted: Submitted, tries: Tries) {
    if let Err(why) = vault.may_sign() {
        return wait_to_sign(room, vault, submitted.id().clone(), tries, &why);
    }
    let texts: Vec<String> = submitted.signatures().iter().map(hex::encode).collect();
    let body = serde_json::json!({ "signatures": texts }).to_string().into_bytes();
    let (again, then, id) = (room.clone(), vault.clone(), submitted.id().clone());
    let sent = id.clone();
    send(room, vault, Method::Put, &id, body, None, move |outcome| {
        crash_point("action.answered");
        match outcome::read(outcome) {
            Said::Yes(_) => settle(&again, &then, &sent, Settling::decided(ActionEnd::Approved, String::new())),
            Said::No { status, words } => refused(&again, &then, &sent, status, words, tries.doubt),
            Said::Perhaps { refusal, wait, acted } => {
                let (room, vault) = (again.clone(), then.clone());
                let next = tries.and(&refusal, acted);
                let retry = move || submit(&room, &vault, submitted, next);
                try_again(&again, &then, sent, next, refusal, wait, retry);
            }
        }
    });
    crash_point("action.submitted");
}

/// Tells the backend of a recorded rejection.
pub fn withdraw(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, tries: Tries) {
    let (again, then, target) = (room.clone(), vault.clone(), id.clone());
    send(room, vault, Method::Delete, &target, Vec::new(), None, move |outcome| {
        crash_point("action.withdrawn");
        match outcome::read(outcome) {
            Said::Yes(_) => settle(&again, &then, &id, Settling::decided(ActionEnd::Rejected, String::new())),
            Said::No { status, words } => refused(&again, &then, &id, status, words, tries.doubt),
            Said::Perhaps { refusal, wait, acted } => {
                let (room, vault, target) = (again.clone(), then.clone(), id.clone());
                let next = tries.and(&refusal, acted);
                let retry = move || withdraw(&room, &vault, target, next);
                try_again(&again, &then, id, next, refusal, wait, retry);
            }
        }
    });
}

/// The backend will not have it. Where an earlier attempt may have reached it, nobody here can say what became of it.
fn refused(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, status: u16, words: String, doubt: bool) {
    tracing::error!(action = %id, status, "the backend refuses it: {words}");
    vault.waiting.refuse(id, &no(status, &words));
    let end = if doubt { ActionEnd::Unknown } else { ActionEnd::Failed };
    if doubt {
        vault.alarm(Some(id), &format!("whether the backend took it is not known; it says {status} now"));
    }
    settle(room, vault, id, Settling::decided(end, format!("{status} {words}")));
}

pub fn no(status: u16, words: &str) -> Refusal {
    match status {
        404 => Refusal::UnknownAction,
        _ => Refusal::Backend { status, words: words.to_owned() },
    }
}

fn try_again(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    id: ActionId,
    tries: Tries,
    refusal: Refusal,
    wait: Option<Duration>,
    retry: impl FnOnce() + Send + 'static,
) {
    tracing::warn!(action = %id, ?tries, ?refusal, "not accepted yet");
    if tries.is_unbelieved() {
        vault.alarm_unbelieved();
    }
    if !tries.wants_a_fresh_pass() {
        vault.waiting.refuse(&id, &refusal);
    }
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(Row { state: State::Approving | State::Rejecting, seen, first_seen, .. })) => {
                if seen.expires.unwrap_or(first_seen + NO_EXPIRY) > clock::now() {
                    return then.retries.later(&room.clock, tries, wait, retry);
                }
                let end = if tries.doubt { ActionEnd::Unknown } else { ActionEnd::Expired };
                if tries.doubt {
                    then.alarm(Some(&id), "its time is over, and whether the backend took it is not known");
                }
                settle(&room, &then, &id, Settling::decided(end, "its time is over".into()));
            }
            Ok(_) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// One request about an action, with a fresh pass, once it is in the audit log; its outcome is read on a pool thread. Where
/// no courier fetches it `within` its time that is a timeout.
pub fn send(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    method: Method,
    id: &ActionId,
    body: Vec<u8>,
    within: Option<Duration>,
    done: impl FnOnce(Outcome) + Send + 'static,
) {
    let Some(agent): Option<Arc<Agent>> = vault.agent() else { return };
    let tail = format!("action/{id}");
    let job = Job {
        place: Place::Backend,
        method,
        tail: tail.clone(),
        headers: Vec::new(),
        body,
        pass: Some(agent),
        within,
        done: Box::new(done),
    };
    let (again, then, id) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| audit::errand(t, method, &tail),
        move |noted| match noted {
            Ok(()) => again.errands.add(job),
            Err(e) => failed(&again, &then, &id, &e),
        },
    );
}
