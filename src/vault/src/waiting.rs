//! Partner apps that wait for what becomes of an action.

use crate::ledger::Source;
use crate::reply::Reply;
use ipc::{ActionEnd, ActionId, Answer, Credentials, Refusal, Verb};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Partner apps that wait for an action's end.
#[derive(Default)]
pub struct Waiting {
    of: Mutex<HashMap<ActionId, Vec<Waiter>>>,
    tickets: AtomicU64,
}

struct Waiter {
    asked: Asked,
    reply: Reply,
    since: Instant,
    /// Its word is being weighed: nobody else is to begin with it.
    heard: bool,
}

/// What somebody who waits wants, and with what right.
#[derive(Clone)]
pub struct Asked {
    /// Which of those who wait it is.
    pub ticket: u64,
    pub verb: Verb,
    pub source: Source,
    pub credentials: Arc<Credentials>,
}

impl Waiting {
    pub fn add(&self, id: &ActionId, verb: Verb, source: Source, credentials: Credentials, reply: Reply) {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let asked = Asked { ticket, verb, source, credentials: Arc::new(credentials) };
        self.lock().entry(id.clone()).or_default().push(Waiter { asked, reply, since: Instant::now(), heard: false });
    }

    /// All who want this of it and are not being heard; they are now, until [`Waiting::heard`].
    pub fn hear(&self, id: &ActionId, verb: Verb) -> Vec<Asked> {
        let mut waiting = self.lock();
        let of_it = waiting.get_mut(id).into_iter().flatten();
        let unheard = of_it.filter(|waiter| waiter.asked.verb == verb && !waiter.heard);
        unheard
            .map(|waiter| {
                waiter.heard = true;
                waiter.asked.clone()
            })
            .collect()
    }

    /// Those of these who still wait may be heard again.
    pub fn heard(&self, id: &ActionId, tickets: &[u64]) {
        let mut waiting = self.lock();
        let of_it = waiting.get_mut(id).into_iter().flatten();
        of_it.filter(|waiter| tickets.contains(&waiter.asked.ticket)).for_each(|waiter| waiter.heard = false);
    }

    /// Tells one of them, who waits no longer then.
    pub fn answer(&self, id: &ActionId, ticket: u64, answer: Answer) {
        for (_, reply) in self.take_where(id, |asked| asked.ticket == ticket) {
            reply.send(answer.clone());
        }
    }

    /// What those want who are not being heard: its rejection, if one of them does, for that takes nobody else.
    pub fn verb(&self, id: &ActionId) -> Option<Verb> {
        let waiting = self.lock();
        let mut wanted = waiting.get(id)?.iter().filter(|waiter| !waiter.heard).map(|waiter| waiter.asked.verb);
        let first = wanted.next()?;
        Some(if first == Verb::Reject || wanted.any(|verb| verb == Verb::Reject) { Verb::Reject } else { first })
    }

    pub fn take(&self, id: &ActionId, which: impl Fn(Verb) -> bool) -> Vec<(Verb, Reply)> {
        self.take_where(id, |asked| which(asked.verb))
    }

    fn take_where(&self, id: &ActionId, which: impl Fn(&Asked) -> bool) -> Vec<(Verb, Reply)> {
        let mut waiting = self.lock();
        let Some(of_it) = waiting.get_mut(id) else { return Vec::new() };
        let taken = of_it
            .extract_if(.., |waiter| which(&waiter.asked))
            .map(|waiter| (waiter.asked.verb, waiter.reply))
            .collect();
        if of_it.is_empty() {
            waiting.remove(id);
        }
        taken
    }

    /// Those who have waited so long, or have gone.
    pub fn take_late(&self, patience: Duration) -> Vec<Reply> {
        let mut late = Vec::new();
        self.lock().retain(|_, of_it| {
            // Who has gone is not waited with either.
            let over = |waiter: &mut Waiter| waiter.since.elapsed() >= patience || waiter.reply.is_lost();
            late.extend(of_it.extract_if(.., over).map(|waiter| waiter.reply));
            !of_it.is_empty()
        });
        late
    }

    /// Those who want it approved: a rejection goes on.
    pub fn refuse_approvals(&self, id: &ActionId, refusal: &Refusal) {
        for (_, reply) in self.take(id, |verb| verb == Verb::Approve) {
            reply.refuse(refusal.clone());
        }
    }

    /// Who has gone brings nothing any more.
    pub fn forget_lost(&self) {
        self.lock().retain(|_, of_it| {
            of_it.retain(|waiter| !waiter.reply.is_lost());
            !of_it.is_empty()
        });
    }

    pub fn refuse(&self, id: &ActionId, refusal: &Refusal) {
        for (_, reply) in self.take(id, |_| true) {
            reply.refuse(refusal.clone());
        }
    }

    /// Tells all of them; whether one of them wanted the opposite of this end.
    pub fn end(&self, id: &ActionId, end: ActionEnd) -> bool {
        let mut contradicted = false;
        for (verb, reply) in self.take(id, |_| true) {
            contradicted |=
                matches!((verb, end), (Verb::Approve, ActionEnd::Rejected) | (Verb::Reject, ActionEnd::Approved));
            match (verb, end) {
                (Verb::Approve, ActionEnd::Approved) | (Verb::Reject, ActionEnd::Rejected) => {
                    reply.send(Answer::Decided { verb });
                }
                _ => reply.refuse(Refusal::Contradiction(end)),
            }
        }
        contradicted
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ActionId, Vec<Waiter>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
