//! When something is tried again: the vault's schedule, which the courier cannot hurry.

use crate::clock::{Clock, backoff};
use crate::errands::LONGEST_PAUSE;
use ipc::Refusal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(60);

/// How often something was tried, and how that ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    count: u32,
    /// How many of them ended with 401, in a row.
    unbelieved: u32,
    /// An earlier try may have reached the backend, and its outcome is not known.
    pub doubt: bool,
}

impl Tries {
    /// After a restart: earlier tries may have reached the backend.
    pub fn in_doubt() -> Self {
        Self { doubt: true, ..Self::default() }
    }

    /// Nothing of it was ever sent, whatever became of the tries.
    pub fn unsent(self) -> Self {
        Self { doubt: false, ..self }
    }

    /// One more, which ended like this; `acted` where the backend may have done what was asked.
    pub fn and(self, refusal: &Refusal, acted: bool) -> Self {
        let unbelieved = matches!(refusal, Refusal::Backend { status: 401, .. });
        Self {
            count: self.count + 1,
            unbelieved: if unbelieved { self.unbelieved + 1 } else { 0 },
            doubt: self.doubt || acted,
        }
    }

    /// A pass was not believed: it may have been a second late, so a fresh one is tried at once.
    pub fn wants_a_fresh_pass(self) -> bool {
        self.unbelieved == 1
    }

    /// A fresh pass was not believed either.
    pub fn is_unbelieved(self) -> bool {
        self.unbelieved > 1
    }

    fn wait(self) -> Duration {
        if self.wants_a_fresh_pass() { Duration::ZERO } else { backoff(self.count.saturating_sub(1), FIRST, SLOWEST) }
    }
}

/// What waits for its next try.
#[derive(Clone, Default)]
pub struct Retries(Arc<Mutex<Parked>>);

#[derive(Default)]
struct Parked {
    last: u64,
    waiting: HashMap<u64, Waiting>,
}

struct Waiting {
    /// It may go before its time.
    may_hurry: bool,
    what: Box<dyn FnOnce() + Send>,
}

impl Retries {
    /// Does `what` after a wait of our own with full jitter, or after the one that the backend asked for if that is longer;
    /// but not later than when there is no time `left`.
    pub fn later(
        &self,
        clock: &Clock,
        tries: Tries,
        asked: Option<Duration>,
        left: Duration,
        what: impl FnOnce() + Send + 'static,
    ) {
        let wait = asked.unwrap_or_default().min(LONGEST_PAUSE).max(tries.wait()).min(left);
        let number = {
            let mut parked = self.lock();
            parked.last += 1;
            let number = parked.last;
            parked.waiting.insert(number, Waiting { may_hurry: asked.is_none(), what: Box::new(what) });
            number
        };
        let retries = self.clone();
        clock.after(wait, move || {
            let due = retries.lock().waiting.remove(&number);
            if let Some(due) = due {
                (due.what)();
            }
        });
    }

    /// How many wait for their next try.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The backend is there again: what does not wait at its wish goes on now. How many that were.
    pub fn hurry(&self) -> usize {
        let ready: Vec<_> = self.lock().waiting.extract_if(|_, waiting| waiting.may_hurry).collect();
        let count = ready.len();
        for (_, ready) in ready {
            (ready.what)();
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn refused(status: u16) -> Refusal {
        Refusal::Backend { status, words: String::new() }
    }

    #[test]
    fn an_unbelieved_pass_has_one_fresh_try_at_once_and_then_counts_as_an_alarm() {
        let once = Tries::default().and(&refused(401), false);
        assert!(once.wants_a_fresh_pass() && !once.is_unbelieved() && once.wait() == Duration::ZERO);
        let twice = once.and(&refused(401), false);
        assert!(!twice.wants_a_fresh_pass() && twice.is_unbelieved() && !twice.doubt);
        let other = once.and(&refused(500), true);
        assert!(!other.and(&refused(401), false).is_unbelieved() && other.doubt);
    }

    #[test]
    fn a_backend_that_is_back_hurries_what_it_did_not_ask_to_wait() {
        let (retries, clock) = (Retries::default(), Clock::start());
        let (tell, told) = channel();
        let far = (0..20).fold(Tries::default(), |tries, _| tries.and(&refused(500), true));
        for (name, asked) in [("own", None), ("asked", Some(Duration::from_secs(3600)))] {
            let tell = tell.clone();
            retries.later(&clock, far, asked, Duration::MAX, move || tell.send(name).unwrap());
        }
        assert_eq!(retries.hurry(), 1);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["own"]);
        assert_eq!(retries.hurry(), 0, "each goes once");
    }

    #[test]
    fn nothing_waits_longer_than_it_has_time_left_whatever_the_backend_asks_for() {
        let (retries, clock) = (Retries::default(), Clock::start());
        let (tell, told) = channel();
        let asked = Some(Duration::from_secs(3600));
        retries.later(&clock, Tries::default(), asked, Duration::from_millis(10), move || tell.send(()).unwrap());
        assert!(told.recv_timeout(Duration::from_secs(30)).is_ok());
    }

    #[test]
    fn no_wait_is_longer_than_a_minute_unless_it_was_asked_for() {
        let mut tries = Tries::default();
        for _ in 0..100 {
            tries = tries.and(&refused(503), true);
            assert!(tries.wait() <= SLOWEST);
        }
    }
}
