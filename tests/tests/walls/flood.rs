//! A captured door that asks without end: the vault answers each ask, grows by little, and has time for the honest door.

use crate::courier::NO_WITHDRAWALS;
use crate::door::{Captured, Door, house_stands, pid};
use crate::outside::{Courier, agent_id, asset};
use ipc::{ActionId, ActionQuery, ActionState, Answer, Ask, Call, FeedState, Refusal, Registration, Verb};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, call, until};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

/// How much the vault may have had in memory at once, kB.
const MOST: u64 = 60 << 10;
/// What the honest door may wait for an answer meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

fn peak(vault: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{vault}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// So many asks are under way at once: more, and the vault ends a lane whose answers pile up.
const WINDOW: u64 = 4_000;

/// Set when it goes, by a panic too: who works meanwhile must end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends so many asks, and reads so many answers. How many were refused as too much at once.
fn flood(door: &mut Door, asks: u64, answers: u64, window: u64, ask: &(dyn Fn(u64) -> Ask + Sync)) -> u64 {
    let mut writer = door.writer();
    let (begin, end) = sync_channel(usize::try_from(window).unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut octets = Vec::new();
            for n in 0..asks {
                octets.extend_from_slice(&ipc::encode(n, &ask(n)).unwrap());
                // Asks that were not answered are left behind, where they are more than answers are waited for.
                if octets.len() > 16 << 10 || n + 1 == asks {
                    if writer.write_all(&octets).is_err() {
                        return;
                    }
                    octets.clear();
                }
                if n < answers && begin.send(()).is_err() {
                    return;
                }
            }
        });
        // Gone with this closure, by a panic too, so that the writer ends.
        let end = end;
        let answers = (0..answers).map(|n| {
            let _ = end.recv();
            door.hear().unwrap_or_else(|| panic!("ended after {n} answers")).what
        });
        answers.filter(|answer| *answer == Answer::Refused(Refusal::Busy)).count() as u64
    })
}

/// Asks that are kept open: above a number each is answered at once, and all end with the connection.
fn held_open(house: &House, lane: &str, ask: &Ask) {
    const ASKS: u64 = 10_000;
    const OPEN: u64 = 5_000;
    let busy = flood(&mut Door::connect(house, lane), ASKS, ASKS - OPEN, ASKS, &|_| ask.clone());
    // An errand that comes up meanwhile is handed to one of them, and makes room for another.
    let few = ASKS - OPEN - 8;
    assert!((few..=ASKS - OPEN).contains(&busy), "{lane}: {ask:?}: {busy} were refused");
}

/// A house with one approved and one denied action, quiet in its log.
fn house() -> (House, String, String) {
    let policy = format!("{NO_WITHDRAWALS}{APPROVE_ALL}");
    let house = House::registered(Settings { log_level: "warn", ..Settings::with_policy(&policy) });
    let approved = house.order(json!({"kind": "transfer"})).remove(0);
    let denied = house.order(json!({"kind": "withdraw"})).remove(0);
    house.wait("settled=2");
    (house, approved, denied)
}

/// Whatever the api asks, the feed's actions are approved meanwhile.
fn an_api_that_asks(asks: u64) {
    let (mut house, approved, denied) = house();
    let vault = pid(&house, "vault");
    let partner = house.partner();
    let captured = Captured::room(&house, "api");
    let registration = Registration::new("again", partner["apiKey"].as_str().unwrap(), "cGVt").unwrap();
    let id = |id: &str| ActionId::try_from(id.to_owned()).unwrap();
    let (approved, denied) = (id(&approved), id(&denied));
    let ask = |n: u64| match n % 8 {
        // It reads the ledger while the lane waits: seldom, so that the others come quickly.
        0 if n.is_multiple_of(64) => Ask::from(Call::Health),
        // What came at the beginning, again and again; the answer is long, and a lane has room for so many octets.
        7 if n % 64 == 7 => Ask::FeedAfter { sequence: 1, access: 0 },
        0 | 1 | 7 => Ask::from(Call::Client),
        2 => Ask::from(Call::Decide { action: approved.clone(), verb: Verb::Approve, statements: Vec::new() }),
        3 => Ask::from(Call::Decide { action: approved.clone(), verb: Verb::Reject, statements: Vec::new() }),
        4 => Ask::from(Call::Decide { action: denied.clone(), verb: Verb::Approve, statements: Vec::new() }),
        5 => Ask::from(Call::Decide { action: denied.clone(), verb: Verb::Reject, statements: Vec::new() }),
        _ => Ask::from(Call::Register(registration.clone())),
    };
    let begun = Instant::now();
    let (over, settled, longest) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::new(Duration::ZERO));
    let busy = thread::scope(|scope| {
        scope.spawn(|| {
            for count in 3..500 {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let ordered = Instant::now();
                house.order(json!({"kind": "transfer"}));
                house.wait(&format!("settled={count}"));
                let took = ordered.elapsed();
                assert!(took < PATIENCE, "an approval took {took:?}");
                let mut longest = longest.lock().unwrap();
                *longest = took.max(*longest);
                settled.store(true, Ordering::SeqCst);
            }
        });
        let guard = Over(&over);
        let busy = flood(&mut Door::connect(&house, "api.sock"), asks, asks, WINDOW, &ask);
        drop(guard);
        busy
    });
    let took = begun.elapsed();
    // What becomes of the last action is told to all who wait for the feed.
    let open = [ActionState::Seen, ActionState::Approving, ActionState::Rejecting];
    let open = Call::Actions(ActionQuery { states: open.into(), since: 0, after: None, limit: 1 });
    let quiet = || match Door::connect(&house, "api.sock").ask(&Ask::from(open.clone())) {
        Answer::ActionList(list) => list.actions.is_empty(),
        other => panic!("{other:?}"),
    };
    until("all is settled", quiet, || house.log());
    let access = Door::connect(&house, "api.sock").access();
    held_open(&house, "api.sock", &Ask::FeedAfter { sequence: u64::MAX, access });
    let longest = longest.lock().unwrap();
    println!(
        "api: {asks} asks in {took:?}, {busy} of them too many at once; at most {} kB; an approval took {longest:?} at most",
        peak(vault)
    );
    assert!(settled.load(Ordering::SeqCst), "nothing was approved meanwhile");
    assert!(peak(vault) < MOST, "{} kB at the most", peak(vault));
    drop(captured);
    house_stands(&house, vault);
}

/// Whatever the courier says, the partner app is answered meanwhile.
fn a_courier_that_asks(asks: u64) {
    let (house, approved, _) = house();
    let vault = pid(&house, "vault");
    let agent = agent_id(&house);
    let captured = Captured::room(&house, "courier");
    let event = |agent: &str| {
        json!({"id": approved, "coreClientID": agent, "type": "ApproveTransfer", "status": "pending",
               "timestamp": 1, "expireTime": 4_000_000_000u64})
        .to_string()
    };
    let (old, foreign) = (event(&agent), event("somebody-else"));
    let message = json!({"messages": ["00".repeat(500)]}).to_string();
    let ask = |n: u64| match n % 8 {
        0 => Ask::FeedMessage("garbage".into()),
        1 => Ask::FeedMessage(old.clone()),
        2 => Ask::FeedMessage(foreign.clone()),
        3 => Ask::ErrandDone { errand: n % 16, outcome: crate::outside::replied(200, &message) },
        4 => Ask::ErrandDone { errand: u64::MAX - n, outcome: crate::outside::replied(404, "") },
        5 => Ask::FeedState(FeedState::Open),
        6 => Ask::FeedState(FeedState::Closed { why: "x".repeat(1000), retry_ms: n }),
        _ => Ask::FeedTicket,
    };
    let begun = Instant::now();
    let (over, answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let busy = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let asked = Instant::now();
                let reply = call("GET", &house.url("/api/v1/healthcheck/status"), &[], b"").unwrap();
                assert!(reply.status == 200 && asked.elapsed() < PATIENCE, "{} in {:?}", reply.status, asked.elapsed());
                answered.store(true, Ordering::SeqCst);
            }
        });
        let guard = Over(&over);
        let busy = flood(&mut Door::connect(&house, "courier.sock"), asks, asks, WINDOW, &ask);
        drop(guard);
        busy
    });
    let took = begun.elapsed();
    held_open(&house, "courier.sock", &Ask::NextErrand);
    println!("courier: {asks} asks in {took:?}, {busy} of them too many at once; at most {} kB", peak(vault));
    assert!(answered.load(Ordering::SeqCst), "nobody was answered meanwhile");
    assert!(peak(vault) < MOST, "{} kB at the most", peak(vault));
    drop(captured);
    house_stands(&house, vault);
}

#[test]
fn wishes_that_no_courier_fetches_do_not_pile_up() {
    let environment = vec![("SIGNING_AGENT_TEST_SPEED", "50".into())];
    let house = House::registered(Settings { environment, log_level: "warn", ..Settings::default() });
    let vault = pid(&house, "vault");
    let agent = agent_id(&house);
    let message = asset(&house, "transfer");
    let captured = ["api", "courier"].map(|room| Captured::room(&house, room));
    let mut api = Door::connect(&house, "api.sock");
    let wish = |n: u64| {
        let action = ActionId::try_from(format!("nobody-asked-{n}")).unwrap();
        Ask::from(Call::Decide { action, verb: Verb::Approve, statements: Vec::new() })
    };
    for n in 0..1000 {
        api.tell(&wish(n));
    }
    for _ in 0..1000 {
        // The one who asked has waited for long enough, or nobody fetched it: whichever is seen first.
        let told = api.hear().unwrap().what;
        let refused = matches!(&told, Answer::Refused(Refusal::Timeout | Refusal::Unreachable(_)));
        assert!(refused, "{told:?}");
    }
    // Nobody waits any more. The fetches go with them, and the next errand is the next action's.
    let gone = || house.log().matches("its messages could not be fetched").count();
    until("the fetches are gone", || gone() == 1000, || format!("{} are gone\n{}", gone(), house.log()));
    let mut courier = Courier::connect(&house, &agent);
    courier.announce("next", "ApproveTransfer", &message);
    courier.until_stands(json!({"held": 1}));
    drop((api, courier, captured));
    house_stands(&house, vault);
}

#[test]
fn a_hundred_thousand_asks_of_a_captured_api_leave_the_vault_up_and_small() {
    an_api_that_asks(100_000);
}

#[test]
fn a_hundred_thousand_asks_of_a_captured_courier_leave_the_vault_up_and_small() {
    a_courier_that_asks(100_000);
}

#[test]
#[ignore = "a minute: `make test-long`"]
fn a_million_asks_of_a_captured_api_leave_the_vault_up_and_small() {
    an_api_that_asks(1_000_000);
}

#[test]
#[ignore = "a minute: `make test-long`"]
fn a_million_asks_of_a_captured_courier_leave_the_vault_up_and_small() {
    a_courier_that_asks(1_000_000);
}
