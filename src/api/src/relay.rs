//! One relay for all feed clients: it takes the feed from the vault once and gives each client the same messages.

use axum::extract::ws::Utf8Bytes;
use ipc::{Answer, Ask, FeedItem, FeedPage, Lane};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The most feed clients at once.
pub(crate) const MAX_CLIENTS: usize = 256;
/// The most that waits for one client, octets. Clients share the messages, so this bounds what waits for all of them.
const MAX_WAITING: usize = 8 << 20;
/// What a waiting message costs besides its text, octets.
const OVERHEAD: usize = 64;
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
        for item in items {
            match item {
                FeedItem::Raw(message) => hub.publish(&message.into(), false),
                FeedItem::Decision(message) => hub.publish(&message.into(), true),
            }
        }
    }
}

/// The feed clients.
#[derive(Default)]
pub(crate) struct Hub(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    taken: HashMap<u64, Queue>,
    next: u64,
}

struct Queue {
    /// `None` once the client was too slow; its place stays taken until it has gone.
    out: Option<mpsc::UnboundedSender<Utf8Bytes>>,
    waiting: Arc<Waiting>,
    /// It hears of decisions too.
    decisions: bool,
}

#[derive(Default)]
struct Waiting {
    octets: AtomicUsize,
    too_many: AtomicBool,
}

impl Hub {
    /// A place among the feed clients: from now on messages wait for it. `None` where all are taken.
    pub(crate) fn seat(self: &Arc<Self>, decisions: bool) -> Option<Seat> {
        let mut seats = self.seats();
        if seats.taken.len() >= MAX_CLIENTS {
            return None;
        }
        let (out, inbox) = mpsc::unbounded_channel();
        let (id, waiting) = (seats.next, Arc::default());
        seats.next += 1;
        seats.taken.insert(id, Queue { out: Some(out), waiting: Arc::clone(&waiting), decisions });
        Some(Seat { id, hub: self.clone(), inbox, waiting })
    }

    pub(crate) fn count(&self) -> usize {
        self.seats().taken.len()
    }

    /// Puts a message into every queue, of a decision into those that want it; one that is full is closed.
    fn publish(&self, message: &Utf8Bytes, decision: bool) {
        let cost = message.len() + OVERHEAD;
        for queue in self.seats().taken.values_mut().filter(|queue| queue.decisions || !decision) {
            let Some(out) = &queue.out else { continue };
            if queue.waiting.octets.fetch_add(cost, Ordering::Relaxed) + cost <= MAX_WAITING {
                let _ = out.send(message.clone());
            } else {
                queue.waiting.too_many.store(true, Ordering::Relaxed);
                queue.out = None;
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed client's place; dropping it gives it back.
pub(crate) struct Seat {
    id: u64,
    hub: Arc<Hub>,
    inbox: mpsc::UnboundedReceiver<Utf8Bytes>,
    waiting: Arc<Waiting>,
}

impl Seat {
    /// The next message; `None` where the client was too slow: what still waited is lost to it.
    pub(crate) async fn next(&mut self) -> Option<Utf8Bytes> {
        let message = self.inbox.recv().await?;
        self.waiting.octets.fetch_sub(message.len() + OVERHEAD, Ordering::Relaxed);
        if self.waiting.too_many.load(Ordering::Relaxed) { None } else { Some(message) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.seats().taken.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off_and_the_others_do_not() {
        let hub = Arc::new(Hub::default());
        let (mut slow, mut quick) = (hub.seat(false).unwrap(), hub.seat(false).unwrap());
        let message = Utf8Bytes::from("x".repeat(64 << 10));
        let fits = MAX_WAITING / (message.len() + OVERHEAD);
        for _ in 0..fits + 3 {
            hub.publish(&message, false);
            assert!(quick.next().await.is_some());
        }
        assert!(slow.next().await.is_none());
        assert_eq!(hub.count(), 2, "its place is taken until it has gone");
        drop(slow);
        assert_eq!(hub.count(), 1);
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let hub = Arc::new(Hub::default());
        let mut seats: Vec<Seat> = (0..MAX_CLIENTS).map(|_| hub.seat(false).unwrap()).collect();
        assert!(hub.seat(false).is_none());
        seats.pop();
        assert_eq!(hub.count(), MAX_CLIENTS - 1);
        assert!(hub.seat(false).is_some());
    }
}
