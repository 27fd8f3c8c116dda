//! The vault's time: the wall clock for the protocol, and one thread that does things later.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

struct Later {
    due: Instant,
    what: Box<dyn FnOnce() + Send>,
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

/// Does things later, on one thread: what it is given must be short.
#[derive(Clone, Default)]
pub struct Clock(Arc<(Mutex<BinaryHeap<Later>>, Condvar)>);

impl Clock {
    pub fn start() -> Self {
        let clock = Self::default();
        let turning = clock.clone();
        thread::spawn(move || turning.turn());
        clock
    }

    pub fn after(&self, wait: Duration, what: impl FnOnce() + Send + 'static) {
        self.after_all_of(config::seams::pace(wait), what);
    }

    /// The same, also where a test has made waits shorter: for patience with what a test makes no faster.
    pub fn after_all_of(&self, wait: Duration, what: impl FnOnce() + Send + 'static) {
        let later = Later { due: Instant::now() + wait, what: Box::new(what) };
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(later);
        self.0.1.notify_one();
    }

    fn turn(&self) {
        let (heap, changed) = &*self.0;
        let mut waiting = heap.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let wait = waiting.peek().map(|next| next.due.saturating_duration_since(now));
            waiting = match wait {
                None => changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    let due = waiting.pop();
                    drop(waiting);
                    if let Some(later) = due {
                        (later.what)();
                    }
                    heap.lock().unwrap_or_else(PoisonError::into_inner)
                }
                Some(wait) => changed.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// Exponential backoff with full jitter: a time between nothing and `first · 2^attempt`, at most `most`.
pub fn backoff(attempt: u32, first: Duration, most: Duration) -> Duration {
    let ceiling = first.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(most);
    let mut random = [0; 4];
    // Without randomness the full wait is the safe one.
    match getrandom::fill(&mut random) {
        Ok(()) => ceiling.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)),
        Err(_) => ceiling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_due_first_comes_first() {
        let clock = Clock::start();
        let (tell, told) = channel();
        for wait in [60, 20, 40] {
            let tell = tell.clone();
            clock.after(Duration::from_millis(wait), move || tell.send(wait).unwrap());
        }
        assert_eq!(told.iter().take(3).collect::<Vec<_>>(), [20, 40, 60]);
    }

    #[test]
    fn backoff_never_exceeds_its_ceiling() {
        let most = Duration::from_secs(60);
        for attempt in 0..40 {
            let wait = backoff(attempt, Duration::from_millis(500), most);
            assert!(wait <= most && wait <= Duration::from_millis(500) * 2u32.saturating_pow(attempt));
        }
    }
}
