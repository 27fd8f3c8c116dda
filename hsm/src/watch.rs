//! What this process has under way in its module. A call into a module cannot be cancelled: all that can be done about
//! one that hangs is to see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shows the module's work from outside, also while [`crate::Token::open`] is at it. Clones show the same; a process
/// has one, and every opening of its module gets it.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    calls: Mutex<Calls>,
    failures: AtomicU64,
    logins: AtomicU64,
    /// C_Initialize was called, and C_Finalize failed after it.
    unfinished: AtomicBool,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// Numbered as they began: the first is the oldest.
    begun: BTreeMap<u64, Instant>,
}

/// Since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub operations: u64,
    /// Operations that ended with an error.
    pub failures: u64,
    pub logins: u64,
}

impl Watch {
    #[must_use]
    pub fn counts(&self) -> Counts {
        let operations = self.calls().next;
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counts { operations, failures: of(&self.0.failures), logins: of(&self.0.logins) }
    }

    pub(crate) fn failed(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn logged_in(&self) {
        self.0.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the oldest operation that is under way in the module has been running; nothing if none is. An operation
    /// is a few calls: a signature, a login, an opening of sessions. Who only waits for its turn is not counted.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.calls().begun.first_key_value().map(|(_, begun)| begun.elapsed())
    }

    /// Under way until the guard is dropped.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        let mut calls = self.calls();
        let number = calls.next;
        calls.next += 1;
        calls.begun.insert(number, Instant::now());
        UnderWay { watch: self, number }
    }

    pub(crate) fn set_unfinished(&self, unfinished: bool) {
        self.0.unfinished.store(unfinished, Ordering::SeqCst);
    }

    pub(crate) fn is_unfinished(&self) -> bool {
        self.0.unfinished.load(Ordering::SeqCst)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct UnderWay<'a> {
    watch: &'a Watch,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.watch.calls().begun.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_until_it_ends() {
        let watch = Watch::default();
        let seen_elsewhere = watch.clone();
        assert_eq!(seen_elsewhere.longest(), None);
        let first = watch.begin();
        let second = watch.begin();
        let begun: Vec<Instant> = watch.calls().begun.values().copied().collect();
        assert!(begun.len() == 2 && begun[0] <= begun[1]);
        assert!(seen_elsewhere.longest().is_some());
        drop(first);
        assert_eq!(watch.calls().begun.len(), 1);
        assert!(seen_elsewhere.longest().is_some());
        drop(second);
        assert_eq!(seen_elsewhere.longest(), None);
    }
}
