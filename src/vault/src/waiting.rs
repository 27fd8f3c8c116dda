//! Partner apps that wait for what becomes of an action.

use crate::reply::Reply;
use ipc::{ActionEnd, ActionId, Answer, Refusal, Verb};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Partner apps that wait for an action's end.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<ActionId, Vec<Waiter>>>);

struct Waiter {
    verb: Verb,
    reply: Reply,
    since: Instant,
}

impl Waiting {
    pub fn add(&self, id: &ActionId, verb: Verb, reply: Reply) {
        self.lock().entry(id.clone()).or_default().push(Waiter { verb, reply, since: Instant::now() });
    }

    /// What the first of them wants.
    pub fn verb(&self, id: &ActionId) -> Option<Verb> {
        self.lock().get(id)?.first().map(|waiter| waiter.verb)
    }

    /// Whether any of them wants this.
    pub fn wants(&self, id: &ActionId, verb: Verb) -> bool {
        self.lock().get(id).is_some_and(|of_it| of_it.iter().any(|waiter| waiter.verb == verb))
    }

    pub fn take(&self, id: &ActionId, which: impl Fn(Verb) -> bool) -> Vec<(Verb, Reply)> {
        let mut waiting = self.lock();
        let Some(of_it) = waiting.get_mut(id) else { return Vec::new() };
        let taken =
            of_it.extract_if(.., |waiter| which(waiter.verb)).map(|waiter| (waiter.verb, waiter.reply)).collect();
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
