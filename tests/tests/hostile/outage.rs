//! A backend that is away for twenty minutes of the agent's time.

use crate::{POLICY, SPEED, health, rooms, status};
use custody_simulator::Door;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::thread;
use std::time::{Duration, Instant};

/// How many times faster the agent's waits go by.
const TIMES: u32 = 60;
const AWAY: Duration = Duration::from_secs(20 * 60);
/// Every wait of the feed and of a retry is drawn from nothing to half a minute or a minute: so many tries are to be
/// expected, and twice as many are no busy loop yet.
const MOST_CONNECTIONS: u64 = 2 * 20 * 60 / 15;
const MOST_TRIES: u64 = 2 * 20 * 60 / 30;

#[test]
fn an_agent_whose_backend_was_away_for_20_minutes_reconnects_and_catches_up_by_itself() {
    let house = House::registered(Settings {
        environment: vec![(SPEED, TIMES.to_string().into())],
        ..Settings::with_policy(POLICY)
    });
    let before = rooms(&house);
    let held = house.order(json!({"kind": "opaque", "count": 2}));
    let late = house.order(json!({"kind": "opaque", "expiresIn": 10}));
    held.iter().chain(&late).for_each(|id| house.logged(&["held: ", id]));

    // Some are approved, some asked for and unanswered, some not even begun when the backend goes.
    house.control("POST", "/faults", Some(json!({"endpoint": "put", "fault": {"delayMs": 100}, "rate": 0.7})));
    let mut approved = house.order(json!({"kind": "transfer", "count": 100}));
    let mut rejected = house.order(json!({"kind": "withdraw", "count": 10}));
    house.wait("approved=10");
    house.simulator.stand(Door::Closed).unwrap();
    let gone = Instant::now();
    house.control("DELETE", "/faults", None);
    let left = house.stats();
    let log = house.log().len();
    until("health says that the feed is down", || feed(&house) != "OPEN", || house.log());
    let told = gone.elapsed();
    // A word of the partner app is taken all the same, and new work comes.
    let words: Vec<u16> = vec![house.approve(&held[0]).status, house.reject(&held[1]).status];
    approved.extend(house.order(json!({"kind": "transfer", "count": 30})));
    rejected.extend(house.order(json!({"kind": "withdraw", "count": 5})));
    approved.extend(held.first().cloned());
    rejected.extend(held.get(1).cloned());

    let (mut looked, mut ready) = (0, true);
    while gone.elapsed() < AWAY / TIMES {
        let health = health(&house);
        assert_ne!(health["WebSocket"]["ReadyState"], "OPEN", "{health}");
        // A minute without the feed, and new actions go unseen: that is told, and nothing else is the matter.
        ready = health["Ready"] == true;
        let reasons = health["Reasons"].as_array().unwrap();
        assert_eq!(reasons.len(), usize::from(!ready), "{health}");
        assert!(reasons.iter().all(|why| why.as_str().unwrap().contains("feed is not open")), "{health}");
        looked += 1;
        // In the middle the port takes connections and drops them.
        if looked == 20 {
            house.simulator.stand(Door::Slamming).unwrap();
        }
        thread::sleep(Duration::from_millis(250));
    }
    assert!(!ready, "after twenty minutes it says that it is ready");
    let unsettled = (approved.len() + rejected.len()) as u64 - left["settled"].as_u64().unwrap();
    let (connections, tries) = attempts(&house.log()[log..]);
    let knocks = house.simulator.knocks();
    let status_away = status(&house);
    assert_ne!(status_away["feed"]["state"], "open", "{status_away}");

    house.simulator.stand(Door::Open).unwrap();
    let back = Instant::now();
    house.wait("feeds=1");
    let reconnected = back.elapsed();
    house.wait(&format!("approved={}&rejected={}", approved.len(), rejected.len()));
    let caught_up = back.elapsed();
    println!(
        "away for {:?} of the agent's time, {unsettled} actions unsettled: health knew after {:.1?}; {connections} tries of the \
         feed and {tries} requests meanwhile, {knocks} connections at the port that slammed; open again after {:.1?}, all \
         settled after {:.1?} (the agent's time); the partner app was answered {words:?}",
        AWAY,
        told * TIMES,
        reconnected * TIMES,
        caught_up * TIMES
    );

    for (ids, end) in [(&approved, "approved"), (&rejected, "rejected"), (&late, "expired")] {
        for id in ids {
            assert_eq!(house.action(id)["status"], end, "{id}");
        }
    }
    let agrees = || {
        let status = status(&house);
        let number = |state: &str| status["actions"][state].as_u64().unwrap_or(0) as usize;
        number("approved") == approved.len()
            && number("rejected") + number("unknown") == rejected.len()
            && number("expired") == late.len()
    };
    until("the agent knows it too", agrees, || format!("{}\n{}", status(&house), house.log()));
    assert_eq!(status(&house)["trouble"], Value::Null);
    until("it is ready again", || health(&house)["Ready"] == true, || health(&house).to_string());
    assert_eq!(rooms(&house), before, "no room was started anew\n{}", house.log());
    assert!(reconnected * TIMES < Duration::from_secs(60), "the feed's longest wait is 30 s: {reconnected:?}");
    assert!(connections > 20 && connections < MOST_CONNECTIONS, "{connections} tries of the feed");
    // A fresh request is tried at short intervals first.
    assert!(tries < unsettled * (MOST_TRIES + 10), "{tries} requests for {unsettled} actions");
    assert!(knocks <= connections + tries, "{knocks}");
    refusals_are_of_answers_that_were_lost(&house);
    house.assert_no_panic();
}

fn feed(house: &House) -> String {
    health(house)["WebSocket"]["ReadyState"].as_str().unwrap().to_owned()
}

/// How often the courier tried to open the feed and went on an errand.
fn attempts(log: &str) -> (u64, u64) {
    let count =
        |words: &str| log.lines().filter(|line| line.contains("courier") && line.contains(words)).count() as u64;
    (count("feed connecting"), count("going"))
}

/// A DELETE whose answer was lost with the backend is refused when it comes again; nothing else is.
fn refusals_are_of_answers_that_were_lost(house: &House) {
    let stats = house.stats();
    for refusal in stats["refusals"].as_array().unwrap() {
        let again = refusal["endpoint"] == "delete" && refusal["why"] == "the action is rejected, not pending";
        assert!(again, "{refusal}");
    }
}
