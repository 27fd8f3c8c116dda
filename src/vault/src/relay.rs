//! The raw relay of the feed: what came in, for the api's clients to read on from where they are. It is only a relay.

use crate::clock;
use crate::reply::Reply;
use ipc::{Answer, FeedItem, FeedPage};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

const MOST_MESSAGES: usize = 8192;
const MOST_OCTETS: usize = 4 << 20;
/// What one page carries at the most, octets.
const PAGE: usize = 512 << 10;

pub struct Relay(Mutex<Inner>);

impl Default for Relay {
    fn default() -> Self {
        Self(Mutex::new(Inner { access: anywhere(), ..Inner::default() }))
    }
}

#[derive(Default)]
struct Inner {
    kept: VecDeque<FeedItem>,
    /// Changes when somebody loses what let them in.
    access: u64,
    octets: usize,
    /// The sequence number of the newest message.
    newest: u64,
    waiting: Vec<(u64, Reply)>,
}

impl Relay {
    pub fn push(&self, item: FeedItem) {
        let mut inner = self.lock();
        inner.octets += octets(&item);
        inner.newest += 1;
        inner.kept.push_back(item);
        while inner.kept.len() > MOST_MESSAGES || inner.octets > MOST_OCTETS {
            let Some(old) = inner.kept.pop_front() else { break };
            inner.octets -= octets(&old);
        }
        for (after, reply) in std::mem::take(&mut inner.waiting) {
            let page = inner.page(after);
            reply.send(Answer::Feed(page));
        }
    }

    /// Somebody lost what let them in: whoever is inside must be asked about again.
    pub fn access_changed(&self) {
        let mut inner = self.lock();
        inner.access = inner.access.wrapping_add(1);
        for (after, reply) in std::mem::take(&mut inner.waiting) {
            let page = inner.page(after);
            reply.send(Answer::Feed(page));
        }
    }

    /// Answers with what came after `sequence`, at once or when it comes; 0 asks for what comes from now on. At once where
    /// another `access` number holds.
    pub fn after(&self, sequence: u64, access: u64, reply: Reply) {
        let mut inner = self.lock();
        let after = if sequence == 0 { inner.newest } else { sequence };
        inner.waiting.retain(|(_, waiting)| !waiting.is_lost());
        if after < inner.newest || access != inner.access {
            let page = inner.page(after);
            reply.send(Answer::Feed(page));
        } else {
            // A number from before a restart of the vault is one that it has yet to reach.
            let after = after.min(inner.newest);
            inner.waiting.push((after, reply));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn page(&self, after: u64) -> FeedPage {
        let oldest = self.newest - self.kept.len() as u64;
        let from = after.max(oldest);
        let mut page = 0;
        let items: Vec<FeedItem> = self
            .kept
            .iter()
            .skip((from - oldest) as usize)
            .take_while(|item| {
                let first = page == 0;
                page += octets(item);
                first || page <= PAGE
            })
            .cloned()
            .collect();
        FeedPage { next: from + items.len() as u64, items, skipped: from - after, access: self.access }
    }
}

/// Where the numbers of this life begin: one of an earlier life's says nothing of this one's.
fn anywhere() -> u64 {
    let mut number = [0; 8];
    // Without randomness the time is a number that was not before.
    getrandom::fill(&mut number).map_or_else(|_| clock::now_ms(), |()| u64::from_le_bytes(number))
}

fn octets(item: &FeedItem) -> usize {
    let (FeedItem::Raw(text) | FeedItem::Decision(text)) = item;
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_is_told_how_much_it_missed() {
        let relay = Relay::default();
        for n in 0..MOST_MESSAGES + 10 {
            relay.push(FeedItem::Raw(format!("{n}")));
        }
        let page = relay.lock().page(4);
        assert_eq!((page.skipped, &page.items[0]), (6, &FeedItem::Raw("10".into())));
        let next = relay.lock().page(page.next);
        assert_eq!((next.skipped, next.items.len()), (0, MOST_MESSAGES - page.items.len()));
    }

    #[test]
    fn a_page_is_bounded_and_the_next_goes_on() {
        let relay = Relay::default();
        for n in 0..20 {
            relay.push(FeedItem::Raw(format!("{n}").repeat(60_000)));
        }
        let (mut after, mut read) = (0, 0);
        while read < 20 {
            let page = relay.lock().page(after);
            assert!(!page.items.is_empty() && page.items.iter().map(octets).sum::<usize>() <= PAGE);
            (after, read) = (page.next, read + page.items.len());
        }
    }
}
