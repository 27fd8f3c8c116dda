//! How long a room that ended waits before it is started anew.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A room that lived so long begins with the first wait again.
const HEALTHY: Duration = Duration::from_secs(30);
/// A room that retires sooner goes round at a steady pace, not as fast as it can: a client that repeats a bad registration
/// must not be able to keep the door shut for everybody else.
const TOO_SOON: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The wait after a life of `lived`, ended by retiring or not.
    pub fn after(&mut self, lived: Duration, retired: bool) -> Duration {
        if retired {
            return if lived >= TOO_SOON { Duration::ZERO } else { FIRST };
        }
        if lived >= HEALTHY {
            self.0 = FIRST;
        }
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn crashes_wait_longer_each_time_up_to_ten_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.after(SHORT, false).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn a_long_life_is_forgiven() {
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.after(SHORT, false);
        }
        assert_eq!(backoff.after(HEALTHY - SHORT, false), LONGEST);
        assert_eq!(backoff.after(HEALTHY, false), FIRST);
        assert_eq!(backoff.after(SHORT, false), FIRST * 2);
    }

    #[test]
    fn retiring_costs_no_wait_unless_it_is_a_loop() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(TOO_SOON, true), Duration::ZERO);
        for _ in 0..9 {
            assert_eq!(backoff.after(SHORT, true), FIRST, "whoever asks for it cannot make it longer");
        }
        assert_eq!(backoff.after(SHORT, false), FIRST, "nor the wait after a crash");
    }
}
