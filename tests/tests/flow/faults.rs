//! A backend that fails for a while: what policy approved is settled all the same, once.

use super::{alarms, approved_once, order_one, story, told};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn an_automatic_approval_outlives_every_passing_fault_and_is_made_once() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let faults = [
        json!({"status": 500}),
        json!({"status": 503, "body": "<html>away</html>"}),
        json!({"status": 429, "retryAfter": 1}),
        json!({"status": 401}),
        json!({"status": 408}),
        json!({"drop": true}),
        json!({"delayMs": 700}),
        json!({"delayMs": 300, "status": 502}),
    ];
    let mut ids = Vec::new();
    for endpoint in ["get", "put"] {
        for fault in &faults {
            house.fault(endpoint, fault.clone(), 1);
            ids.push(order_one(&house, json!({"messageCount": 2})));
            house.wait(&format!("settled={}&faultsFired={}", ids.len(), ids.len()));
        }
    }
    house.fault("get", json!({"garbage": true}), 1);
    ids.push(order_one(&house, json!({})));
    house.wait(&format!("settled={}&faultsFired={}", ids.len(), ids.len()));
    for id in &ids {
        approved_once(&house, id);
    }
    let stats = house.stats();
    assert_eq!((&stats["refusals"], &stats["repeatedPuts"]), (&json!([]), &json!(0)), "{stats}");
    house.assert_no_panic();
}

#[test]
fn a_put_whose_answer_is_lost_is_sent_again_the_same_and_counts_once() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    house.fault("put", json!({"dropAfter": true}), 5);
    let ids = house.order(json!({"count": 5, "messageCount": 2}));
    let stats = house.wait("approved=5&repeatedPuts=5");
    assert_eq!((&stats["settled"], &stats["refusals"]), (&json!(5), &json!([])), "{stats}");
    for id in &ids {
        let action = house.action(id);
        assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(2)), "{action}");
        assert_eq!(house.approve(id).status, 200);
        assert_eq!(house.reject(id).status, 409);
    }
    assert_eq!(house.stats()["puts"], 10, "an answer to the partner app needs no PUT more");
    house.assert_no_panic();
}

#[test]
fn a_retry_after_is_kept() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    house.fault("put", json!({"status": 429, "retryAfter": 2}), 1);
    let id = order_one(&house, json!({}));
    house.wait("settled=1");
    let took = house.action(&id)["tookUs"].as_u64().unwrap();
    assert!(took >= 2_000_000, "{took} µs");
    house.assert_no_panic();
}

#[test]
fn what_cannot_get_better_is_given_up_and_the_next_is_approved() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let mut given_up = Vec::new();
    for endpoint in ["get", "put"] {
        for status in [400, 403, 404, 409, 410] {
            house.fault(endpoint, json!({"status": status, "body": "never"}), 1);
            let id = order_one(&house, json!({}));
            house.logged(&["settled: failed", &id]);
            given_up.push(id);
        }
    }
    let id = order_one(&house, json!({}));
    house.wait("settled=1");
    approved_once(&house, &id);
    for id in &given_up {
        assert_eq!(house.action(id)["approvals"], 0);
        assert_eq!(told(&house.approve(id)), (409, "action has failed".into()));
    }
    house.assert_no_panic();
}

#[test]
fn a_partner_apps_word_is_recorded_even_if_the_backend_fails_just_then() {
    let house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 2, "announce": false}));
    house.fault("put", json!({"status": 500, "body": "not now"}), 1);
    let (status, detail) = told(&house.approve(&ids[0]));
    assert!(status == 502 && detail.contains("500") && detail.contains("not now"), "{status} {detail}");
    house.fault("delete", json!({"drop": true}), 1);
    assert_eq!(house.reject(&ids[1]).status, 502);
    // The word stands: neither can be turned, and both get there without being asked again.
    assert_eq!(house.reject(&ids[0]).status, 409);
    assert_eq!(house.approve(&ids[1]).status, 409);
    house.wait("approved=1&rejected=1");
    assert_eq!((house.approve(&ids[0]).status, house.reject(&ids[1]).status), (200, 200));
    approved_once(&house, &ids[0]);
    assert_eq!(house.action(&ids[1])["deletes"], 1);
    house.assert_no_panic();
}

#[test]
fn what_the_backend_will_not_say_after_a_lost_answer_is_unknown_and_alarmed_and_on_record() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    for status in [404, 409, 410] {
        house.fault("put", json!({"dropAfter": true}), 1);
        house.fault("put", json!({"status": status, "body": "never heard of it"}), 1);
        let id = order_one(&house, json!({}));
        house.logged(&["settled: unknown", &id]);
        let (kinds, alarms) = (story(&house, &id), alarms(&house));
        assert!(
            alarms.contains(&format!("{id}: whether the backend took it is not known; it says {status}")),
            "{alarms}"
        );
        assert_eq!(kinds, ["decision", "signed", "alarm", "settled unknown"]);
        let action = house.action(&id);
        assert_eq!((&action["approvals"], action["asked"].as_array().unwrap().len()), (&json!(1), 1), "{action}");
        assert_eq!(told(&house.approve(&id)).0, 409);
    }
    house.assert_no_panic();
}

#[test]
fn an_approval_ends_with_its_time_while_it_is_tried_and_says_what_is_known_of_it() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    // Nothing was done where the backend had too much, or asks for more time than there is; the other may have been heard.
    let faults = [
        (json!({"status": 429}), "expired"),
        (json!({"status": 408, "retryAfter": 3600}), "expired"),
        (json!({"drop": true}), "unknown"),
    ];
    for (fault, end) in faults {
        house.control("POST", "/faults", Some(json!({"endpoint": "put", "fault": fault})));
        let begun = Instant::now();
        let id = order_one(&house, json!({"expiresIn": 4}));
        house.logged(&["settled: ", end, &id]);
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?} for {fault}", begun.elapsed());
        assert_eq!(story(&house, &id).last().unwrap(), &format!("settled {end}"));
        assert_eq!(alarms(&house).contains(&id), end == "unknown", "{}", alarms(&house));
        house.control("DELETE", "/faults", None);
    }
    house.assert_no_panic();
}

#[test]
fn a_freeze_stops_a_signature_that_is_queued_already() {
    let house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 3}));
    ids.iter().for_each(|id| house.logged(&["held: ", id]));
    house.fault("put", json!({"status": 429, "retryAfter": 4}), 2);
    assert_eq!([house.approve(&ids[0]).status, house.approve(&ids[2]).status], [502, 502]);
    let log = house.log();
    assert!(log.contains("the backend has too much (429)"), "{log}");
    thread::scope(|scope| {
        let second = scope.spawn(|| house.approve(&ids[1]));
        until("it is signed", || story(&house, &ids[1]).contains(&"signed".to_owned()), || house.log());
        assert!(house.output(&["freeze"]).status.success());
        house.logged(&["not sent: the agent is frozen"]);
        assert_eq!(second.join().unwrap().status, 502);
    });
    assert_eq!(house.action(&ids[1])["asked"], json!([]), "it did not leave");
    assert!(house.output(&["unfreeze"]).status.success());
    house.wait("approved=3");
    ids.iter().for_each(|id| approved_once(&house, id));
    house.assert_no_panic();
}

#[test]
fn a_pass_that_is_not_believed_twice_raises_one_alarm_and_is_tried_on() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    for endpoint in ["get", "put"] {
        let so_far = house.stats()["approved"].as_u64().unwrap();
        let alarms = || house.log().matches("ALARM: the backend refuses this agent's passes (401)").count();
        house.control("POST", "/faults", Some(json!({"endpoint": endpoint, "fault": {"status": 401}})));
        house.order(json!({"count": 3}));
        house.logged(&["ALARM", "401", "clock"]);
        assert_eq!(alarms(), 1, "not one for each action");
        let status = house.output(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert!(status["alarms"][0].as_str().unwrap().contains("401"), "{status}");
        house.control("DELETE", "/faults", None);
        house.wait(&format!("approved={}", so_far + 3));
    }
    assert_eq!(house.stats()["refusals"], json!([]));
}

#[test]
fn what_waits_for_its_next_try_goes_on_when_the_feed_is_open_again() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    house.control("POST", "/faults", Some(json!({"endpoint": "put", "fault": {"status": 500}})));
    house.order(json!({"count": 20}));
    // By the fourth try the next one is up to eight seconds away.
    house.wait("faultsFired=80");
    house.control("DELETE", "/faults", None);
    house.control("POST", "/feed/drop", Some(json!({})));
    house.logged(&["the feed is open: what was unsettled goes on"]);
    house.wait("approved=20");
    assert_eq!(house.stats()["refusals"], json!([]));
}
