use super::*;
use crate::reply::Connection;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use zeroize::Zeroizing;

/// What is waited for, and what must not come for so long.
const PATIENCE: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_millis(200);

/// A courier that asks: what it is answered.
struct Courier(Arc<Connection>, Receiver<Zeroizing<Vec<u8>>>, u64);

impl Courier {
    fn new() -> Self {
        let (out, answers) = sync_channel(64);
        Self(Connection::new(7, None, UnixStream::pair().unwrap().0, out), answers, 0)
    }
    fn ask(&mut self, errands: &Errands) {
        self.2 += 1;
        errands.ask(Reply::new(self.0.clone(), self.2));
    }
    /// The next errand's id and tail.
    fn errand(&self, patience: Duration) -> Option<(u64, String)> {
        let frame = self.1.recv_timeout(patience).ok()?;
        match ipc::read_frame::<Answer>(&mut &frame[..]).unwrap().unwrap().what {
            Answer::Errand(errand) => Some((errand.id, errand.tail)),
            other => panic!("{other:?}"),
        }
    }
}

fn job(tail: &str) -> (Job, Receiver<Outcome>) {
    let (tell, told) = channel();
    let job = Job {
        place: Place::Backend,
        method: Method::Put,
        tail: tail.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: TIMEOUT,
        pass: None,
        until: None,
        may_go: None,
        pauses: true,
        done: Box::new(move |outcome| drop(tell.send(outcome))),
    };
    (job, told)
}

fn errands() -> Errands {
    Errands::new(Clock::start(), Pool::start(2))
}

fn was_unsent(told: &Receiver<Outcome>) -> bool {
    matches!(told.recv_timeout(PATIENCE), Ok(Outcome::Failed(Failure::NotSent(_))))
}

#[test]
fn what_no_courier_takes_in_time_ends_unsent_and_the_next_goes() {
    let (errands, mut courier) = (errands(), Courier::new());
    let ((late, told), (later, told_later)) = (job("late"), job("later"));
    errands.add(Job { until: Some(Instant::now() + Duration::from_millis(10)), ..late });
    assert!(was_unsent(&told), "by itself");
    errands.add(Job { until: Some(Instant::now()), ..later });
    errands.add(job("good").0);
    courier.ask(&errands);
    assert!(was_unsent(&told_later), "when it would be its turn");
    assert_eq!(courier.errand(PATIENCE).map(|(_, tail)| tail).as_deref(), Some("good"));
}

#[test]
fn what_may_not_go_any_more_when_a_courier_asks_is_not_sent_and_the_next_is() {
    let (errands, mut courier) = (errands(), Courier::new());
    let (frozen, told) = job("frozen");
    errands.add(Job { may_go: Some(Box::new(|| Err("frozen meanwhile".into()))), ..frozen });
    errands.add(job("good").0);
    courier.ask(&errands);
    assert!(was_unsent(&told));
    assert_eq!(courier.errand(PATIENCE).map(|(_, tail)| tail).as_deref(), Some("good"));
}

#[test]
fn two_429_in_a_row_pause_what_is_queued_for_the_backend_and_nothing_else() {
    let (errands, mut courier) = (errands(), Courier::new());
    let mut begun = Instant::now();
    for status in [429, 200, 429, 429] {
        errands.add(job("first").0);
        courier.ask(&errands);
        let (id, _) = courier.errand(PATIENCE).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "one alone pauses nothing");
        begun = Instant::now();
        errands.done(7, id, Outcome::Reply { status, body: Vec::new(), retry_after: Some(2), date: None });
    }
    errands.add(job("second").0);
    errands.add(Job { place: Place::Witness(0), pauses: false, ..job("").0 });
    courier.ask(&errands);
    courier.ask(&errands);
    assert_eq!(courier.errand(PATIENCE).map(|(_, tail)| tail).as_deref(), Some(""), "a witness is another");
    assert_eq!(courier.errand(NEVER), None);
    assert_eq!(courier.errand(PATIENCE).map(|(_, tail)| tail).as_deref(), Some("second"));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
