//! From an action's id to a record of what becomes of it: its bytes are fetched, judged, and the verdict recorded.

use crate::callback;
use crate::clock;
use crate::decide::{PATIENCE, brought, contradicted, reconsider, refuse_approvals, stood};
use crate::ledger::{self, Fate, Heard, Settling};
use crate::metrics::Stage;
use crate::outcome::{self, Said};
use crate::pipeline::{By, Judged, Seen};
use crate::retry::Tries;
use crate::room::Room;
use crate::settle::{expire, failed, settle, take_up};
use crate::submit::{self, Wait, no, send};
use crate::vault::{CLOCK_STEPPED, FROZEN, Vault};
use config::seams::crash_point;
use ipc::{ActionEnd, ActionId, Answer, Method, Refusal, Verb};
use std::sync::Arc;
use std::time::Duration;

/// Who wants an action's messages.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// The vault, for the feed announced it: until it has them.
    ByUs(Tries),
    /// Only those who wait: a pass that is not believed has one fresh one, nothing else is tried again.
    ByThem(Tries),
}

impl Wanted {
    pub fn by_us() -> Self {
        Self::ByUs(Tries::default())
    }
    pub fn by_them() -> Self {
        Self::ByThem(Tries::default())
    }
}

/// Has the courier fetch an action's messages.
pub fn fetch(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, wanted: Wanted) {
    let ours = matches!(wanted, Wanted::ByUs(_));
    let (again, then, id) = (room.clone(), vault.clone(), seen.id.clone());
    // Nobody waits longer: with no courier there, what clients wish would pile up.
    let wait = if ours { Wait::Its } else { Wait::Client(PATIENCE) };
    send(room, vault, Method::Get, &id, Vec::new(), wait, move |outcome| match outcome::read(outcome) {
        // Who wanted it has gone, and nobody else asked.
        Said::Yes(_) if !ours && then.waiting.verb(&seen.id).is_none() => {}
        Said::Yes(body) => match outcome::messages(&body) {
            Ok(messages) => judge(&again, &then, seen, messages),
            Err(refusal) => {
                then.waiting.refuse_approvals(&seen.id, &refusal);
                if then.waiting.verb(&seen.id) == Some(Verb::Reject) {
                    reject(&again, &then, seen, wanted, refusal);
                } else {
                    retry(&again, &then, seen, wanted, refusal, None);
                }
            }
        },
        Said::No { status, words } => {
            then.waiting.refuse(&seen.id, &no(status, &words));
            if ours {
                settle(&again, &then, &seen.id, Settling::undecided(ActionEnd::Failed, format!("{status} {words}")));
            }
        }
        Said::Perhaps { refusal, wait, .. } => retry(&again, &then, seen, wanted, refusal, wait),
    });
}

fn retry(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, wanted: Wanted, refusal: Refusal, wait: Option<Duration>) {
    tracing::warn!(action = %seen.id, ?refusal, "its messages could not be fetched");
    let (next, again) = match wanted {
        Wanted::ByUs(tries) => (tries.and(&refusal, false), true),
        Wanted::ByThem(tries) => (tries.and(&refusal, false), false),
    };
    if next.is_unbelieved() {
        vault.alarm_unbelieved();
    }
    if !next.wants_a_fresh_pass() {
        match refusal {
            // A rejection needs none of them: who came to wait for one just now has them fetched for it.
            Refusal::Malformed(_) | Refusal::NoMessages => vault.waiting.refuse_approvals(&seen.id, &refusal),
            _ => vault.waiting.refuse(&seen.id, &refusal),
        }
        if !again {
            return;
        }
    }
    if vault.is_over(&seen) {
        return expire(room, vault, &seen.id);
    }
    let wanted = if again { Wanted::ByUs(next) } else { Wanted::ByThem(next) };
    let (later, then) = (room.clone(), vault.clone());
    // By a clock that jumped there is no saying.
    let left = seen.expires.zip(vault.wall_clock.now());
    let left = left.map_or(Duration::MAX, |(expires, now)| Duration::from_secs(expires.saturating_sub(now)));
    vault.retries.later(&room.clock, next, wait, left, move || {
        if then.is_over(&seen) { expire(&later, &then, &seen.id) } else { fetch(&later, &then, seen, wanted) }
    });
}

/// Judges the bytes, for those who wait or else by policy, and records what comes of it.
pub fn judge(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, messages: Vec<Vec<u8>>) {
    if vault.is_over(&seen) {
        return expire(room, vault, &seen.id);
    }
    let id = seen.id.clone();
    crash_point("action.judged");
    let (active, at) = (room.policy.active(), vault.wall_clock.now());
    let judged = Judged::new(&active.policy, seen, messages, at);
    room.meter.reached(&id, Stage::Judged);
    room.policy.shadow.judge(&judged, at);
    for facts in &judged.judgement().facts {
        tracing::info!(action = %id, "{facts}");
    }
    if judged.judgement().contradiction {
        contradicted(vault, &id, "the feed calls it something else than its bytes say");
    }
    let judged = room.callback.spare(judged);
    match vault.waiting.verb(&id) {
        Some(Verb::Approve) if judged.is_denied() => {
            refuse_approvals(vault, &id, &judged.judgement().why);
            record(room, vault, judged);
        }
        Some(verb) => hear_them(room, vault, judged, verb),
        // The feed never announced it: it was a client's wish, and that client has gone.
        None if judged.seen().expires.is_none() => {}
        None => by_policy(room, vault, judged),
    }
}

/// By the policy's own verdict, once nobody else is to be asked.
fn by_policy(room: &Arc<Room>, vault: &Arc<Vault>, judged: Judged) {
    let (again, then) = (room.clone(), vault.clone());
    callback::consult(room, vault, judged, By::Policy, move |judged| record(&again, &then, judged));
}

fn record(room: &Arc<Room>, vault: &Arc<Vault>, judged: Judged) {
    let (room, then, id, now) = (room.clone(), vault.clone(), judged.seen().id.clone(), clock::now());
    vault.ledger.post(move |t| ledger::judge(t, judged, now), move |fate| recorded(&room, &then, id, fate));
}

/// By the word of those who wait.
fn hear_them(room: &Arc<Room>, vault: &Arc<Vault>, judged: Judged, verb: Verb) {
    let (again, then, id) = (room.clone(), vault.clone(), judged.seen().id.clone());
    hear(room, vault, judged, true, verb, move |fate| {
        if let Some(fate) = fate {
            recorded(&again, &then, id, fate);
        }
    });
}

/// Who may approve it may, if nobody else is against it: then all are heard again, for they may have gone meanwhile.
fn second(room: &Arc<Room>, vault: &Arc<Vault>, judged: Judged, by: By) {
    if by == By::Policy {
        return by_policy(room, vault, judged);
    }
    let (again, then) = (room.clone(), vault.clone());
    callback::consult(room, vault, judged, by, move |judged| {
        // Another policy may have come into force meanwhile.
        if judged.is_denied() {
            refuse_approvals(&then, &judged.seen().id, &judged.judgement().why);
            return record(&again, &then, judged);
        }
        hear_them(&again, &then, judged, Verb::Approve);
    });
}

/// What cannot be read can be rejected all the same, by whom the policy wants for what no rule is about.
fn reject(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, wanted: Wanted, unreadable: Refusal) {
    let (room, then) = (room.clone(), vault.clone());
    let judged = Judged::new(&room.policy.active().policy, seen.clone(), Vec::new(), vault.wall_clock.now());
    let again = room.clone();
    hear(&again, vault, judged, false, Verb::Reject, move |fate| match fate {
        Some(fate) => recorded(&room, &then, seen.id, fate),
        None => retry(&room, &then, seen, wanted, unreadable, None),
    });
}

/// Hears those who wait and want this; `after` gets what became of the action, if anything, unless somebody else is to be
/// asked first. It is a question to the ledger: a door may say without end what is not enough.
fn hear(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    judged: Judged,
    readable: bool,
    verb: Verb,
    after: impl FnOnce(Option<Result<Fate, ledger::Error>>) + Send + 'static,
) {
    let (now, id) = (clock::now(), judged.seen().id.clone());
    let brought = brought(vault, &judged, verb, now);
    let tickets: Vec<u64> = brought.iter().map(|one| one.ticket).collect();
    let (room, people, then) = (room.clone(), vault.clone(), vault.clone());
    vault.ledger.ask(
        move |t| ledger::hear(t, judged, readable, verb, brought, &people.named.approvers, now),
        move |heard| {
            let (fate, wanted) = match heard {
                Ok(Heard { fate, told, second }) => {
                    if told.iter().any(|(_, answer)| matches!(answer, Answer::Counted { .. })) {
                        crash_point("action.counted");
                    }
                    for (ticket, answer) in told {
                        then.waiting.answer(&id, ticket, answer);
                    }
                    (fate.map(Ok), second)
                }
                Err(e) => (Some(Err(e)), None),
            };
            then.waiting.heard(&id, &tickets);
            if let Some((judged, by)) = wanted {
                return room.pool.clone().spawn(move || second(&room, &then, judged, by));
            }
            after(fate);
        },
    );
}

/// What was recorded is done.
pub fn recorded(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, fate: Result<Fate, ledger::Error>) {
    match fate {
        Ok(Fate::Approve(recorded)) => {
            tracing::info!(action = %id, "approval recorded");
            crash_point("action.recorded");
            submit::sign(room, vault, recorded, Tries::default());
        }
        Ok(Fate::Reject) => {
            crash_point("action.rejecting");
            submit::withdraw(room, vault, id, Tries::default());
        }
        Ok(Fate::Denied(why)) => {
            tracing::warn!(action = %id, "denied: {why}");
            refuse_approvals(vault, &id, &why);
            crash_point("action.rejecting");
            submit::withdraw(room, vault, id, Tries::default());
        }
        Ok(Fate::Held(why)) => {
            tracing::info!(action = %id, "held: {why}");
            reconsider(room, vault, id);
        }
        Ok(Fate::OtherBytes { held }) => {
            let words = "the backend gave other bytes for this action than it did first; the others are not signed";
            vault.alarm(Some(&id), words);
            if held {
                vault.waiting.refuse_approvals(&id, &Refusal::Malformed(words.into()));
            } else {
                reconsider(room, vault, id);
            }
        }
        Ok(Fate::Frozen) => {
            let words = vault.may_sign().err().unwrap_or_else(|| FROZEN.into());
            not_now(room, vault, id, &Refusal::NotReady(ipc::bounded(&words)));
        }
        Ok(Fate::ClockStepped) => not_now(room, vault, id, &Refusal::NotReady(CLOCK_STEPPED.into())),
        Ok(Fate::NoRoom(why)) => {
            tracing::warn!(action = %id, "not released: {why}");
            not_now(room, vault, id, &Refusal::Window(why));
        }
        Ok(Fate::Stands) => stood(room, vault, id),
        Ok(Fate::Stale(seen, messages)) => {
            tracing::info!(action = %id, "judged anew: the policy was replaced meanwhile");
            let (room, vault) = (room.clone(), vault.clone());
            room.pool.clone().spawn(move || match messages.is_empty() {
                // It could not be read, and somebody rejects it; what the feed announced is the vault's own matter too.
                true if seen.expires.is_some() => fetch(&room, &vault, seen, Wanted::by_us()),
                true => fetch(&room, &vault, seen, Wanted::by_them()),
                false => judge(&room, &vault, seen, messages),
            });
        }
        Err(e) => failed(room, vault, &id, &e),
    }
}

/// Nothing was recorded; who wanted it approved is told why. A rejection needs nothing of that.
fn not_now(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, refusal: &Refusal) {
    vault.waiting.refuse_approvals(&id, refusal);
    // Where the feed told of it, policy has not judged it yet.
    take_up(room, vault, id, Tries::default());
}
