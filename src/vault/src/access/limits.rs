//! How often a token may be used.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// A bucket that a minute fills: so many calls at once, and as many more each minute.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it is full again; it is now where that is past.
    full: Option<Instant>,
}

impl Bucket {
    /// Takes one call out of it; else the seconds to wait for one.
    pub fn take(&mut self, per_minute: u32, now: Instant) -> Result<(), u32> {
        // None is as good as one a minute: what makes tokens takes no such number.
        let step = MINUTE.checked_div(per_minute).unwrap_or(MINUTE);
        let full = self.full.filter(|full| *full > now).unwrap_or(now) + step;
        let over = full.saturating_duration_since(now).saturating_sub(MINUTE);
        if over.is_zero() {
            self.full = Some(full);
            return Ok(());
        }
        Err(u32::try_from(over.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, per_minute: u32, now: Instant) -> usize {
        (0..1000).take_while(|_| bucket.take(per_minute, now).is_ok()).count()
    }

    #[test]
    fn so_many_at_once_and_as_many_more_a_minute_and_quiet_hours_save_up_nothing() {
        let (mut bucket, begun) = (Bucket::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(taken(&mut bucket, 60, at(0)), 60);
        assert_eq!(bucket.take(60, at(0)), Err(1));
        assert_eq!(taken(&mut bucket, 60, at(10)), 10);
        assert_eq!(taken(&mut bucket, 60, at(7210)), 60, "a full bucket, and no more");
    }

    #[test]
    fn who_waits_as_long_as_was_said_is_let_in() {
        for per_minute in [1, 7, 13, 60, 1_000_000] {
            let (mut bucket, begun) = (Bucket::default(), Instant::now());
            while bucket.take(per_minute, begun).is_ok() {}
            let wait = bucket.take(per_minute, begun).unwrap_err();
            assert!((1..=60).contains(&wait), "{per_minute}: {wait}");
            assert_eq!(bucket.take(per_minute, begun + Duration::from_secs(wait.into())), Ok(()), "{per_minute}");
        }
    }
}
