//! From a record to its end at the backend: what was approved is signed, kept and submitted, what was rejected withdrawn.

use crate::agent::Agent;
use crate::clock;
use crate::decide::stands;
use crate::errands::{Job, TIMEOUT};
use crate::ledger::{self, Kept, Recorded, Row, Settling, State, Submitted, audit};
use crate::metrics::Stage;
use crate::outcome::{self, Said};
use crate::retry::Tries;
use crate::room::Room;
use crate::settle::{failed, settle, take_up};
use crate::vault::Vault;
use config::seams::{crash_point, pace};
use ipc::{ActionEnd, ActionId, Method, Outcome, Place, Refusal};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request waits for a courier at the least, and how long one in doubt or about an action that the ledger does not know.
const LEAST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a request may wait for a courier.
pub enum Wait {
    /// Until the action's time is over.
    Its,
    /// Past that a while too: an earlier try may have reached the backend, which is found out about by one more.
    Doubt,
    /// A client's patience.
    Client(Duration),
}

impl Wait {
    fn of(tries: Tries) -> Self {
        if tries.doubt { Self::Doubt } else { Self::Its }
    }
}

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
            move |t| ledger::keep(t, &signed, clock::now()),
            move |kept| match kept {
                Ok(Kept::Over) => look_where_it_stands(&again, &then, id),
                Ok(Kept::Submit(submitted)) => {
                    crash_point("action.kept");
                    again.meter.reached(&id, Stage::Signed);
                    submit(&again, &then, submitted, tries);
                }
                Ok(Kept::Frozen) => wait_to_sign(&again, &then, id, tries, "the agent is frozen"),
                Ok(Kept::Contradiction) => then.alarm(Some(&id), "signatures that contradict the ledger were refused"),
                Err(e) => failed(&again, &then, &id, &e),
            },
        );
    });
}

/// It was settled in passing: those who wait are told.
fn look_where_it_stands(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) => {
                tracing::info!(action = %id, "settled: {}", row.state.name());
                stands(&room, &then, row);
            }
            Ok(None) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
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
    send(room, vault, Method::Put, &id, body, Wait::of(tries), move |outcome| {
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
    send(room, vault, Method::Delete, &target, Vec::new(), Wait::of(tries), move |outcome| {
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
            Ok(Some(row @ Row { state: State::Approving | State::Rejecting, .. })) => {
                let deadline = row.deadline();
                let Some(left) = time_left(deadline) else { return run_out(&room, &then, &id, tries) };
                let (later, vault) = (room.clone(), then.clone());
                let once_more = move || match time_left(deadline) {
                    Some(_) => retry(),
                    None => run_out(&later, &vault, &id, tries),
                };
                then.retries.later(&room.clock, tries, wait, left, once_more);
            }
            Ok(_) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

fn time_left(deadline: u64) -> Option<Duration> {
    let left = deadline.saturating_sub(clock::now());
    (left > 0).then(|| Duration::from_secs(left))
}

/// Its time is over while it was tried.
fn run_out(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, tries: Tries) {
    let end = if tries.doubt { ActionEnd::Unknown } else { ActionEnd::Expired };
    if tries.doubt {
        vault.alarm(Some(id), "its time is over, and whether the backend took it is not known");
    }
    settle(room, vault, id, Settling::decided(end, "its time is over".into()));
}

/// One request about an action, with a fresh pass, once it is in the audit log; its outcome is read on a pool thread. One that
/// no courier took in its time was not sent.
pub fn send(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    method: Method,
    id: &ActionId,
    body: Vec<u8>,
    wait: Wait,
    done: impl FnOnce(Outcome) + Send + 'static,
) {
    let Some(agent): Option<Arc<Agent>> = vault.agent() else { return };
    let tail = format!("action/{id}");
    let guard = vault.clone();
    // A signature that was queued when the operator froze the agent, or the log fell behind, does not leave either.
    let may_go = move || if method == Method::Put { guard.may_sign() } else { Ok(()) };
    let mut job = Job {
        place: Place::Backend,
        method,
        tail: tail.clone(),
        headers: Vec::new(),
        body,
        timeout: TIMEOUT,
        pass: Some(agent),
        until: None,
        may_go: Some(Box::new(may_go)),
        pauses: true,
        done: Box::new(done),
    };
    let (again, then, id) = (room.clone(), vault.clone(), id.clone());
    let about = id.clone();
    vault.ledger.post(
        move |t| {
            audit::errand(t, method, &tail)?;
            Ok(Row::read(t, &about)?.map(|row| row.deadline()))
        },
        move |noted| match noted {
            Ok(deadline) => {
                let left = match (deadline, &wait) {
                    (None, _) => PATIENCE,
                    (Some(deadline), Wait::Doubt) => time_left(deadline).unwrap_or_default().max(PATIENCE),
                    (Some(deadline), _) => time_left(deadline).unwrap_or_default().max(LEAST),
                };
                let left = if let Wait::Client(patience) = wait { left.min(pace(patience)) } else { left };
                job.until = Instant::now().checked_add(left);
                again.errands.add(job);
            }
            Err(e) => failed(&again, &then, &id, &e),
        },
    );
}
