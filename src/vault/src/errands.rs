//! What the vault wants done outside, waiting for a courier that asks for it.

use crate::agent::Agent;
use crate::clock::Clock;
use crate::pool::Pool;
use crate::reply::Reply;
use ipc::{Answer, Errand, Failure, Method, Outcome, Secret};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one request to the backend may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer the courier has to say what became of it.
const GRACE: Duration = Duration::from_secs(10);
/// One passes a second at the most: a courier that spends them is slowed, not served.
const PASSES_A_SECOND: u32 = 5_000;

/// One request to the backend. `done` hears its outcome once, on a thread that must not be kept.
pub struct Job {
    pub method: Method,
    pub tail: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Vec<u8>,
    /// Whose one pass it carries, made when it is handed out.
    pub pass: Option<Arc<Agent>>,
    /// Handed out again if the courier is lost; otherwise that is a failed attempt.
    pub repeatable: bool,
    /// Not handed out after this.
    pub until: Option<Instant>,
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
    queue: VecDeque<Job>,
    asking: VecDeque<Reply>,
    out: HashMap<u64, Out>,
    last: u64,
    /// The courier shall end itself, for secrets passed its buffers.
    retire: bool,
    second: Option<Instant>,
    passes: u32,
}

struct Out {
    job: Job,
    connection: u64,
}

impl Errands {
    pub fn new(clock: Clock, pool: Pool) -> Self {
        Self { inner: Arc::default(), clock, pool }
    }

    pub fn add(&self, job: Job) {
        self.lock().queue.push_back(job);
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
        let out = match inner.out.remove(&errand) {
            Some(out) if out.connection == connection => out,
            Some(other) => {
                inner.out.insert(errand, other);
                return;
            }
            None => return,
        };
        drop(inner);
        (out.job.done)(outcome);
    }

    /// What a lost courier had goes to the next one.
    pub fn lane_ended(&self, connection: u64) {
        let mut inner = self.lock();
        inner.asking.retain(|reply| reply.connection() != connection);
        let lost: Vec<u64> =
            inner.out.iter().filter(|(_, out)| out.connection == connection).map(|(id, _)| *id).collect();
        let mut failed = Vec::new();
        for out in lost.iter().filter_map(|id| inner.out.remove(id)).collect::<Vec<_>>() {
            if out.job.repeatable { inner.queue.push_front(out.job) } else { failed.push(out.job) }
        }
        drop(inner);
        for job in failed {
            (job.done)(Outcome::Failed(Failure::Transport("the courier was lost on its way".into())));
        }
        self.hand_out();
    }

    /// The courier that asks next, or is asking, is told to end itself.
    pub fn retire_courier(&self) {
        self.lock().retire = true;
        self.hand_out();
    }

    pub fn is_retiring(&self) -> bool {
        self.lock().retire
    }

    fn hand_out(&self) {
        let mut late = Vec::new();
        let mut inner = self.lock();
        inner.asking.retain(|reply| !reply.is_lost());
        if inner.retire {
            if let Some(reply) = inner.asking.pop_front() {
                inner.retire = false;
                reply.send(Answer::Retire);
            }
        } else {
            self.match_up(&mut inner, &mut late);
        }
        drop(inner);
        for job in late {
            (job.done)(Outcome::Failed(Failure::Timeout));
        }
    }

    fn match_up(&self, inner: &mut Inner, late: &mut Vec<Job>) {
        let now = Instant::now();
        let (over, queue) =
            std::mem::take(&mut inner.queue).into_iter().partition(|job: &Job| job.until.is_some_and(|t| t < now));
        late.extend::<VecDeque<Job>>(over);
        inner.queue = queue;
        while !inner.asking.is_empty() && !inner.queue.is_empty() {
            if !inner.may_pass(now) {
                let again = self.clone();
                return self.clock.after(Duration::from_millis(200), move || again.hand_out());
            }
            let (Some(reply), Some(job)) = (inner.asking.pop_front(), inner.queue.pop_front()) else { return };
            self.send(inner, reply, job);
        }
    }

    fn send(&self, inner: &mut Inner, reply: Reply, job: Job) {
        inner.last += 1;
        let id = inner.last;
        let mut errand = Errand {
            id,
            method: job.method,
            tail: job.tail.clone(),
            headers: job.headers.clone(),
            body: job.body.clone(),
            timeout_ms: TIMEOUT.as_millis() as u64,
        };
        let (pass, connection) = (job.pass.clone(), reply.connection());
        inner.out.insert(id, Out { job, connection });
        let late = self.clone();
        self.clock.after(TIMEOUT + GRACE, move || late.done(connection, id, Outcome::Failed(Failure::Timeout)));
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
    fn may_pass(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|start| now - start >= Duration::from_secs(1)) {
            (self.second, self.passes) = (Some(now), 0);
        }
        self.passes += 1;
        self.passes <= PASSES_A_SECOND
    }
}
