//! One relay for all feed clients: it takes the feed from the vault once, keeps the newest of it once, and each client reads on
//! from where it is.

use crate::guests::{Guest, Guests};
use axum::extract::ws::Utf8Bytes;
use ipc::{Answer, Ask, FeedItem, FeedPage, Lane};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What is kept for clients that are behind, octets; who is further behind is too slow. It is all that waits, however many wait.
const MAX_KEPT: usize = 8 << 20;
/// What a message costs besides its text, octets.
const OVERHEAD: usize = 64;
/// So many clients are woken before others have their turn: an approval does not wait until all clients have a message.
const AT_ONCE: usize = 32;
/// After an answer that brings nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// Long-polls the vault's feed and publishes what comes, until the lane ends.
pub(crate) async fn relay(lane: Lane, hub: Arc<Hub>) {
    let (mut sequence, mut access) = (0, 0);
    while let Ok(answer) = lane.ask(Ask::FeedAfter { sequence, access }).await {
        let Answer::Feed(FeedPage { items, next, skipped, access: now }) = answer else {
            tracing::warn!("the vault has no feed for us now");
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if skipped > 0 {
            tracing::warn!(skipped, "feed messages were lost to local clients");
        }
        (sequence, access) = (next, now);
        hub.access.send_if_modified(|before| std::mem::replace(before, now) != now);
        hub.publish(items).await;
    }
}

/// The feed clients, and what they have yet to hear.
pub(crate) struct Hub {
    guests: Arc<Guests>,
    kept: Mutex<Kept>,
    /// Another number than before: who is inside must be asked about again.
    access: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// The newest last.
    messages: VecDeque<Message>,
    octets: usize,
    /// The number of the first of them.
    first: u64,
    clients: HashMap<u64, Arc<Notify>>,
    next_client: u64,
}

#[derive(Clone)]
struct Message {
    text: Utf8Bytes,
    /// Of this agent's own, for those who want such.
    decision: bool,
}

impl Hub {
    pub(crate) fn new(guests: Arc<Guests>) -> Self {
        Self { guests, kept: Mutex::default(), access: watch::Sender::new(0) }
    }

    /// A place among the feed clients: what comes from now on is for it, decisions too where it wants them. `None` where all
    /// places are taken, or all that one address may have.
    pub(crate) fn seat(self: &Arc<Self>, address: IpAddr, decisions: bool) -> Option<Seat> {
        let guest = self.guests.admit(address)?;
        let mut kept = self.kept();
        let (id, woken) = (kept.next_client, Arc::new(Notify::new()));
        kept.next_client += 1;
        kept.clients.insert(id, woken.clone());
        let next = kept.first + kept.messages.len() as u64;
        Some(Seat { id, hub: self.clone(), woken, next, decisions, access: self.access.subscribe(), _guest: guest })
    }

    pub(crate) fn count(&self) -> usize {
        self.guests.count()
    }

    /// Puts messages behind those that are kept, and wakes the clients.
    async fn publish(&self, items: Vec<FeedItem>) {
        if items.is_empty() {
            return;
        }
        let clients: Vec<Arc<Notify>> = {
            let mut kept = self.kept();
            items.into_iter().for_each(|item| kept.push(item));
            kept.clients.values().cloned().collect()
        };
        for some in clients.chunks(AT_ONCE) {
            some.iter().for_each(|client| client.notify_one());
            tokio::task::yield_now().await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, item: FeedItem) {
        let (text, decision) = match item {
            FeedItem::Raw(text) => (text, false),
            FeedItem::Decision(text) => (text, true),
        };
        self.octets += text.len() + OVERHEAD;
        self.messages.push_back(Message { text: text.into(), decision });
        while self.octets > MAX_KEPT {
            let Some(old) = self.messages.pop_front() else { return };
            self.octets -= old.text.len() + OVERHEAD;
            self.first += 1;
        }
    }
}

/// A feed client's place; dropping it gives it back.
pub(crate) struct Seat {
    id: u64,
    hub: Arc<Hub>,
    woken: Arc<Notify>,
    /// The number of the message that it has yet to hear.
    next: u64,
    decisions: bool,
    access: watch::Receiver<u64>,
    _guest: Guest,
}

/// It is so far behind that what it has yet to hear is not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl Seat {
    /// The next message, when there is one.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, TooSlow> {
        loop {
            if let Some(message) = self.ready()? {
                return Ok(message);
            }
            self.woken.notified().await;
        }
    }

    /// The next message, if there is one.
    pub(crate) fn ready(&mut self) -> Result<Option<Utf8Bytes>, TooSlow> {
        let kept = self.hub.kept();
        loop {
            let place = usize::try_from(self.next.checked_sub(kept.first).ok_or(TooSlow)?).map_err(|_| TooSlow)?;
            let Some(message) = kept.messages.get(place) else { return Ok(None) };
            self.next += 1;
            if self.decisions || !message.decision {
                return Ok(Some(message.text.clone()));
            }
        }
    }

    /// Changes when somebody lost what let them in: it may be this one.
    pub(crate) fn doubts(&self) -> watch::Receiver<u64> {
        self.access.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.kept().clients.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn hub(most: usize) -> Arc<Hub> {
        Arc::new(Hub::new(Guests::new(most, most)))
    }

    fn raw(text: &str) -> FeedItem {
        FeedItem::Raw(text.to_owned())
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off_and_the_others_are_not() {
        let hub = hub(2);
        let (mut slow, mut quick) = (hub.seat(HERE, false).unwrap(), hub.seat(HERE, false).unwrap());
        let message = "x".repeat(64 << 10);
        let fits = MAX_KEPT / (message.len() + OVERHEAD);
        for _ in 0..fits {
            hub.publish(vec![raw(&message)]).await;
            assert!(quick.next().await.is_ok());
        }
        assert!(slow.ready().is_ok(), "so far it is only behind");
        hub.publish(vec![raw(&message), raw(&message)]).await;
        assert_eq!((slow.next().await.err(), quick.next().await.is_ok()), (Some(TooSlow), true));
        assert_eq!(hub.count(), 2, "its place is taken until it has gone");
        drop(slow);
        assert_eq!((hub.count(), hub.kept().clients.len()), (1, 1));
    }

    #[tokio::test]
    async fn what_waits_is_kept_once_and_within_bounds() {
        let hub = hub(1000);
        let seats: Vec<Seat> = (0..1000).map(|_| hub.seat(HERE, false).unwrap()).collect();
        for _ in 0..100 {
            hub.publish((0..2000).map(|n| raw(&n.to_string())).collect()).await;
        }
        let kept = hub.kept();
        assert!(kept.octets <= MAX_KEPT && kept.messages.len() <= MAX_KEPT / OVERHEAD);
        assert_eq!(kept.octets, kept.messages.iter().map(|message| message.text.len() + OVERHEAD).sum::<usize>());
        drop(kept);
        drop(seats);
    }

    #[tokio::test]
    async fn decisions_are_for_those_who_want_them() {
        let hub = hub(2);
        let (mut plain, mut all) = (hub.seat(HERE, false).unwrap(), hub.seat(HERE, true).unwrap());
        hub.publish(vec![raw("a"), FeedItem::Decision("b".into()), raw("c")]).await;
        let heard = |seat: &mut Seat| -> Vec<String> {
            std::iter::from_fn(|| seat.ready().unwrap().map(|text| text.to_string())).collect()
        };
        assert_eq!(
            (heard(&mut plain), heard(&mut all)),
            (vec!["a".into(), "c".into()], vec!["a".into(), "b".into(), "c".into()])
        );
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let hub = hub(3);
        let mut seats: Vec<Seat> = (0..3).map(|_| hub.seat(HERE, false).unwrap()).collect();
        assert!(hub.seat(HERE, false).is_none());
        seats.pop();
        assert_eq!(hub.count(), 2);
        assert!(hub.seat(HERE, false).is_some());
    }
}
