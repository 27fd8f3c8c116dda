//! How many are here, in all and of one address: who comes above that is turned away, and keeps nobody else waiting.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one kind.
pub(crate) struct Guests {
    most: usize,
    most_each: usize,
    here: Mutex<Here>,
}

#[derive(Default)]
struct Here {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// A place; dropping it gives it back.
pub(crate) struct Guest {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guests {
    /// At most so many, and so many of one address.
    pub(crate) fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self { most, most_each, here: Mutex::default() })
    }

    /// `None` where there is no place.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let (address, mut here) = (household(address), self.here());
        if here.all >= self.most || here.each.get(&address).is_some_and(|here| *here >= self.most_each) {
            return None;
        }
        here.all += 1;
        *here.each.entry(address).or_default() += 1;
        Some(Guest { guests: self.clone(), address })
    }

    pub(crate) fn count(&self) -> usize {
        self.here().all
    }

    /// Whether more than half of all places are taken.
    pub(crate) fn crowded(&self) -> bool {
        self.count() > self.most / 2
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut here = self.guests.here();
        here.all -= 1;
        if let Some(each) = here.each.get_mut(&self.address) {
            *each -= 1;
            if *each == 0 {
                here.each.remove(&self.address);
            }
        }
    }
}

/// Who has one IPv6 address has all of its /64.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_does_not_take_all_places() {
        let guests = Guests::new(4, 3);
        let mut greedy: Vec<Guest> = std::iter::from_fn(|| guests.admit(address("192.0.2.1"))).collect();
        assert_eq!(greedy.len(), 3);
        let other = guests.admit(address("192.0.2.2")).unwrap();
        assert!(guests.admit(address("192.0.2.3")).is_none() && guests.crowded(), "there are no more");
        greedy.pop();
        assert!(guests.admit(address("192.0.2.3")).is_some());
        drop((greedy, other));
        assert_eq!((guests.count(), guests.here().each.len()), (0, 0), "nothing is kept of those who went");
    }

    #[test]
    fn an_ipv6_network_is_one_and_a_mapped_address_is_what_it_maps() {
        let same = |one: &str, other: &str| household(address(one)) == household(address(other));
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
