//! What a person should look at: the last of it for `status`; all of it is in the audit log.

use crate::clock;
use ipc::ActionId;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are kept at hand.
const MOST: usize = 8;
/// The same words again within so many seconds are no new alarm.
const SAME: u64 = 60;

#[derive(Default)]
pub struct Alarms(Mutex<VecDeque<(u64, String)>>);

impl Alarms {
    /// Whether it is a new one; then it is logged.
    pub fn raise(&self, action: Option<&ActionId>, words: &str) -> bool {
        let words = action.map_or_else(|| words.to_owned(), |id| format!("{id}: {words}"));
        let (now, mut last) = (clock::now(), self.lock());
        if last.iter().any(|(at, said)| *said == words && now.saturating_sub(*at) < SAME) {
            return false;
        }
        tracing::error!("ALARM: {words}");
        last.push_back((now, words));
        while last.len() > MOST {
            last.pop_front();
        }
        true
    }

    /// Newest last, with how long ago they were.
    pub fn list(&self) -> Vec<String> {
        let now = clock::now();
        self.lock().iter().map(|(at, words)| format!("{} s ago: {words}", now.saturating_sub(*at))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_alarm_is_not_raised_in_a_storm_and_only_the_last_are_kept() {
        let alarms = Alarms::default();
        assert!(alarms.raise(None, "401") && !alarms.raise(None, "401"));
        for n in 0..20 {
            assert!(alarms.raise(None, &format!("{n}")));
        }
        assert_eq!(alarms.list().len(), MOST);
        assert!(alarms.list().last().unwrap().ends_with(": 19"));
    }
}
