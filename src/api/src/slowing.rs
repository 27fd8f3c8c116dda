//! Who is refused again and again hears so later each time. What is let in is never held up, whoever asks.

use crate::guests::household;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Refusals that cost nothing: who mistypes is no attacker.
const FREE: f64 = 3.0;
/// Each further one costs so much more, up to the most.
const STEP: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);
/// So many refusals are forgotten within a second.
const FORGOTTEN: f64 = 0.5;
/// So many are remembered of one address: who stops is forgiven within three minutes.
const MOST_REMEMBERED: f64 = 90.0;
/// Addresses that are remembered.
const MOST_ADDRESSES: usize = 4096;

/// Refusals by address.
pub(crate) struct Slowing {
    refused: Mutex<HashMap<IpAddr, (f64, Instant)>>,
    waiting: Arc<Semaphore>,
}

/// What becomes of a refusal.
pub(crate) enum Told {
    At(Duration, OwnedSemaphorePermit),
    /// At once, and its connection ends: too many wait already.
    AndGone,
}

impl Slowing {
    /// At most so many wait.
    pub(crate) fn new(most_waiting: usize) -> Self {
        Self { refused: Mutex::default(), waiting: Arc::new(Semaphore::new(most_waiting)) }
    }

    pub(crate) fn refused(&self, address: IpAddr) -> Told {
        let wait = self.wait(household(address), Instant::now());
        match self.waiting.clone().try_acquire_owned() {
            Ok(permit) => Told::At(wait, permit),
            Err(_) => Told::AndGone,
        }
    }

    fn wait(&self, address: IpAddr, now: Instant) -> Duration {
        let mut refused = self.lock();
        let left = |(count, last): &(f64, Instant)| count - now.duration_since(*last).as_secs_f64() * FORGOTTEN;
        if refused.len() >= MOST_ADDRESSES && !refused.contains_key(&address) {
            refused.retain(|_, entry| left(entry) > 0.0);
            // An attacker with so many addresses is slowed by having to have them.
            let least = refused.iter().min_by(|(_, one), (_, other)| left(one).total_cmp(&left(other)));
            if let (true, Some((least, _))) = (refused.len() >= MOST_ADDRESSES, least.map(|(a, e)| (*a, *e))) {
                refused.remove(&least);
            }
        }
        let entry = refused.entry(address).or_insert((0.0, now));
        *entry = ((left(entry).max(0.0) + 1.0).min(MOST_REMEMBERED), now);
        STEP.mul_f64((entry.0 - FREE).max(0.0)).min(MOST)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, (f64, Instant)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn each_refusal_of_one_address_is_told_later_and_forgotten_in_time() {
        let (slowing, start) = (Slowing::new(8), Instant::now());
        let waits: Vec<u128> = (0..60).map(|_| slowing.wait(ONE, start).as_millis()).collect();
        assert_eq!(waits[..6], [0, 0, 0, 50, 100, 150]);
        assert_eq!(waits[59], MOST.as_millis());
        assert_eq!(slowing.wait("192.0.2.2".parse().unwrap(), start), Duration::ZERO, "another address");
        let later = start + Duration::from_secs(180);
        assert_eq!(slowing.wait(ONE, later), Duration::ZERO);
    }

    #[test]
    fn addresses_are_remembered_in_bounded_space_and_the_worst_stay() {
        let (slowing, now) = (Slowing::new(8), Instant::now());
        (0..50).for_each(|_| assert!(slowing.wait(ONE, now) <= MOST));
        for n in 0..3 * MOST_ADDRESSES as u32 {
            slowing.wait(IpAddr::V4(n.into()), now);
        }
        assert!(slowing.lock().len() <= MOST_ADDRESSES);
        assert_eq!(slowing.wait(ONE, now), MOST);
    }

    #[test]
    fn only_so_many_wait() {
        let slowing = Slowing::new(2);
        let waiting: Vec<Told> = (0..3).map(|_| slowing.refused(ONE)).collect();
        assert!(matches!(waiting[..], [Told::At(..), Told::At(..), Told::AndGone]));
    }
}
