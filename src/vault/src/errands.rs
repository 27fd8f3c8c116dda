//! What the vault wants done outside, waiting for a courier that asks for it.

use crate::agent::Agent;
use crate::clock::Clock;
use crate::pool::Pool;
use crate::reply::Reply;
use ipc::{Answer, Errand, Failure, Method, Outcome, Place, Secret};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one request to the backend may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer the courier has to say what became of it.
const GRACE: Duration = Duration::from_secs(10);
/// One passes a second at the most: a courier that spends them is slowed, not served.
const PASSES_A_SECOND: u32 = 5_000;
/// Errands that are out, or whose outcomes are being worked on: what a courier may make the vault hold of its replies.
const MOST_OUT: usize = 256;

/// One request to the backend. `done` hears its outcome once, on a pool thread.
pub struct Job {
    pub place: Place,
    pub method: Method,
    pub tail: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Vec<u8>,
    /// Whose one pass it carries, made when it is handed out.
    pub pass: Option<Arc<Agent>>,
    /// Not handed out later than so long after it was added.
    pub within: Option<Duration>,
    pub done: Box<dyn FnOnce(Outcome) + Send>,
}

#[derive(Clone)]
pub struct Errands {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
    pool: Pool,
}

#[derive(Default)]
struct Inner {
    /// With numbers of their own.
    queue: VecDeque<(u64, Job)>,
    added: u64,
    asking: VecDeque<Reply>,
    /// By errand id, with the connection that it went to.
    out: HashMap<u64, (u64, Job)>,
    /// Outcomes that are being worked on.
    working: usize,
    last: u64,
    /// The courier shall end itself, for secrets passed its buffers.
    retire: bool,
    second: Option<Instant>,
    passes: u32,
    /// Another handing out is due when passes may be made again.
    postponed: bool,
}

impl Errands {
    pub fn new(clock: Clock, pool: Pool) -> Self {
        Self { inner: Arc::default(), clock, pool }
    }

    pub fn add(&self, job: Job) {
        let within = job.within;
        let number = {
            let mut inner = self.lock();
            inner.added += 1;
            let number = inner.added;
            inner.queue.push_back((number, job));
            number
        };
        if let Some(within) = within {
            let late = self.clone();
            self.clock.after(within, move || late.end_late(number));
        }
        self.hand_out();
    }

    /// The courier asks for the next errand.
    pub fn ask(&self, reply: Reply) {
        self.lock().asking.push_back(reply);
        self.hand_out();
    }

    /// The courier says what became of one. Ids that are not out, or went to another connection, mean nothing.
    pub fn done(&self, connection: u64, errand: u64, outcome: Outcome) {
        let mut inner = self.lock();
        if inner.out.get(&errand).is_none_or(|(owner, _)| *owner != connection) {
            return;
        }
        if let Some((_, job)) = inner.out.remove(&errand) {
            self.end(&mut inner, job, outcome);
        }
    }

    /// What a lost courier had may or may not have reached the backend.
    pub fn lane_ended(&self, connection: u64) {
        let mut inner = self.lock();
        inner.asking.retain(|reply| reply.connection() != connection);
        let lost: Vec<u64> =
            inner.out.iter().filter(|(_, (owner, _))| *owner == connection).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some((_, job)) = inner.out.remove(&id) {
                let words = "the courier was lost on its way".to_owned();
                self.end(&mut inner, job, Outcome::Failed(Failure::Transport(words)));
            }
        }
    }

    /// The courier that asks next, or is asking, is told to end itself.
    pub fn retire_courier(&self) {
        self.lock().retire = true;
        self.hand_out();
    }

    pub fn is_retiring(&self) -> bool {
        self.lock().retire
    }

    /// Whether one pass more may be made now; it is counted.
    pub fn may_pass(&self) -> bool {
        self.lock().may_pass()
    }

    /// Works on an outcome, on the pool; the job's secrets are wiped first.
    fn end(&self, inner: &mut Inner, job: Job, outcome: Outcome) {
        inner.working += 1;
        let Job { done, pass, headers, .. } = job;
        drop((pass, headers));
        let errands = self.clone();
        self.pool.spawn(move || {
            done(outcome);
            errands.lock().working -= 1;
            errands.hand_out();
        });
    }

    /// Nobody fetched it in its time.
    fn end_late(&self, number: u64) {
        let mut inner = self.lock();
        let late = inner.queue.binary_search_by_key(&number, |(number, _)| *number);
        if let Some((_, job)) = late.ok().and_then(|position| inner.queue.remove(position)) {
            self.end(&mut inner, job, Outcome::Failed(Failure::Timeout));
        }
    }

    fn hand_out(&self) {
        let mut inner = self.lock();
        inner.asking.retain(|reply| !reply.is_lost());
        if inner.retire {
            if let Some(reply) = inner.asking.pop_front() {
                inner.retire = false;
                reply.send(Answer::Retire);
            }
            return;
        }
        while !inner.asking.is_empty() && !inner.queue.is_empty() && inner.out.len() + inner.working < MOST_OUT {
            if !inner.may_pass() {
                return self.postpone(&mut inner);
            }
            let (Some(reply), Some((_, job))) = (inner.asking.pop_front(), inner.queue.pop_front()) else { return };
            self.send(&mut inner, reply, job);
        }
    }

    fn postpone(&self, inner: &mut Inner) {
        if !std::mem::replace(&mut inner.postponed, true) {
            let again = self.clone();
            self.clock.after(Duration::from_millis(200), move || {
                again.lock().postponed = false;
                again.hand_out();
            });
        }
    }

    fn send(&self, inner: &mut Inner, reply: Reply, job: Job) {
        inner.last += 1;
        let id = inner.last;
        let mut errand = Errand {
            id,
            place: job.place,
            method: job.method,
            tail: job.tail.clone(),
            headers: job.headers.clone(),
            body: job.body.clone(),
            timeout_ms: config::seams::pace(TIMEOUT).as_millis() as u64,
        };
        let (pass, connection) = (job.pass.clone(), reply.connection());
        inner.out.insert(id, (connection, job));
        let errands = self.clone();
        self.clock.after(TIMEOUT + GRACE, move || errands.done(connection, id, Outcome::Failed(Failure::Timeout)));
        let errands = self.clone();
        self.pool.spawn(move || match pass.map(|agent| agent.pass()).transpose() {
            Ok(pass) => {
                errand.headers.extend(pass.map(|pass| ("x-api-zkp".to_owned(), Secret::new(pass))));
                tracing::debug!(errand = id, method = ?errand.method, tail = errand.tail, "handed out");
                reply.send(Answer::Errand(errand));
            }
            Err(e) => {
                tracing::error!("no one pass could be made: {e}");
                errands.done(connection, id, Outcome::Failed(Failure::Transport("no one pass could be made".into())));
                errands.ask(reply);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn may_pass(&mut self) -> bool {
        let now = Instant::now();
        if self.second.is_none_or(|start| now - start >= Duration::from_secs(1)) {
            (self.second, self.passes) = (Some(now), 0);
        }
        self.passes += 1;
        self.passes <= PASSES_A_SECOND
    }
}
