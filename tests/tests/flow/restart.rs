//! The agent ends, well or badly, and begins again.

use super::{alarms, approved_once, order_one, story};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};

fn arm(house: &House, endpoint: &str, fault: Value) {
    house.control("POST", "/faults", Some(json!({"endpoint": endpoint, "fault": fault})));
}

#[test]
fn what_was_in_flight_when_the_agent_was_killed_is_settled_after_it_started_again() {
    let mut settings = Settings::with_policy(APPROVE_ALL);
    // The backend does not say it twice: the agent's own ledger must know.
    settings.simulator.replay_pending = false;
    let mut house = House::registered(settings);
    // Fetched and signed, and the backend never heard of it.
    arm(&house, "put", json!({"drop": true}));
    let signed = house.order(json!({"count": 20, "messageCount": 2}));
    house.wait("faultsFired=20&gets=20");
    // Seen, and not even fetched.
    arm(&house, "get", json!({"status": 500}));
    let fired = house.stats()["faultsFired"].as_u64().unwrap();
    let seen = house.order(json!({"count": 20}));
    for id in &seen {
        house.logged(&["seen", id]);
    }
    house.wait(&format!("faultsFired={}", fired + 20));
    house.kill();
    house.control("DELETE", "/faults", None);
    assert_eq!(house.stats()["approved"], 0);
    house.run();
    house.wait("settled=40");
    for id in signed.iter().chain(&seen) {
        approved_once(&house, id);
        assert_eq!(house.approve(id).status, 200);
    }
    let stats = house.stats();
    assert_eq!((&stats["refusals"], &stats["repeatedPuts"]), (&json!([]), &json!(0)), "{stats}");
    house.assert_no_panic();
}

#[test]
fn an_approval_that_arrived_but_whose_answer_was_lost_with_the_agent_is_known_after_it_started_again() {
    let mut house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 2, "announce": false}));
    arm(&house, "put", json!({"dropAfter": true}));
    arm(&house, "delete", json!({"drop": true}));
    assert_eq!(house.approve(&ids[0]).status, 502);
    assert_eq!(house.reject(&ids[1]).status, 502);
    house.kill();
    house.control("DELETE", "/faults", None);
    house.run();
    house.wait("approved=1&rejected=1");
    assert_eq!((house.approve(&ids[0]).status, house.reject(&ids[0]).status), (200, 409), "{}", house.log());
    assert_eq!((house.approve(&ids[1]).status, house.reject(&ids[1]).status), (409, 200));
    let stats = house.stats();
    assert_eq!((&stats["settled"], &stats["refusals"]), (&json!(2), &json!([])), "{stats}");
    house.assert_no_panic();
}

#[test]
fn a_burst_is_finished_by_the_next_agent_if_the_first_is_killed_in_the_midst_of_it() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    let ids = house.order(json!({"count": 300}));
    house.wait("settled=50");
    house.kill();
    house.run();
    house.wait("settled=300");
    for id in &ids {
        let action = house.action(id);
        assert_eq!(action["status"], "approved", "{action}");
        assert_eq!(action["refused"], 0, "{action}");
    }
    let stats = house.stats();
    assert_eq!((&stats["approved"], &stats["refusals"]), (&json!(300), &json!([])), "{stats}");
    house.assert_no_panic();
}

#[test]
fn a_stop_is_clean_and_the_same_agent_goes_on_after_it() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    let client = house.ask("GET", "/api/v1/client", "").json();
    let first = order_one(&house, json!({}));
    house.wait("settled=1");
    let status = house.stop();
    assert_eq!(status.code(), Some(0), "{}", house.log());
    house.wait("feedsAtMost=0");
    // What comes while it is away waits for it.
    let second = order_one(&house, json!({}));
    house.run();
    assert_eq!(house.ask("GET", "/api/v1/client", "").json()["agentID"], client["agentID"]);
    house.wait("settled=2&feeds=1");
    for id in [&first, &second] {
        approved_once(&house, id);
    }
    assert_eq!(house.register("test-agent").status, 400, "it is registered still");
    assert_eq!(house.control("GET", "/agents", None).as_array().unwrap().len(), 1);
    house.assert_no_panic();
}

/// Between the end of one agent and the beginning of the next the action's time is over.
fn over(house: &House, id: &str) {
    until("its time is over", || house.action(id)["status"] == "expired", String::new);
}

#[test]
fn an_approval_whose_time_is_over_before_the_next_start_is_never_sent_if_it_never_was() {
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    let crash_at = house.dir.path().join("crash-at");
    house.settings.environment = vec![("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone())];
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    std::fs::write(&crash_at, "action.recorded").unwrap();
    let id = order_one(&house, json!({"expiresIn": 4}));
    until("it crashed", || !crash_at.exists(), || house.log());
    house.kill();
    over(&house, &id);
    house.run();
    house.logged(&["settled: expired", &id]);
    assert_eq!(story(&house, &id), ["decision", "settled expired"]);
    assert_eq!((alarms(&house), &house.action(&id)["asked"]), ("[]".into(), &json!([])));
    house.assert_no_panic();
}

#[test]
fn an_approval_that_may_have_arrived_is_asked_for_after_its_time_and_unknown_where_the_backend_does_not_say() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    arm(&house, "put", json!({"drop": true}));
    let id = order_one(&house, json!({"expiresIn": 4}));
    house.wait("faultsFired=1");
    house.kill();
    over(&house, &id);
    house.control("DELETE", "/faults", None);
    house.run();
    house.logged(&["settled: unknown", &id]);
    assert_eq!(story(&house, &id), ["decision", "signed", "alarm", "settled unknown"]);
    assert!(alarms(&house).contains(&id), "{}", alarms(&house));
    let action = house.action(&id);
    assert_eq!((action["asked"].as_array().unwrap().len(), &action["refused"]), (1, &json!(1)), "{action}");
    house.assert_no_panic();
}
