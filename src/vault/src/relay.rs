//! The raw relay of the feed: what came in, for the api's clients to read on from where they are. It is only a relay.

use crate::reply::Reply;
use ipc::{Answer, FeedPage};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

const MOST_MESSAGES: usize = 8192;
const MOST_OCTETS: usize = 4 << 20;
/// What one page carries at the most, octets.
const PAGE: usize = 512 << 10;

#[derive(Default)]
pub struct Relay(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    kept: VecDeque<String>,
    octets: usize,
    /// The sequence number of the newest message.
    newest: u64,
    waiting: Vec<(u64, Reply)>,
}

impl Relay {
    pub fn push(&self, message: String) {
        let mut inner = self.lock();
        inner.octets += message.len();
        inner.newest += 1;
        inner.kept.push_back(message);
        while inner.kept.len() > MOST_MESSAGES || inner.octets > MOST_OCTETS {
            let Some(old) = inner.kept.pop_front() else { break };
            inner.octets -= old.len();
        }
        for (after, reply) in std::mem::take(&mut inner.waiting) {
            let page = inner.page(after);
            reply.send(Answer::Feed(page));
        }
    }

    /// Answers with what came after `sequence`, at once or when it comes; 0 asks for what comes from now on.
    pub fn after(&self, sequence: u64, reply: Reply) {
        let mut inner = self.lock();
        let after = if sequence == 0 { inner.newest } else { sequence };
        inner.waiting.retain(|(_, waiting)| !waiting.is_lost());
        if after < inner.newest {
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
        let mut octets = 0;
        let messages: Vec<String> = self
            .kept
            .iter()
            .skip((from - oldest) as usize)
            .take_while(|message| {
                let first = octets == 0;
                octets += message.len();
                first || octets <= PAGE
            })
            .cloned()
            .collect();
        FeedPage { next: from + messages.len() as u64, messages, skipped: from - after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_is_told_how_much_it_missed() {
        let relay = Relay::default();
        for n in 0..MOST_MESSAGES + 10 {
            relay.push(format!("{n}"));
        }
        let page = relay.lock().page(4);
        assert_eq!((page.skipped, page.messages[0].as_str()), (6, "10"));
        let next = relay.lock().page(page.next);
        assert_eq!((next.skipped, next.messages.len()), (0, MOST_MESSAGES - page.messages.len()));
    }

    #[test]
    fn a_page_is_bounded_and_the_next_goes_on() {
        let relay = Relay::default();
        for n in 0..20 {
            relay.push(format!("{n}").repeat(60_000));
        }
        let (mut after, mut read) = (0, 0);
        while read < 20 {
            let page = relay.lock().page(after);
            assert!(!page.messages.is_empty() && page.messages.iter().map(String::len).sum::<usize>() <= PAGE);
            (after, read) = (page.next, read + page.messages.len());
        }
    }
}
