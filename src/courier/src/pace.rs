//! How patient the feed is.

use std::time::Duration;

/// The feed's times.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two pings of ours.
    pub ping: Duration,
    /// Nothing heard for so long, not even a pong: the connection is dead.
    pub silence: Duration,
    /// From the first octet sent to the upgraded connection.
    pub handshake: Duration,
    /// How long the other side's close, and anything that it sends before, is waited for.
    pub goodbye: Duration,
    /// The backoff's first ceiling; it doubles with every attempt.
    pub first: Duration,
    /// The backoff's last ceiling.
    pub cap: Duration,
    /// A connection that was open for so long was a good one: the backoff begins anew.
    pub settled: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let pace = |millis| config::seams::pace(Duration::from_millis(millis));
        Self {
            ping: pace(20_000),
            silence: pace(60_000),
            handshake: pace(20_000),
            goodbye: pace(2_000),
            first: pace(250),
            cap: pace(30_000),
            settled: pace(10_000),
        }
    }
}

/// Exponential backoff with full jitter: anything from nothing to a ceiling that doubles. It never gives up.
pub(crate) struct Backoff {
    pace: Pace,
    ceiling: Duration,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, ceiling: pace.first }
    }

    /// How long to wait now, after a connection that was open for `open`.
    pub(crate) fn after(&mut self, open: Duration) -> Duration {
        if open >= self.pace.settled {
            self.ceiling = self.pace.first;
        }
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(self.pace.cap);
        // Where the system gives no randomness, agents that come back in step are the smaller evil.
        getrandom::u64().map_or(ceiling, |random| ceiling.mul_f64(random as f64 / u64::MAX as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_connections_never_shorten_the_ceiling_and_a_long_one_does() {
        let mut backoff = Backoff::new(Pace::default());
        for (round, ceiling) in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].into_iter().enumerate() {
            assert_eq!(backoff.ceiling, Duration::from_millis(ceiling), "round {round}");
            assert!(backoff.after(Duration::from_secs(9)) <= Duration::from_millis(ceiling));
        }
        assert!(backoff.after(Duration::from_secs(10)) <= Duration::from_millis(250));
        assert_eq!(backoff.ceiling, Duration::from_millis(500));
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let pace = Pace { cap: Pace::default().first, ..Pace::default() };
        let mut backoff = Backoff::new(pace);
        let waits: Vec<_> = (0..200).map(|_| backoff.after(Duration::ZERO)).collect();
        assert!(waits.iter().any(|w| *w < pace.first / 4) && waits.iter().any(|w| *w > pace.first * 3 / 4));
    }
}
