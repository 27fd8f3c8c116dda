//! What the policy in force says of something, and why, to those who ask. Nothing comes of it and nothing is recorded.

use crate::active::Active;
use crate::ledger::{self, past, time, used_of};
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use ipc::{ActionId, Answer, KnownAction, Matter, Refusal, bounded};
use policy::report::{By, Report, Then};
use policy::{Action, Demand};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Explanations under way at once: approvals wait behind them on the pool.
const MOST_AT_ONCE: usize = 4;
/// The most octets of messages that a client may bring, and the most messages that a list of rules is explained for.
const MOST_OCTETS: usize = 64 << 10;
const MOST_LINES: usize = 50_000;
/// The longest explanation, octets: an answer's frame has room for it.
const LONGEST: usize = 768 << 10;

/// How many are under way.
#[derive(Clone, Default)]
pub struct Explaining(Arc<AtomicUsize>);

impl Explaining {
    fn begin(&self) -> Option<Place> {
        let place = Place(self.0.clone());
        (self.0.fetch_add(1, Ordering::SeqCst) < MOST_AT_ONCE).then_some(place)
    }
}

/// Given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is to be explained.
struct Subject {
    known: Option<KnownAction>,
    claim: Option<String>,
    expires: Option<u64>,
    messages: Vec<Vec<u8>>,
}

pub fn explain(room: &Arc<Room>, matter: Matter, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let Some(place) = room.explaining.begin() else { return reply.refuse(Refusal::Busy) };
    match matter {
        Matter::Known(id) => of_known(room, &vault, id, place, reply),
        Matter::Messages { messages, claim } => {
            if messages.is_empty() || messages.iter().map(Vec::len).sum::<usize>() > MOST_OCTETS {
                return reply.refuse(unexplained("give at least one message, and no more than 64 KiB of them"));
            }
            let subject = Subject { known: None, claim: claim.map(|claim| bounded(&claim)), expires: None, messages };
            let (room, vault) = (room.clone(), vault.clone());
            room.pool.clone().spawn(move || of(&room, &vault, subject, place, reply));
        }
    }
}

fn of_known(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, place: Place, reply: Reply) {
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.ask(
        move |t| past::known(t, &id),
        move |known| match known {
            Ok(Some(mut known)) if !known.messages.is_empty() => {
                let messages = std::mem::take(&mut known.messages);
                let (claim, expires) = (known.claim.clone(), known.expires);
                let subject = Subject { known: Some(known), claim, expires, messages };
                room.pool.clone().spawn(move || of(&room, &then, subject, place, reply));
            }
            Ok(Some(_)) => reply.refuse(unexplained("its messages were never fetched: there is nothing to explain")),
            Ok(None) => reply.refuse(Refusal::UnknownAction),
            Err(e) => unread(&e, reply),
        },
    );
}

fn of(room: &Room, vault: &Arc<Vault>, subject: Subject, place: Place, reply: Reply) {
    let active = room.policy.active();
    if subject.messages.len().saturating_mul(active.policy.len().max(1)) > MOST_LINES {
        return reply
            .refuse(unexplained("too many messages and rules: `signing-agent policy explain` tells all of it"));
    }
    // What was decided is judged as of when it was first seen, and the windows as they are now say nothing of it.
    let decided = subject.known.as_ref().filter(|known| !matches!(known.state.as_str(), "seen" | "held"));
    let at = decided.map_or_else(|| vault.wall_clock.now(), |known| Some(known.seen));
    let measured = decided.is_none();
    let Subject { claim, expires, messages, .. } = &subject;
    let action = Action { claimed_type: claim.as_deref(), messages, expires: *expires, now: at };
    let explanation = active.policy.explain(&action);
    let report = report(&active, subject, &explanation, at);
    let demands = explanation.judgement.demands;
    if !measured || demands.is_empty() {
        return tell(&report, place, reply);
    }
    measure(vault, report, demands, place, reply);
}

fn report(active: &Active, subject: Subject, explanation: &policy::Explanation, at: Option<u64>) -> Report {
    let by = By::of(&active.policy, active.source());
    let then = subject.known.map(|known| {
        let verdict = Then::verdict_of(known.decided_by.as_deref(), known.verdict.as_deref());
        Then {
            action: known.id.to_string(),
            state: known.state,
            seen: known.seen,
            verdict: known.verdict.as_ref().map(|_| verdict.as_str()),
            rule: known.rule,
            why: known.why,
            decided_by: known.decided_by,
            policy: known.policy,
        }
    });
    Report::new(explanation, by, then, subject.claim, subject.expires, at)
}

/// With what is used of the windows by now.
fn measure(vault: &Vault, report: Report, demands: Vec<Demand>, place: Place, reply: Reply) {
    vault.ledger.ask(
        move |t| {
            let agent = time::look(t)?.agent;
            let used = demands.iter().map(|demand| used_of(t, demand, agent)).collect::<Result<Vec<_>, _>>()?;
            Ok((demands, used))
        },
        move |measured| match measured {
            Ok((demands, used)) => tell(&report.with_used(&demands, &used), place, reply),
            Err(e) => unread(&e, reply),
        },
    );
}

fn tell(report: &Report, _place: Place, reply: Reply) {
    match serde_json::to_string(report) {
        Ok(text) if text.len() <= LONGEST => reply.send(Answer::Explained(text)),
        Ok(_) => reply.refuse(unexplained("it is too long: `signing-agent policy explain` tells all of it")),
        Err(e) => {
            tracing::error!("an explanation cannot be written as JSON: {e}");
            reply.refuse(Refusal::Internal);
        }
    }
}

fn unexplained(words: &str) -> Refusal {
    Refusal::Unexplained(words.to_owned())
}

fn unread(e: &ledger::Error, reply: Reply) {
    tracing::error!("what is to be explained cannot be read: {e}");
    reply.refuse(Refusal::Internal);
}
