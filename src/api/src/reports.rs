//! What the vault hears of the door: whom it turned away by itself, and how it is.

use crate::routes::House;
use ipc::{AccessFault, Ask, DoorState, TurnedAway};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Addresses and causes that are told apart in one report; others are counted without an address.
const MOST: usize = 64;
/// Refusals of so long are one report.
const GATHERED: Duration = Duration::from_secs(1);
/// Between two reports of how the door is.
const EVERY: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Reports {
    turned_away: Mutex<HashMap<(Option<IpAddr>, AccessFault), u32>>,
    some: Notify,
    changed: Notify,
}

impl Reports {
    pub(crate) fn turned_away(&self, address: Option<IpAddr>, fault: AccessFault) {
        let mut all = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        // Room for each cause without an address is kept: there are fewer than that.
        let known = all.contains_key(&(address, fault)) || all.len() < MOST / 2;
        let times = all.entry((address.filter(|_| known), fault)).or_default();
        *times = times.saturating_add(1);
        self.some.notify_one();
    }

    /// How the door is has changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<TurnedAway> {
        let all = std::mem::take(&mut *self.turned_away.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_iter().map(|((address, fault), times)| TurnedAway { address, fault, times }).collect()
    }
}

/// Reports until the lane ends.
pub(crate) async fn report(house: Arc<House>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ask = tokio::select! {
            () = house.reports.some.notified() => {
                sleep(GATHERED).await;
                Ask::TurnedAway(house.reports.take())
            }
            () = house.reports.changed.notified() => Ask::DoorState(state(&house)),
            _ = ticks.tick() => Ask::DoorState(state(&house)),
        };
        if house.lane.ask(ask).await.is_err() {
            return;
        }
    }
}

pub(crate) fn state(house: &House) -> DoorState {
    let (feed_clients, plain) = (house.hub.count(), house.guests.count());
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    DoorState {
        certificate_expires: house.tls.as_ref().map(|tls| tls.expires()),
        warnings: house.tls.as_ref().map(|tls| tls.warnings()).unwrap_or_default(),
        connections: number(feed_clients + plain),
        feed_clients: number(feed_clients),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_from_everywhere_is_counted_in_bounded_space() {
        let reports = Reports::default();
        for n in 0..10_000u32 {
            reports.turned_away(Some(IpAddr::V4(n.into())), AccessFault::CertificateRefused);
            reports.turned_away(Some(IpAddr::V4(1.into())), AccessFault::ForeignPage);
        }
        let told = reports.take();
        assert!(told.len() <= MOST);
        let sum = |fault| told.iter().filter(|one| one.fault == fault).map(|one| one.times).sum::<u32>();
        assert_eq!((sum(AccessFault::CertificateRefused), sum(AccessFault::ForeignPage)), (10_000, 10_000));
        assert!(reports.take().is_empty());
    }
}
