//! What the vault wants done outside, waiting for a courier that asks for it.

use crate::agent::Agent;
use crate::clock::Clock;
use crate::heard::Heard;
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
/// Between two looks at what waits for a courier past its time.
const LATE: Duration = Duration::from_secs(1);
/// The longest pause that a 429 is given, and the pause where it names none.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_secs(1);
/// So many 429 in a row make one: a backend that has too much of one request is not away.
const ENOUGH: u32 = 2;

/// One request to the backend. `done` hears its outcome once, on a pool thread.
pub struct Job {
    pub place: Place,
    pub method: Method,
    pub tail: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
    /// Whose one pass it carries, made when it is handed out.
    pub pass: Option<Arc<Agent>>,
    /// Not handed out after this.
    pub until: Option<Instant>,
    /// Asked when it is about to leave: why it must not, if so.
    pub may_go: Option<Box<dyn Fn() -> Result<(), String> + Send>>,
    /// It keeps to the pause that 429s asked for, and its own count.
    pub pauses: bool,
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
    /// What is late is looked for again.
    watched: bool,
    /// 429s in a row.
    too_much: u32,
    /// What `pauses` is not handed out before.
    paused: Option<Instant>,
    heard: Heard,
}

impl Errands {
    pub fn new(clock: Clock, pool: Pool) -> Self {
        Self { inner: Arc::default(), clock, pool }
    }

    pub fn add(&self, job: Job) {
        self.lock().queue.push_back(job);
        self.hand_out();
        self.watch();
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
        let Some((_, job)) = inner.out.remove(&errand) else { return };
        if job.place == Place::Backend {
            inner.heard.note(&outcome);
        }
        if let (true, Outcome::Reply { status, retry_after, .. }) = (job.pauses, &outcome) {
            inner.too_much = if *status == 429 { inner.too_much.saturating_add(1) } else { 0 };
            if inner.too_much >= ENOUGH {
                let asked = retry_after.map_or(PAUSE, |seconds| Duration::from_secs(seconds.into()));
                self.pause(&mut inner, asked.min(LONGEST_PAUSE));
            }
        }
        self.end(&mut inner, job, outcome);
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

    /// How many wait for a courier.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// What was heard of the backend last.
    pub fn heard(&self) -> Heard {
        self.lock().heard.clone()
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

    /// Looks again and again for what is late, as long as anything waits.
    fn watch(&self) {
        let mut inner = self.lock();
        if !inner.queue.is_empty() && !std::mem::replace(&mut inner.watched, true) {
            let late = self.clone();
            self.clock.after(LATE, move || {
                late.end_late();
                late.watch();
            });
        }
    }

    /// It never left, so nobody acted on it.
    fn end_late(&self) {
        let mut inner = self.lock();
        inner.watched = false;
        let now = Instant::now();
        let (late, left): (VecDeque<_>, _) =
            std::mem::take(&mut inner.queue).into_iter().partition(|job| job.is_late(now));
        inner.queue = left;
        for job in late {
            self.end(&mut inner, job, unsent("no courier took it in time"));
        }
    }

    /// The backend has too much of us: nothing more about actions before this is over.
    fn pause(&self, inner: &mut Inner, wait: Duration) {
        let until = Instant::now() + config::seams::pace(wait);
        if inner.paused.is_none_or(|paused| paused < until) {
            tracing::warn!(seconds = wait.as_secs(), "the backend has too much (429): what waits for it goes on later");
            inner.paused = Some(until);
            let again = self.clone();
            self.clock.after(wait, move || again.hand_out());
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
        while !inner.asking.is_empty() && inner.out.len() + inner.working < MOST_OUT {
            let Some(place) = inner.next() else { return };
            if !inner.may_pass() {
                return self.postpone(&mut inner);
            }
            let Some(job) = inner.queue.remove(place) else { return };
            if job.is_late(Instant::now()) {
                self.end(&mut inner, job, unsent("no courier took it in time"));
            } else if let Some(reply) = inner.asking.pop_front() {
                self.send(&mut inner, reply, job);
            }
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

    fn send(&self, inner: &mut Inner, reply: Reply, mut job: Job) {
        inner.last += 1;
        let (id, timeout) = (inner.last, job.timeout);
        let mut errand = Errand {
            id,
            place: job.place,
            method: job.method,
            tail: job.tail.clone(),
            headers: job.headers.clone(),
            body: job.body.clone(),
            timeout_ms: config::seams::pace(timeout).as_millis() as u64,
        };
        let (pass, may_go, connection) = (job.pass.clone(), job.may_go.take(), reply.connection());
        inner.out.insert(id, (connection, job));
        let (errands, late) = (self.clone(), self.clone());
        self.clock.after(timeout + GRACE, move || late.done(connection, id, Outcome::Failed(Failure::Timeout)));
        let made = move || {
            may_go.map_or(Ok(()), |may_go| may_go())?;
            pass.map(|agent| agent.pass()).transpose().map_err(|e| format!("no one pass could be made: {e}"))
        };
        self.pool.spawn(move || match made() {
            Ok(pass) => {
                errand.headers.extend(pass.map(|pass| ("x-api-zkp".to_owned(), Secret::new(pass))));
                tracing::debug!(errand = id, method = ?errand.method, tail = errand.tail, "handed out");
                reply.send(Answer::Errand(errand));
            }
            Err(why) => {
                tracing::error!(errand = id, "not sent: {why}");
                errands.done(connection, id, unsent(&why));
                errands.ask(reply);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsent(why: &str) -> Outcome {
    Outcome::Failed(Failure::NotSent(why.to_owned()))
}

impl Job {
    fn is_late(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Inner {
    /// The place in the queue of what goes next.
    fn next(&mut self) -> Option<usize> {
        self.paused = self.paused.filter(|until| *until > Instant::now());
        let paused = self.paused.is_some();
        self.queue.iter().position(|job| !(paused && job.pauses))
    }

    fn may_pass(&mut self) -> bool {
        let now = Instant::now();
        if self.second.is_none_or(|start| now - start >= Duration::from_secs(1)) {
            (self.second, self.passes) = (Some(now), 0);
        }
        self.passes += 1;
        self.passes <= PASSES_A_SECOND
    }
}

#[cfg(test)]
#[path = "errands_tests.rs"]
mod tests;
