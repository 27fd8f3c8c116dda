//! From an action's id to its end: fetch its bytes, judge, record, sign, submit, settle; and the partner app's word on it.

use crate::agent::Agent;
use crate::clock::{self, backoff};
use crate::errands::Job;
use crate::ledger::{self, Fate, Recorded, Row, Settling, State};
use crate::outcome::{self, Said};
use crate::pipeline::{Judged, Seen, Signed};
use crate::reply::Reply;
use crate::room::{Room, Vault};
use ipc::{ActionEnd, ActionId, Method, Outcome, Refusal, Verb};
use std::sync::Arc;
use std::time::Duration;

/// How long the partner app waits for an end before it is told that there is none yet.
const PATIENCE: Duration = Duration::from_secs(45);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const SLOWEST_RETRY: Duration = Duration::from_secs(60);
const SWEEP: Duration = Duration::from_secs(5);
/// How long an action that names no expiry is tried.
const NO_EXPIRY: u64 = 24 * 60 * 60;

/// The partner app's `PUT` or `DELETE`.
pub fn decide(room: &Arc<Room>, id: ActionId, verb: Verb, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if vault.agent().is_none() {
        return reply.refuse(Refusal::NotRegistered);
    }
    let number = vault.waiting.add(&id, verb, reply);
    let (patient, late) = (vault.clone(), id.clone());
    room.clock.after(PATIENCE, move || {
        for (_, reply) in patient.waiting.take(&late, |n, _| n == number) {
            reply.refuse(Refusal::Timeout);
        }
    });
    let (room, then) = (room.clone(), vault.clone());
    let wanted = id.clone();
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) => stands(&room, &then, row),
            Ok(None) => fetch(&room, &then, Seen { id, claim: None, expires: None }, None),
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// Answers those who wait for an action that stands where it stands, or goes on with one that is held.
fn stands(room: &Arc<Room>, vault: &Arc<Vault>, row: Row) {
    let id = row.seen.id.clone();
    let contradicted = |verb, refusal: &Refusal| {
        for (_, reply) in vault.waiting.take(&id, |_, wanted| wanted == verb) {
            reply.refuse(refusal.clone());
        }
    };
    let denied = row.verdict == Some(policy::Verdict::Deny);
    match row.state {
        State::Held | State::Seen if row.seen.is_over(clock::now()) => expire(room, vault, &id),
        State::Held => match (vault.waiting.verb(&id), row.messages()) {
            (Some(_), Some(messages)) => {
                let messages = messages.to_vec();
                let (room, vault) = (room.clone(), vault.clone());
                room.pool.clone().spawn(move || judge(&room, &vault, row.seen, messages));
            }
            (Some(_), None) => fetch(room, vault, row.seen, None),
            (None, _) => {}
        },
        State::Seen => fetch(room, vault, row.seen, None),
        State::Approving => contradicted(Verb::Reject, &Refusal::Contradiction(ActionEnd::Approved)),
        State::Rejecting | State::Settled(ActionEnd::Rejected) if denied => {
            contradicted(Verb::Approve, &Refusal::Denied(row.why));
            if row.state != State::Rejecting {
                vault.waiting.end(&id, ActionEnd::Rejected);
            }
        }
        State::Rejecting => contradicted(Verb::Approve, &Refusal::Contradiction(ActionEnd::Rejected)),
        State::Settled(end) => vault.waiting.end(&id, end),
    }
}

/// Has the courier fetch an action's messages. `attempt` is `None` where only those who wait want it: it is not retried.
pub fn fetch(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, attempt: Option<u32>) {
    let (again, then, id) = (room.clone(), vault.clone(), seen.id.clone());
    send(room, vault, Method::Get, &id, Vec::new(), move |outcome| match outcome::read(outcome) {
        // Who wanted it has gone, and nobody else asked.
        Said::Yes(_) if attempt.is_none() && then.waiting.verb(&seen.id).is_none() => {}
        Said::Yes(body) => match outcome::messages(&body) {
            Ok(messages) => judge(&again, &then, seen, messages),
            Err(_) if then.waiting.verb(&seen.id) == Some(Verb::Reject) => reject(&again, &then, seen, Vec::new()),
            Err(refusal) => retry_fetch(&again, &then, seen, attempt, refusal, None),
        },
        Said::No { status, words } => {
            then.waiting.refuse(&seen.id, &no(status, &words));
            if attempt.is_some() {
                settle(&again, &then, &seen.id, Settling::undecided(ActionEnd::Failed, format!("{status} {words}")));
            }
        }
        Said::Perhaps { refusal, wait, .. } => retry_fetch(&again, &then, seen, attempt, refusal, wait),
    });
}

fn retry_fetch(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    seen: Seen,
    attempt: Option<u32>,
    refusal: Refusal,
    wait: Option<Duration>,
) {
    tracing::warn!(action = %seen.id, ?refusal, "its messages could not be fetched");
    vault.waiting.refuse(&seen.id, &refusal);
    let Some(attempt) = attempt else { return };
    if seen.is_over(clock::now()) {
        return expire(room, vault, &seen.id);
    }
    let (room, vault) = (room.clone(), vault.clone());
    later(&room.clone(), attempt, wait, move || fetch(&room, &vault, seen, Some(attempt + 1)));
}

/// Judges the bytes, for those who wait or else by policy, and records what comes of it.
fn judge(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, messages: Vec<Vec<u8>>) {
    let now = clock::now();
    if seen.is_over(now) {
        return expire(room, vault, &seen.id);
    }
    let id = seen.id.clone();
    let judged = Judged::new(&room.policy, seen, messages);
    for facts in &judged.judgement().facts {
        tracing::info!(action = %id, "{facts}");
    }
    let (room, then) = (room.clone(), vault.clone());
    let after = move |fate| recorded(&room, &then, id, fate);
    match vault.waiting.verb(&judged.seen().id) {
        Some(Verb::Reject) => {
            let (seen, messages) = (judged.seen().clone(), judged.messages().to_vec());
            vault.ledger.post(move |t| ledger::reject(t, &seen, &messages, now), after);
        }
        Some(Verb::Approve) => match judged.permit_by_client() {
            Ok(permitted) => vault.ledger.post(move |t| ledger::approve(t, &permitted, now), after),
            Err(judged) => {
                refuse_approvals(vault, &judged.seen().id, &judged.judgement().why);
                vault.ledger.post(move |t| ledger::judge(t, judged, now), after);
            }
        },
        // The feed never announced it: it was a client's wish, and that client has gone.
        None if judged.seen().expires.is_none() => {}
        None => vault.ledger.post(move |t| ledger::judge(t, judged, now), after),
    }
}

/// Nobody may release what policy denies.
fn refuse_approvals(vault: &Vault, id: &ActionId, why: &str) {
    for (_, reply) in vault.waiting.take(id, |_, verb| verb == Verb::Approve) {
        reply.refuse(Refusal::Denied(why.to_owned()));
    }
}

fn reject(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, messages: Vec<Vec<u8>>) {
    let (room, then, id) = (room.clone(), vault.clone(), seen.id.clone());
    vault
        .ledger
        .post(move |t| ledger::reject(t, &seen, &messages, clock::now()), move |fate| recorded(&room, &then, id, fate));
}

/// What was recorded is done.
fn recorded(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, fate: Result<Fate, ledger::Error>) {
    match fate {
        Ok(Fate::Approve(recorded)) => {
            tracing::info!(action = %id, "approval recorded");
            approve(room, vault, recorded, false);
        }
        Ok(Fate::Reject) => withdraw(room, vault, id, 0, false),
        Ok(Fate::Denied(why)) => {
            tracing::warn!(action = %id, "denied: {why}");
            refuse_approvals(vault, &id, &why);
            withdraw(room, vault, id, 0, false);
        }
        Ok(Fate::Held(why)) => {
            tracing::info!(action = %id, "held: {why}");
            reconsider(room, vault, id);
        }
        Ok(Fate::OtherBytes) => {
            let words = "the backend gave other bytes for this action than it did first; nothing is signed";
            tracing::error!(action = %id, "{words}");
            vault.waiting.refuse(&id, &Refusal::Malformed(words.into()));
        }
        Ok(Fate::Stands) => reconsider(room, vault, id),
        Err(e) => failed(room, vault, &id, &e),
    }
}

/// Somebody may have come to wait while the action was on its way to where it stands now.
fn reconsider(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    if vault.waiting.verb(&id).is_none() {
        return;
    }
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(row)) => stands(&room, &then, row),
            Ok(None) => then.waiting.refuse(&id, &Refusal::Internal),
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// Signs what was recorded, and submits it; `doubt` where an earlier submission may have reached the backend.
fn approve(room: &Arc<Room>, vault: &Arc<Vault>, recorded: Recorded, doubt: bool) {
    let (room, vault) = (room.clone(), vault.clone());
    room.pool.clone().spawn(move || {
        let Some(agent) = vault.agent() else { return };
        submit(&room, &vault, Arc::new(agent.sign(&recorded)), 0, doubt);
    });
}

fn submit(room: &Arc<Room>, vault: &Arc<Vault>, signed: Arc<Signed>, attempt: u32, doubt: bool) {
    let texts: Vec<String> = signed.signatures().iter().map(hex::encode).collect();
    let body = serde_json::json!({ "signatures": texts }).to_string().into_bytes();
    let (again, then, id) = (room.clone(), vault.clone(), signed.id().clone());
    send(room, vault, Method::Put, &id, body, move |outcome| match outcome::read(outcome) {
        Said::Yes(_) => settle(&again, &then, signed.id(), Settling::approved(signed.signatures().to_vec())),
        Said::No { status, words } => refused(&again, &then, signed.id(), status, words, doubt),
        Said::Perhaps { refusal, wait, acted } => {
            let (room, vault) = (again.clone(), then.clone());
            let id = signed.id().clone();
            let retry = move || submit(&room, &vault, signed, attempt + 1, doubt || acted);
            try_again(&again, &then, id, attempt, doubt || acted, refusal, wait, retry);
        }
    });
}

/// Tells the backend of a recorded rejection.
fn withdraw(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, attempt: u32, doubt: bool) {
    let (again, then, target) = (room.clone(), vault.clone(), id.clone());
    send(room, vault, Method::Delete, &target, Vec::new(), move |outcome| match outcome::read(outcome) {
        Said::Yes(_) => settle(&again, &then, &id, Settling::decided(ActionEnd::Rejected, String::new())),
        Said::No { status, words } => refused(&again, &then, &id, status, words, doubt),
        Said::Perhaps { refusal, wait, acted } => {
            let (room, vault, target) = (again.clone(), then.clone(), id.clone());
            let retry = move || withdraw(&room, &vault, target, attempt + 1, doubt || acted);
            try_again(&again, &then, id, attempt, doubt || acted, refusal, wait, retry);
        }
    });
}

/// The backend will not have it. Where an earlier attempt may have reached it, nobody here can say what became of it.
fn refused(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, status: u16, words: String, doubt: bool) {
    tracing::error!(action = %id, status, "the backend refuses it: {words}");
    vault.waiting.refuse(id, &no(status, &words));
    let end = if doubt { ActionEnd::Unknown } else { ActionEnd::Failed };
    settle(room, vault, id, Settling::decided(end, format!("{status} {words}")));
}

fn no(status: u16, words: &str) -> Refusal {
    match status {
        404 => Refusal::UnknownAction,
        _ => Refusal::Backend { status, words: words.to_owned() },
    }
}

#[allow(clippy::too_many_arguments, reason = "the two callers' common end, with what they know")]
fn try_again(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    id: ActionId,
    attempt: u32,
    doubt: bool,
    refusal: Refusal,
    wait: Option<Duration>,
    retry: impl FnOnce() + Send + 'static,
) {
    tracing::warn!(action = %id, attempt, ?refusal, "not accepted yet");
    vault.waiting.refuse(&id, &refusal);
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Row::read(t, &wanted),
        move |row| match row {
            Ok(Some(Row { state: State::Approving | State::Rejecting, seen, first_seen, .. })) => {
                if seen.expires.unwrap_or(first_seen + NO_EXPIRY) > clock::now() {
                    return later(&room, attempt, wait, retry);
                }
                let end = if doubt { ActionEnd::Unknown } else { ActionEnd::Expired };
                settle(&room, &then, &id, Settling::decided(end, "its time is over".into()));
            }
            Ok(_) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// The wait that the backend asked for, or else one of our own, with jitter.
fn later(room: &Arc<Room>, attempt: u32, wait: Option<Duration>, what: impl FnOnce() + Send + 'static) {
    let own = backoff(attempt, FIRST_RETRY, SLOWEST_RETRY);
    room.clock.after(wait.unwrap_or_default().min(SLOWEST_RETRY * 10).max(own), what);
}

fn expire(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId) {
    settle(room, vault, id, Settling::undecided(ActionEnd::Expired, String::new()));
}

/// Settles it, and tells those who wait where it stands then: as it was settled here, or earlier.
fn settle(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, settling: Settling) {
    let (room, then, id, settled) = (room.clone(), vault.clone(), id.clone(), id.clone());
    vault.ledger.post(
        move |t| {
            ledger::settle(t, &id, &settling, clock::now())?;
            Row::read(t, &id)
        },
        move |row| match row {
            Ok(Some(row)) => {
                if let State::Settled(_) = row.state {
                    tracing::info!(action = %settled, "settled: {}", row.state.name());
                }
                stands(&room, &then, row);
            }
            Ok(None) => then.waiting.refuse(&settled, &Refusal::UnknownAction),
            Err(e) => failed(&room, &then, &settled, &e),
        },
    );
}

/// The ledger could not be read or written: those who wait are told, and the action is taken up again later.
fn failed(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, e: &ledger::Error) {
    tracing::error!(action = %id, "{e}");
    vault.waiting.refuse(id, &Refusal::Internal);
    let (again, vault, id) = (room.clone(), vault.clone(), id.clone());
    room.clock.after(SWEEP, move || take_up(&again, &vault, id));
}

/// One request about an action, with a fresh pass; its outcome is read on a pool thread.
fn send(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    method: Method,
    id: &ActionId,
    body: Vec<u8>,
    done: impl FnOnce(Outcome) + Send + 'static,
) {
    let Some(agent): Option<Arc<Agent>> = vault.agent() else { return };
    room.errands.add(Job {
        method,
        tail: format!("action/{id}"),
        headers: Vec::new(),
        body,
        pass: Some(agent),
        until: None,
        done: Box::new(done),
    });
}

/// Goes on with what was under way when the vault ended.
pub fn resume(room: &Arc<Room>, vault: &Arc<Vault>) {
    match vault.ledger.call(Row::under_way) {
        Ok(ids) => ids.into_iter().for_each(|id| take_up(room, vault, id)),
        Err(e) => tracing::error!("what was under way is not taken up again: {e}"),
    }
}

/// Goes on with an action from where the ledger has it. Earlier attempts may have reached the backend.
fn take_up(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| Recorded::read(t, &wanted),
        move |read| match read {
            Ok((_, Some(recorded))) => approve(&room, &then, recorded, true),
            Ok((Some(Row { state: State::Rejecting, .. }), _)) => withdraw(&room, &then, id, 0, true),
            Ok((Some(Row { state: State::Seen, seen, .. }), _)) => fetch(&room, &then, seen, Some(0)),
            Ok(_) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// Settles what ran out of time, and comes back.
pub fn sweep(room: Arc<Room>, vault: Arc<Vault>) {
    let then = vault.clone();
    vault.ledger.post(
        |t| ledger::expire(t, clock::now()),
        move |expired| {
            match expired {
                Ok(expired) => {
                    for id in expired {
                        tracing::info!(action = %id, "settled: expired");
                        then.waiting.end(&id, ActionEnd::Expired);
                    }
                }
                Err(e) => tracing::error!("nothing expires: {e}"),
            }
            let again = room.clone();
            room.clock.after(SWEEP, move || sweep(again, then));
        },
    );
}
