//! A wall clock that jumps holds everything until an operator confirms it, and refunds no window.

use super::{policy, records, status, until_actions};
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::fs;

/// The seams' variables (`config::seams`).
const CLOCKS: &str = "SIGNING_AGENT_TEST_CLOCKS";
const SPEED: &str = "SIGNING_AGENT_TEST_SPEED";

/// A registered house whose clocks can be moved.
fn house(policy: &str) -> House {
    let mut house = House::empty(Settings { log_level: "info", ..Settings::with_policy(policy) });
    house.settings.environment = vec![(CLOCKS, house.dir.path().join("clocks")), (SPEED, "10".into())];
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
    house.wait("feeds=1");
    house
}

/// So many seconds the wall clock, and the time since the boot, are ahead.
fn set(house: &House, wall: i64, boot: i64) {
    let (new, file) = (house.dir.path().join("clocks.new"), house.dir.path().join("clocks"));
    fs::write(&new, format!("{wall} {boot}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

fn transfer(house: &House) -> String {
    house.order(json!({"kind": "transfer", "amount": 1, "expiresIn": 86_400})).remove(0)
}

fn of_the_clock(house: &House) -> Vec<Value> {
    let kinds = ["clock-stepped", "clock-confirmed"];
    records(house).into_iter().filter(|record| kinds.iter().any(|kind| record["kind"] == *kind)).collect()
}

fn says_trouble(house: &House) -> bool {
    status(house)["trouble"].as_str().is_some_and(|words| words.contains("confirm-clock"))
}

#[test]
fn a_clock_that_jumps_holds_everything_until_an_operator_confirms_it() {
    for jump in [120, -120] {
        let mut house = house(&policy("many", "max_count = 1000"));
        // A minute's jump is none.
        set(&house, jump / 3, 0);
        transfer(&house);
        house.wait("approved=1");

        set(&house, jump, 0);
        let by_policy = transfer(&house);
        let by_people = house.order(json!({"kind": "withdraw"})).remove(0);
        until_actions(&house, "held", 2);
        for id in [&by_policy, &by_people] {
            let reply = house.approve(id);
            assert_eq!(reply.status, 503, "{}", reply.json());
            assert!(reply.json()["Detail"].as_str().unwrap().contains("confirm-clock"), "{}", reply.json());
        }
        until("the status says so", || says_trouble(&house), || house.log());
        assert_eq!(house.metric("signing_agent_clock_stepped"), Some(1.0));
        let health = house.ask("GET", "/api/v1/healthcheck/ready", "");
        assert_eq!(health.status, 503, "{}", health.json());
        assert!(health.json()["Reasons"].to_string().contains("the wall clock jumped"), "{}", health.json());

        // Neither a restart nor a clock that comes back makes it good.
        house.stop();
        set(&house, 0, 0);
        house.run_unready();
        house.wait("feeds=1");
        transfer(&house);
        until_actions(&house, "held", 3);
        assert!(says_trouble(&house), "{}", status(&house));
        assert_eq!((house.approve(&by_people).status, house.stats()["approved"].clone()), (503, json!(1)));
        let said = of_the_clock(&house);
        assert_eq!(said.len(), 1, "{said:?}");
        let number = |field: &str| said[0][field].as_i64().unwrap();
        let by = number("newOffset") - number("oldOffset");
        assert!((by - jump).abs() <= jump.abs() / 3 + 1 && by.signum() == jump.signum(), "{}", said[0]);

        // A rejection was never in question.
        let rejected = house.order(json!({"kind": "withdraw"})).remove(0);
        until_actions(&house, "held", 4);
        assert_eq!(house.reject(&rejected).status, 200);

        set(&house, jump, 0);
        let output = house.output(&["confirm-clock"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // What policy approves is approved now, and what it does not waits for people again.
        house.wait("approved=3");
        until_actions(&house, "held", 1);
        until("all is well", || status(&house)["trouble"] == Value::Null, || status(&house).to_string());
        assert_eq!(house.approve(&by_people).status, 200, "{}", house.log());
        let said = of_the_clock(&house);
        assert_eq!((said.len(), said[1]["kind"].as_str()), (2, Some("clock-confirmed")), "{said:?}");
        assert!(said[1]["by"].as_str().unwrap().starts_with("operator"), "{}", said[1]);
        let alarms = records(&house).into_iter().filter(|record| record["kind"] == "alarm").count();
        assert_eq!(alarms, 1, "it was an alarm, once");
        house.assert_no_panic();
    }
}

#[test]
fn a_forward_step_refunds_no_window_and_time_that_passes_does() {
    const HOURS: i64 = 2 * 60 * 60;
    let mut house = house(&policy("one", "max_count = 1"));
    transfer(&house);
    house.wait("approved=1");
    set(&house, HOURS, 0);
    let first = transfer(&house);
    until_actions(&house, "held", 1);
    assert!(house.output(&["confirm-clock"]).status.success());
    // Judged again, or it would take the room that time makes later.
    house.logged(&["held: window", &first]);
    let refused = |held: &str| {
        let reply = house.approve(held);
        reply.status == 429 && reply.json()["Detail"] == "window \"one\": all its 1 approvals are used"
    };
    let held = transfer(&house);
    until("it is held", || refused(&held), || house.log());
    // Nor does a restart under the new time.
    house.stop();
    house.run();
    house.wait("feeds=1");
    assert_eq!(house.approve(&held).status, 429);
    // Both clocks go on: that is time.
    set(&house, 2 * HOURS, HOURS);
    assert_eq!(house.approve(&held).status, 200, "{}", house.log());
    house.wait("approved=2");
    assert_eq!(of_the_clock(&house).len(), 2);
    house.assert_no_panic();
}

#[test]
fn a_clock_that_was_set_while_the_vault_was_away_is_noticed_at_its_start() {
    let mut house = house(&policy("many", "max_count = 1000"));
    for (round, wall) in [(1, 3600), (2, 0)] {
        house.stop();
        set(&house, wall, 0);
        house.run_unready();
        house.wait("feeds=1");
        assert!(says_trouble(&house), "{}", status(&house));
        transfer(&house);
        until_actions(&house, "held", 1);
        assert!(house.output(&["confirm-clock"]).status.success());
        house.wait(&format!("approved={round}"));
    }
    house.assert_no_panic();
}
