//! Partner apps that wait for what becomes of an action.

use crate::reply::Reply;
use ipc::{ActionEnd, ActionId, Answer, Refusal, Verb};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Partner apps that wait for an action's end.
#[derive(Default)]
pub struct Waiting(Mutex<(u64, HashMap<ActionId, Vec<Waiter>>)>);

/// Its number, and what it wants.
type Waiter = (u64, Verb, Reply);

impl Waiting {
    /// The number that it is known by here.
    pub fn add(&self, id: &ActionId, verb: Verb, reply: Reply) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let number = inner.0;
        inner.1.entry(id.clone()).or_default().push((number, verb, reply));
        number
    }

    /// What the first of them wants.
    pub fn verb(&self, id: &ActionId) -> Option<Verb> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.get(id)?.first().map(|(_, verb, _)| *verb)
    }

    pub fn take(&self, id: &ActionId, which: impl Fn(u64, Verb) -> bool) -> Vec<(Verb, Reply)> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = inner.1.remove(id) else { return Vec::new() };
        let (taken, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(number, verb, _)| which(*number, *verb));
        if !left.is_empty() {
            inner.1.insert(id.clone(), left);
        }
        taken.into_iter().map(|(_, verb, reply)| (verb, reply)).collect()
    }

    pub fn refuse(&self, id: &ActionId, refusal: &Refusal) {
        for (_, reply) in self.take(id, |_, _| true) {
            reply.refuse(refusal.clone());
        }
    }

    /// Tells all of them; whether one of them wanted the opposite of this end.
    pub fn end(&self, id: &ActionId, end: ActionEnd) -> bool {
        let mut contradicted = false;
        for (verb, reply) in self.take(id, |_, _| true) {
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
}
