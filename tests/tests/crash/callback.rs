//! Killed while somebody else is asked: it asks anew, and what was answered to the life before counts for nothing.

use crate::storm::{CALLBACK_POINTS, until_gone, until_well};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, Answered, Callback, House, Settings};
use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;

/// Each question is answered with the answer to the first about the action, but for a life's first question of it.
#[test]
fn killed_while_it_is_asked_for_a_second_opinion_it_asks_anew_and_no_older_answer_counts() {
    for point in CALLBACK_POINTS {
        let old = Mutex::new(None::<String>);
        let callback = Callback::start(move |asked| {
            if asked.action() != "once" {
                return asked.says("APPROVE");
            }
            let Answered::Jwt(answer) = asked.says("APPROVE") else { unreachable!() };
            Answered::Jwt(old.lock().unwrap().get_or_insert(answer).clone())
        });
        let settings = Settings { more: callback.section("retries = 0"), ..Settings::with_policy(APPROVE_ALL) };
        let mut house = House::empty(settings);
        let crash_at = house.dir.path().join("crash-at");
        house.settings.environment = vec![("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone())];
        assert!(house.output(&["init"]).status.success());
        house.run();
        assert_eq!(house.register("agent").status, 200);
        house.wait("feeds=1");
        fs::write(&crash_at, point).unwrap();
        let mut ids = house.order(json!({"count": 3}));
        until_gone(&house, &crash_at, point);
        until_well(&house);
        house.wait("approved=3");
        // The next that comes is killed too, and its first life's answer is all that its second one gets.
        if point == "callback.answered" {
            fs::write(&crash_at, point).unwrap();
            house.order(json!({"id": "once"}));
            until_gone(&house, &crash_at, point);
            house.logged(&["held: no second opinion", "once", "an old one, replayed"]);
            let action = house.action("once");
            assert_eq!((&action["status"], &action["approvals"]), (&json!("pending"), &json!(0)), "{action}");
        }
        ids.extend(house.order(json!({"count": 1})));
        house.wait("approved=4");
        // It was complained of meanwhile, which this has ended.
        until_well(&house);
        for id in &ids {
            let action = house.action(id);
            assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(1)), "{action}");
        }
        let asked = callback.asked();
        let nonces: HashSet<String> = asked.iter().map(|asked| asked.claims["jti"].to_string()).collect();
        assert_eq!(nonces.len(), asked.len(), "a nonce is never used twice");
        assert!(asked.len() > ids.len() || point == "callback.asked", "{}", asked.len());
        assert_eq!(house.stats()["refusals"], json!([]));
        house.assert_no_panic();
    }
}
