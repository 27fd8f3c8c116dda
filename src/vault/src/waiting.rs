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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Connection;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{Receiver, sync_channel};
    use zeroize::Zeroizing;

    /// A lane on which clients wait: what they are told, by the number of their ask.
    struct Lane(Arc<Connection>, Receiver<Zeroizing<Vec<u8>>>);

    impl Lane {
        fn new() -> Self {
            let (out, answers) = sync_channel(64);
            Self(Connection::new(7, None, UnixStream::pair().unwrap().0, out), answers)
        }
        fn wants(&self, waiting: &Waiting, verb: Verb, number: u64) {
            let reply = Reply::new(self.0.clone(), number);
            waiting.add(&action(), verb, Source::Operator("who".into()), Credentials::default(), reply);
        }
        fn told(&self) -> Vec<(u64, Answer)> {
            let frames = self.1.try_iter();
            let read = |frame: Zeroizing<Vec<u8>>| ipc::read_frame::<Answer>(&mut &frame[..]).unwrap().unwrap();
            frames.map(read).map(|framed| (framed.id, framed.what)).collect()
        }
    }

    fn action() -> ActionId {
        ActionId::try_from("w1".to_owned()).unwrap()
    }

    #[test]
    fn what_holds_up_an_approval_is_no_answer_to_who_rejects() {
        let (waiting, lane) = (Waiting::default(), Lane::new());
        lane.wants(&waiting, Verb::Approve, 1);
        lane.wants(&waiting, Verb::Reject, 2);
        lane.wants(&waiting, Verb::Approve, 3);
        let refusal = Refusal::NoSecondOpinion("it does not answer".into());
        waiting.refuse_approvals(&action(), &refusal);
        let refused = Answer::Refused(refusal);
        assert_eq!(lane.told(), [(1, refused.clone()), (3, refused)]);
        assert_eq!(waiting.verb(&action()), Some(Verb::Reject), "it goes on");
        assert!(!waiting.end(&action(), ActionEnd::Rejected), "nobody waits who wanted the opposite");
        assert_eq!(lane.told(), [(2, Answer::Decided { verb: Verb::Reject })]);
        assert_eq!(waiting.verb(&action()), None);
    }

    #[test]
    fn who_has_gone_is_forgotten_and_who_has_not_is_not() {
        let (waiting, gone, here) = (Waiting::default(), Lane::new(), Lane::new());
        gone.wants(&waiting, Verb::Reject, 1);
        here.wants(&waiting, Verb::Approve, 1);
        waiting.forget_lost();
        assert_eq!(waiting.verb(&action()), Some(Verb::Reject));
        gone.0.end();
        waiting.forget_lost();
        assert_eq!(waiting.verb(&action()), Some(Verb::Approve), "the rejection went with who wanted it");
        here.0.end();
        waiting.forget_lost();
        assert_eq!((waiting.verb(&action()), waiting.lock().len()), (None, 0), "nothing piles up");
    }

    #[test]
    fn whose_word_is_being_weighed_is_heard_once_and_again_only_after_it() {
        let (waiting, lane) = (Waiting::default(), Lane::new());
        lane.wants(&waiting, Verb::Approve, 1);
        let heard: Vec<u64> = waiting.hear(&action(), Verb::Approve).iter().map(|asked| asked.ticket).collect();
        assert_eq!((heard.len(), waiting.verb(&action())), (1, None));
        assert!(waiting.hear(&action(), Verb::Approve).is_empty());
        waiting.heard(&action(), &heard);
        assert_eq!(waiting.hear(&action(), Verb::Approve).len(), 1);
    }
}
