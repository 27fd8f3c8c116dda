//! A vault and a backend to try the courier against: plain threads, loopback alone, nothing of the real ones.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod backend;
pub mod courier;

use ipc::{Answer, Ask, Errand, FeedState, Framed, Method, Outcome, Secret};
use std::collections::VecDeque;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// After this a promise counts as broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the courier has asked so far.
#[derive(Default)]
pub struct Seen {
    pub done: Vec<(u64, Outcome)>,
    pub states: Vec<FeedState>,
    pub messages: Vec<String>,
    /// Asks that are held open.
    errand_asks: VecDeque<u64>,
    ticket_asks: VecDeque<u64>,
    /// All errand asks and ticket asks ever.
    pub errands_asked: usize,
    pub tickets_asked: usize,
    connected: bool,
    pub ended: bool,
}

impl Seen {
    pub fn outcome(&self, errand: u64) -> Option<Outcome> {
        self.done.iter().find(|(id, _)| *id == errand).map(|(_, outcome)| outcome.clone())
    }
    pub fn closed(&self) -> Vec<String> {
        let why = |state: &FeedState| match state {
            FeedState::Closed { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.states.iter().filter_map(why).collect()
    }
    pub fn opened(&self) -> usize {
        self.states.iter().filter(|s| **s == FeedState::Open).count()
    }
}

/// A vault's end of the courier's lane. It notes what it is told and holds errands and tickets back until the test gives them.
pub struct Vault {
    pub dir: tempfile::TempDir,
    stream: Arc<Mutex<Option<UnixStream>>>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Vault {
    pub fn new() -> Vault {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("courier.sock")).unwrap();
        let stream = Arc::new(Mutex::new(None));
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let vault = Vault { dir, stream: stream.clone(), seen: seen.clone() };
        std::thread::spawn(move || {
            let (mut read, _) = listener.accept().unwrap();
            *stream.lock().unwrap() = Some(read.try_clone().unwrap());
            seen.0.lock().unwrap().connected = true;
            seen.1.notify_all();
            while let Ok(Some(Framed { id, what })) = ipc::read_frame::<Ask>(&mut read) {
                let mut now = seen.0.lock().unwrap();
                let note = match what {
                    Ask::NextErrand => {
                        now.errands_asked += 1;
                        now.errand_asks.push_back(id);
                        false
                    }
                    Ask::FeedTicket => {
                        now.tickets_asked += 1;
                        now.ticket_asks.push_back(id);
                        false
                    }
                    Ask::ErrandDone { errand, outcome } => {
                        now.done.push((errand, outcome));
                        true
                    }
                    Ask::FeedState(state) => {
                        now.states.push(state);
                        true
                    }
                    Ask::FeedMessage(text) => {
                        now.messages.push(text);
                        true
                    }
                    Ask::Vitals(_) => true,
                    other => panic!("not an ask of the courier's: {other:?}"),
                };
                drop(now);
                seen.1.notify_all();
                if note {
                    let _ = ipc::write_frame(stream.lock().unwrap().as_mut().unwrap(), id, &Answer::Noted);
                }
            }
            seen.0.lock().unwrap().ended = true;
            seen.1.notify_all();
        });
        vault
    }

    pub fn lane(&self) -> PathBuf {
        self.dir.path().join("courier.sock")
    }

    /// Waits until `find` finds something; fails the test after [`PATIENCE`].
    pub fn wait<T>(&self, what: &str, mut find: impl FnMut(&mut Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if let Some(found) = find(&mut seen) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; states {:?}; done {:?}", seen.states, seen.done.len());
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    fn answer(&self, id: u64, answer: &Answer) {
        ipc::write_frame(self.stream.lock().unwrap().as_mut().unwrap(), id, answer).unwrap();
    }

    /// Answers the courier's next errand ask.
    pub fn give(&self, answer: Answer) {
        let id = self.wait("an errand ask", |seen| seen.errand_asks.pop_front());
        self.answer(id, &answer);
    }

    pub fn send(&self, errand: Errand) -> u64 {
        let id = errand.id;
        self.give(Answer::Errand(errand));
        id
    }

    pub fn outcome(&self, errand: u64) -> Outcome {
        self.wait("an errand's outcome", |seen| seen.outcome(errand))
    }

    /// Answers the courier's next ticket ask.
    pub fn ticket(&self, url: &str, pass: &str) {
        let id = self.wait("a ticket ask", |seen| seen.ticket_asks.pop_front());
        self.answer(id, &Answer::FeedTicket { url: url.into(), pass: pass.into() });
    }

    pub fn hang_up(&self) {
        self.wait("the lane", |seen| seen.connected.then_some(()));
        self.stream.lock().unwrap().as_ref().unwrap().shutdown(std::net::Shutdown::Both).unwrap();
    }
}

/// An errand with plenty of time.
pub fn errand(id: u64, method: Method, tail: &str) -> Errand {
    Errand {
        id,
        place: ipc::Place::Backend,
        method,
        tail: tail.into(),
        headers: vec![],
        body: vec![],
        timeout_ms: 15_000,
    }
}

pub fn secret(name: &str, value: &str) -> (String, Secret) {
    (name.into(), Secret::new(value.into()))
}

/// The words of a transport failure.
pub fn failure(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(ipc::Failure::Transport(words)) => words,
        other => panic!("not a transport failure: {other:?}"),
    }
}

/// The words of a failure before anything was sent.
pub fn unsent(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(ipc::Failure::NotSent(words)) => words,
        other => panic!("it may have been sent: {other:?}"),
    }
}

pub fn reply(outcome: Outcome) -> (u16, Vec<u8>, Option<u32>) {
    match outcome {
        Outcome::Reply { status, body, retry_after, .. } => (status, body, retry_after),
        other => panic!("not a reply: {other:?}"),
    }
}
