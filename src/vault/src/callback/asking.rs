//! Whose answer is believed, and how many questions wait.

use crate::pipeline::{By, Judged};
use crate::rsa::unarmour;
use config::seams::pace;
use ipc::ActionId;
use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Questions that are out at once: an answerer that hangs leaves the courier's other places free.
const MOST_OPEN: usize = 16;
/// Actions that are asked about or wait for it, and how many octets of messages.
const MOST: usize = 1024;
const MOST_OCTETS: usize = 32 << 20;
/// So long a failure counts.
const FRESH: Duration = Duration::from_secs(120);
/// What stands before the 65 octets of a P-256 point in a DER SubjectPublicKeyInfo (RFC 5480 §2).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub struct Settings {
    /// An uncompressed point of P-256.
    pub key: [u8; 65],
    pub timeout: Duration,
    pub retries: u32,
    pub retry_wait: Duration,
}

impl Settings {
    pub fn read(config: &config::Callback) -> Result<Self, String> {
        let path = &config.public_key_file;
        let at = |why: &str| format!("[callback] public_key_file {}: {why}", path.display());
        let mut pem = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(16 << 10).read_to_string(&mut pem));
        read.map_err(|e| at(&e.to_string()))?;
        let config::Callback { timeout, retries, retry_wait, .. } = *config;
        let wanted = "it must be a PEM PUBLIC KEY of P-256 (openssl ec -in KEY -pubout)";
        Ok(Self { key: point(&pem).ok_or_else(|| at(wanted))?, timeout, retries, retry_wait })
    }
}

fn point(pem: &str) -> Option<[u8; 65]> {
    let (label, der) = unarmour(pem)?;
    let point = der.strip_prefix(&SPKI_HEAD)?.try_into().ok()?;
    let good = label == "PUBLIC KEY" && ::audit::VerifyingKey::from_point("callback", &point).is_ok();
    good.then_some(point)
}

/// An action that somebody else is asked about.
pub struct Consultation {
    pub judged: Judged,
    /// Who would approve it.
    pub by: By,
    /// How many times it was asked.
    pub asked: u32,
    pub then: Box<dyn FnOnce(Judged) + Send>,
}

pub enum Entered {
    Waits,
    /// It is asked about already.
    UnderWay,
    Full(Box<Consultation>),
}

#[derive(Default)]
pub struct Asking(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// What is asked about, waits for it, or for the next time.
    under_way: HashSet<ActionId>,
    octets: usize,
    queue: VecDeque<Consultation>,
    open: usize,
    complaint: Option<(Instant, String)>,
}

impl Asking {
    pub fn enter(&self, consultation: Consultation) -> Entered {
        let mut inner = self.lock();
        let id = &consultation.judged.seen().id;
        if inner.under_way.contains(id) {
            return Entered::UnderWay;
        }
        let octets = octets(&consultation.judged);
        if inner.under_way.len() >= MOST || inner.octets + octets > MOST_OCTETS {
            return Entered::Full(Box::new(consultation));
        }
        inner.octets += octets;
        inner.under_way.insert(id.clone());
        inner.queue.push_back(consultation);
        Entered::Waits
    }

    /// Once more; it never left.
    pub fn enter_again(&self, consultation: Consultation) {
        self.lock().queue.push_back(consultation);
    }

    /// What is asked next, where one more may be out. It counts until [`Asking::done`].
    pub fn next(&self) -> Option<Consultation> {
        let mut inner = self.lock();
        let next = if inner.open < MOST_OPEN { inner.queue.pop_front() } else { None };
        inner.open += usize::from(next.is_some());
        next
    }

    pub fn done(&self) {
        let mut inner = self.lock();
        inner.open = inner.open.saturating_sub(1);
    }

    /// Nothing more is asked about it.
    pub fn leave(&self, judged: &Judged) {
        let mut inner = self.lock();
        if inner.under_way.remove(&judged.seen().id) {
            inner.octets = inner.octets.saturating_sub(octets(judged));
        }
    }

    /// Others wait already.
    pub fn is_busy(&self) -> bool {
        self.lock().under_way.len() >= MOST_OPEN
    }

    /// Why the last question had no answer; nothing where it had one.
    pub fn complain(&self, why: Option<String>) {
        self.lock().complaint = why.map(|why| (Instant::now(), why));
    }

    pub fn complaint(&self) -> Option<String> {
        let inner = self.lock();
        let (since, why) = inner.complaint.as_ref()?;
        (since.elapsed() < pace(FRESH)).then(|| why.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn octets(judged: &Judged) -> usize {
    judged.messages().iter().map(Vec::len).sum()
}
