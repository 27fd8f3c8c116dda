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

/// A courier that was lost is started anew within so long.
const ABSENT: Duration = Duration::from_secs(5);
/// So long a feed that is not open is no trouble yet.
const SHUT: Duration = Duration::from_secs(60);

pub struct Doors {
    pub api: Option<u64>,
    pub courier: Option<u64>,
    feed: Option<FeedState>,
    /// Since when there is no courier.
    absent: Option<Instant>,
    /// Since when the feed is not open.
    shut: Option<Instant>,
    /// When the feed was opened, or brought something.
    pub feed_heard: Option<Instant>,
    hurried: Option<Instant>,
    /// Since when tickets are counted, and how many were given.
    given: Option<(Instant, u32)>,
    pub tickets: Vec<Reply>,
}

impl Default for Doors {
    fn default() -> Self {
        let now = Some(Instant::now());
        Self {
            api: None,
            courier: None,
            feed: None,
            absent: now,
            shut: now,
            feed_heard: None,
            hurried: None,
            given: None,
            tickets: Vec::new(),
        }
    }
}

impl Doors {
    /// What the courier says of the feed.
    pub fn feed_is(&mut self, state: Option<FeedState>) {
        if state == Some(FeedState::Open) {
            self.shut = None;
        } else {
            self.shut.get_or_insert_with(Instant::now);
        }
        self.feed = state;
    }

    pub fn feed(&self) -> FeedState {
        self.feed.clone().unwrap_or(FeedState::Idle)
    }

    /// What keeps the agent from hearing of actions, or the backend of approvals. `registered`: for how long, if so.
    pub fn complaints(&self, registered: Option<Duration>) -> Vec<String> {
        let absent = self.absent.is_some_and(|since| since.elapsed() > pace(ABSENT));
        let absent = absent.then(|| "no courier is connected: nothing reaches the backend".to_owned());
        let shut = self.shut.zip(registered).map(|(since, registered)| since.elapsed().min(registered));
        let shut = shut.filter(|shut| *shut > pace(SHUT)).map(|shut| {
            format!("the backend's feed is not open, for {} s now: new actions are not seen", shut.as_secs())
        });
        absent.into_iter().chain(shut).collect()
    }

    pub fn opened(&mut self, lane: Lane, connection: u64) {
        match lane {
            Lane::Api => self.api = Some(connection),
            Lane::Courier => {
                (self.courier, self.absent) = (Some(connection), None);
                self.feed_is(None);
            }
            Lane::Admin => {}
        }
    }

    pub fn ended(&mut self, lane: Lane, connection: u64) {
        match lane {
            Lane::Api => self.api = self.api.filter(|current| *current != connection),
            Lane::Courier => {
                self.courier = self.courier.filter(|current| *current != connection);
                if self.courier.is_none() {
                    self.absent.get_or_insert_with(Instant::now);
                    self.feed_is(None);
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
    fn a_courier_that_is_away_and_a_feed_that_is_shut_are_trouble_after_a_while() {
        let ago = |wait: Duration| Instant::now().checked_sub(wait + Duration::from_secs(1));
        let mut doors = Doors::default();
        let (day, minute) = (Some(Duration::from_secs(86_400)), Some(Duration::from_secs(50)));
        assert!(doors.complaints(day).is_empty(), "it has just begun");
        (doors.absent, doors.shut) = (ago(ABSENT), ago(SHUT));
        assert_eq!(doors.complaints(day).len(), 2);
        assert_eq!(doors.complaints(None), ["no courier is connected: nothing reaches the backend"]);
        doors.opened(Lane::Courier, 1);
        assert!(matches!(&doors.complaints(day)[..], [words] if words.contains("feed")), "a courier alone is no feed");
        assert!(doors.complaints(minute).is_empty(), "the agent has only just been registered");
        doors.feed_is(Some(FeedState::Open));
        assert!(doors.complaints(day).is_empty());
        doors.ended(Lane::Courier, 1);
        assert!(doors.absent.is_some() && doors.shut.is_some() && doors.complaints(day).is_empty());
    }

    #[test]
    fn a_courier_that_asks_in_a_loop_is_bounded() {
        let mut doors = Doors::default();
        assert_eq!((0..1000).filter(|_| doors.may_have_ticket()).count(), TICKETS as usize);
        assert_eq!(doors.hurried(|| 0), 0, "nothing waited");
        assert_eq!((0..1000).map(|_| doors.hurried(|| 7)).sum::<usize>(), 7);
    }
}
