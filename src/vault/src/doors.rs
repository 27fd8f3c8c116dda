//! What the doors' connections are at, and how often the courier may say what costs the vault a record.

use crate::gate::Lane;
use crate::reply::Reply;
use config::seams::pace;
use ipc::FeedState;
use std::time::{Duration, Instant};

/// Between two feeds' openings that hurry what waits for its next try.
const HURRY: Duration = Duration::from_secs(5);
/// So many tickets are given within so long.
const TICKETS: u32 = 40;
const TICKETS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Doors {
    pub api: Option<u64>,
    pub courier: Option<u64>,
    pub feed: Option<FeedState>,
    /// When the feed was opened, or brought something.
    pub feed_heard: Option<Instant>,
    hurried: Option<Instant>,
    /// Since when tickets are counted, and how many were given.
    given: Option<(Instant, u32)>,
    pub tickets: Vec<Reply>,
}

impl Doors {
    pub fn opened(&mut self, lane: Lane, connection: u64) {
        match lane {
            Lane::Api => self.api = Some(connection),
            Lane::Courier => (self.courier, self.feed) = (Some(connection), None),
            Lane::Admin => {}
        }
    }

    pub fn ended(&mut self, lane: Lane, connection: u64) {
        match lane {
            Lane::Api => self.api = self.api.filter(|current| *current != connection),
            Lane::Courier => {
                self.courier = self.courier.filter(|current| *current != connection);
                if self.courier.is_none() {
                    self.feed = None;
                }
                self.tickets.retain(|reply| reply.connection() != connection);
            }
            Lane::Admin => {}
        }
    }

    /// Has `hurry` do so for a feed that was opened, unless it has just been done; it says how much there was.
    pub fn hurried(&mut self, hurry: impl FnOnce() -> usize) -> usize {
        if self.hurried.is_some_and(|last| last.elapsed() < pace(HURRY)) {
            return 0;
        }
        let hurried = hurry();
        if hurried > 0 {
            self.hurried = Some(Instant::now());
        }
        hurried
    }

    pub fn may_have_ticket(&mut self) -> bool {
        let counting = self.given.filter(|(since, _)| since.elapsed() < pace(TICKETS_WITHIN));
        let (since, given) = counting.unwrap_or_else(|| (Instant::now(), 0));
        let may = given < TICKETS;
        self.given = Some((since, given + u32::from(may)));
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_courier_that_asks_in_a_loop_is_bounded() {
        let mut doors = Doors::default();
        assert_eq!((0..1000).filter(|_| doors.may_have_ticket()).count(), TICKETS as usize);
        assert_eq!(doors.hurried(|| 0), 0, "nothing waited");
        assert_eq!((0..1000).map(|_| doors.hurried(|| 7)).sum::<usize>(), 7);
    }
}
