//! The clocks that windows and approvals rest on. Windows are measured by the time since the boot, which no one sets; the wall
//! clock, by which the policy's hours are meant and expiries told, is compared with it, so that a jump is noticed.

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// So far, milliseconds, the wall clock may be from where it should be.
pub const ALLOWANCE: i64 = 60_000;
/// An NTP client slews by 500 millionths at the most (adjtimex(2)): twice that is followed.
const SLEW: i64 = 1000;
/// Both clocks are read within so many milliseconds, or once more.
const TOGETHER: i64 = 500;

/// Names this boot where the vault does not see /proc/sys, as under systemd: its unit says `%b`.
const BOOT_ID: &str = "SIGNING_AGENT_BOOT_ID";

/// What this boot of the machine is called, to be read before the walls stand; empty where nobody says.
pub fn boot_id() -> String {
    // The first reading looks for the kernel's vDSO, with system calls that the filter does not allow later.
    Reading::take();
    let kernels = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let named = kernels.or_else(|| std::env::var(BOOT_ID).ok()).unwrap_or_default();
    // The kernel writes it with dashes, systemd without.
    named.trim().chars().filter(char::is_ascii_hexdigit).collect()
}

/// Both clocks at one moment, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Since 1970.
    pub wall: i64,
    /// Since the boot, suspended time included.
    pub boot: i64,
}

impl Reading {
    pub fn take() -> Self {
        let mut before = since_boot();
        loop {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| whole(d.as_millis()));
            let boot = since_boot();
            // What stopped this thread between the two would look like a jump.
            if boot.saturating_sub(before) <= TOGETHER {
                let (wall_ahead, boot_ahead) = config::seams::clocks_ahead();
                return Self { wall: wall + wall_ahead * 1000, boot: boot + boot_ahead * 1000 };
            }
            before = boot;
        }
    }

    /// How far the wall clock is before the other.
    pub fn offset(self) -> i64 {
        self.wall.saturating_sub(self.boot)
    }
}

fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Where the wall clock should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Wall clock minus time since the boot, milliseconds.
    pub offset: i64,
    /// When that was so: milliseconds since the boot.
    pub at: i64,
}

impl Reference {
    /// The wall clock as it should be now, milliseconds.
    pub fn expected(self, reading: Reading) -> i64 {
        self.offset.saturating_add(reading.boot)
    }

    /// Follows a wall clock that is slewed, by no more than a thousandth of the time that has passed; `None` where it jumped. So
    /// small jumps add up to a large one, unless they are as slow as a slew.
    pub fn follow(self, reading: Reading) -> Option<Self> {
        let most = reading.boot.saturating_sub(self.at).max(0) / SLEW;
        let away = reading.offset().saturating_sub(self.offset);
        let offset = self.offset.saturating_add(away.clamp(-most, most));
        let left = reading.offset().saturating_sub(offset);
        (left.abs() <= ALLOWANCE).then_some(Self { offset, at: reading.boot })
    }
}

/// The wall clock as the vault believes it, or does not.
pub struct WallClock {
    reference: Mutex<Reference>,
    stepped: AtomicBool,
}

impl WallClock {
    pub fn new(reference: Reference, stepped: bool) -> Self {
        Self { reference: Mutex::new(reference), stepped: AtomicBool::new(stepped) }
    }

    /// Unix seconds; `None` where it jumped and no operator has confirmed it.
    pub fn now(&self) -> Option<u64> {
        let reading = Reading::take();
        let reference = *self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = !self.has_stepped() && reference.follow(reading).is_some();
        trusted.then(|| u64::try_from(reading.wall / 1000).unwrap_or_default())
    }

    /// Unix seconds by the wall clock as it is or as it should be, whichever is later: for what ends at a time, a clock that was
    /// set back does not begin anew.
    pub fn latest(&self) -> u64 {
        let reading = Reading::take();
        let reference = *self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        u64::try_from(reading.wall.max(reference.expected(reading)) / 1000).unwrap_or_default()
    }

    pub fn has_stepped(&self) -> bool {
        self.stepped.load(Ordering::SeqCst)
    }

    /// What the ledger has of it now.
    pub fn is(&self, reference: Reference, stepped: bool) {
        *self.reference.lock().unwrap_or_else(PoisonError::into_inner) = reference;
        self.stepped.store(stepped, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn reading(boot: i64, offset: i64) -> Reading {
        Reading { wall: boot + offset, boot }
    }

    #[test]
    fn a_jump_of_more_than_a_minute_is_one_and_one_of_a_minute_is_none() {
        let reference = Reference { offset: 5_000, at: 1_000 };
        for sign in [-1, 1] {
            assert!(reference.follow(reading(1_000, 5_000 + sign * ALLOWANCE)).is_some());
            assert!(reference.follow(reading(1_000, 5_000 + sign * (ALLOWANCE + 1))).is_none());
        }
    }

    #[test]
    fn a_clock_that_is_slewed_never_jumps_however_far_it_comes() {
        // A slew of 500 millionths is 43.2 s a day.
        let mut reference = Reference { offset: 0, at: 0 };
        for look in 1..=30 * DAY / 5_000 {
            let boot = look * 5_000;
            reference = reference.follow(reading(boot, boot / 2000)).expect("it is slewed");
        }
        assert_eq!(reference.offset, 30 * DAY / 2000);
    }

    #[test]
    fn many_small_jumps_are_a_large_one_and_quiet_days_save_up_nothing_for_a_jump() {
        let mut reference = Reference { offset: 0, at: 0 };
        for look in 1..=10 * DAY / 5_000 {
            reference = reference.follow(reading(look * 5_000, 0)).expect("nothing happens");
        }
        assert!(reference.follow(reading(reference.at + 5_000, ALLOWANCE + 6)).is_none(), "only five seconds count");
        let mut wall = 0;
        let jumps = (1..).take_while(|look| {
            wall += 10_000;
            let followed = reference.follow(reading(10 * DAY + look * 5_000, wall));
            reference = followed.unwrap_or(reference);
            followed.is_some()
        });
        assert_eq!(jumps.count(), 6, "the seventh jump of ten seconds is one too many");
    }

    #[test]
    fn the_machines_clocks_are_read_and_a_boot_has_one_name() {
        let (first, second) = (Reading::take(), Reading::take());
        assert!(first.boot > 0 && first.boot <= second.boot);
        assert!((first.offset() - second.offset()).abs() < ALLOWANCE);
        assert_eq!((boot_id().len(), boot_id()), (32, boot_id()));
    }

    #[test]
    fn a_wall_clock_that_jumped_is_not_believed_until_it_is_said_to_be_right() {
        let reading = Reading::take();
        let right = Reference { offset: reading.offset(), at: reading.boot };
        let clock = WallClock::new(right, false);
        assert!(clock.now().is_some());
        clock.is(Reference { offset: right.offset - 120_000, ..right }, false);
        assert!(clock.now().is_none(), "two minutes");
        clock.is(right, true);
        assert!(clock.now().is_none() && clock.has_stepped(), "it came back by itself, and nobody has looked");
        clock.is(right, false);
        assert!(clock.now().is_some());
    }
}
