//! What comes on the feed: events that are ours, events that are not, and what is no event.

use super::{approved_once, order_one, unsigned};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};

#[test]
fn what_is_expired_not_pending_or_another_agents_is_not_approved() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let mut not_ours = house.order(json!({"expiresIn": -1}));
    not_ours.extend(house.order(json!({"expiresIn": 0})));
    for status in ["approved", "rejected", "expired"] {
        not_ours.extend(house.order(json!({"status": status})));
    }
    not_ours.extend(house.order(json!({"coreClientID": "5zPWqLZaPqAaNewgqGZHsFcAMSWqDNRJj7iRd3MvLDYF"})));
    let ours = order_one(&house, json!({}));
    for id in &not_ours {
        house.logged(&["is not acted on", id]);
    }
    house.wait("approved=1");
    approved_once(&house, &ours);
    for id in &not_ours {
        assert_eq!(unsigned(&house, id)["gets"], 0, "not even fetched");
    }
    assert_eq!(house.stats()["refusals"], json!([]));
    house.assert_no_panic();
}

#[test]
fn an_event_that_comes_often_is_approved_once() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let ids = house.order(json!({"count": 10, "announceTimes": 5}));
    house.wait("approved=10");
    for id in &ids {
        house.control("POST", &format!("/actions/{id}/announce"), None);
    }
    let last = order_one(&house, json!({}));
    house.wait("approved=11");
    for id in ids.iter().chain([&last]) {
        approved_once(&house, id);
        assert_eq!(house.action(id)["gets"], 1);
    }
    assert_eq!(house.stats()["refusals"], json!([]));
    house.assert_no_panic();
}

#[test]
fn an_action_that_expires_while_it_is_held_is_not_approved_any_more() {
    let house = House::registered(Settings::default());
    let id = order_one(&house, json!({"expiresIn": 2}));
    house.logged(&["settled: expired", &id]);
    let reply = house.approve(&id);
    assert_eq!((reply.status, reply.json()["Detail"].as_str()), (409, Some("action has expired")));
    assert_eq!(unsigned(&house, &id)["status"], "expired");
    house.assert_no_panic();
}

#[test]
fn a_feed_that_breaks_off_is_opened_again_and_nothing_is_lost() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    for round in 1..=3 {
        house.control("POST", "/feed/drop", None);
        house.wait("feedsAtMost=0");
        let id = order_one(&house, json!({}));
        house.wait(&format!("approved={round}&feeds=1&feedConnections={}", round + 1));
        approved_once(&house, &id);
    }
    house.assert_no_panic();
}

#[test]
fn a_backend_that_will_not_open_the_feed_is_asked_again_until_it_does() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    for fault in [json!({"status": 503}), json!({"drop": true}), json!({"status": 401})] {
        house.fault("feed", fault, 1);
    }
    house.fault("feed", json!({"garbage": true}), 1);
    house.control("POST", "/feed/drop", None);
    house.wait("feedsAtMost=0");
    let id = order_one(&house, json!({}));
    house.wait("approved=1&feeds=1&faultsFired=4");
    approved_once(&house, &id);
    let stats = house.stats();
    assert_eq!(stats["refusals"], json!([]), "every attempt has a pass of its own: {stats}");
    house.assert_no_panic();
}

#[test]
fn garbage_on_the_feed_is_passed_over_and_the_next_action_is_approved() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let agent = house.ask("GET", "/api/v1/client", "").json()["agentID"].clone();
    let event = |changes: Value| {
        let mut event = json!({
            "id": "made-up", "coreClientID": agent, "type": "ApproveTransfer", "status": "pending",
            "timestamp": 1, "expireTime": 4_000_000_000u64,
        });
        let fields = event.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() { drop(fields.remove(name)) } else { drop(fields.insert(name.clone(), value.clone())) }
        }
        event.to_string()
    };
    let mut garbage: Vec<String> =
        ["", "{", "no JSON", "[]", "[[[[", "null", "true", "7", "1e999", "\"id\"", "{}", "\u{0}", "\u{feff}{}", "🦀"]
            .map(str::to_owned)
            .to_vec();
    garbage.push("[".repeat(60_000));
    garbage.push(format!("\"{}\"", "x".repeat(60_000)));
    let long = "x".repeat(50_000);
    for id in ["../init", "..", ".", "", " ", "a/b", "a?b", "a#b", "a%2Fb", "ä", "a\nb", "a\0b", long.as_str()] {
        garbage.push(event(json!({"id": id})));
    }
    for name in ["id", "coreClientID", "status", "expireTime"] {
        garbage.push(event(json!({name: null})));
        garbage.push(event(json!({name: []})));
        garbage.push(event(json!({name: {"a": 1}})));
        garbage.push(event(json!({name: true})));
    }
    garbage.push(event(json!({"expireTime": -1})));
    garbage.push(event(json!({"expireTime": 1.5})));
    garbage.push(event(json!({"expireTime": u64::MAX})));
    garbage.push(event(json!({"type": 5})));
    for (count, raw) in garbage.iter().enumerate() {
        house.control("POST", "/feed", Some(json!({"raw": raw})));
        let id = order_one(&house, json!({}));
        house.wait(&format!("approved={}", count + 1));
        approved_once(&house, &id);
    }
    let stats = house.stats();
    assert_eq!((&stats["feedConnections"], &stats["refusals"]), (&json!(1), &json!([])), "{stats}");

    // Binary messages, and one that is too long even to be heard, which may cost the connection.
    for raw in [json!({"raw": "00ff7b", "binary": true}), json!({"raw": "x".repeat(2 << 20)})] {
        house.control("POST", "/feed", Some(raw));
        let id = order_one(&house, json!({}));
        house.wait(&format!("approved={}&feeds=1", house.stats()["approved"].as_u64().unwrap().max(1)));
        house.logged(&["settled: approved", &id]);
        approved_once(&house, &id);
    }

    // Fields that are not known, and a type that is not, are no garbage.
    let silent = house.order(json!({"count": 3, "announce": false}));
    house.control("POST", "/feed", Some(json!({"raw": event(json!({"id": silent[0], "more": {"a": [1]}}))})));
    house.control("POST", "/feed", Some(json!({"raw": event(json!({"id": silent[1], "type": "ApproveOther"}))})));
    house.control("POST", "/feed", Some(json!({"raw": event(json!({"id": silent[2], "type": null}))})));
    house.logged(&["settled: approved", &silent[0]]);
    house.logged(&["settled: approved", &silent[2]]);
    house.logged(&["held: ", &silent[1]]);
    // An event of an action that the backend then does not know.
    house.control("POST", "/feed", Some(json!({"raw": event(json!({"id": "made-up"}))})));
    house.logged(&["settled: failed", "made-up"]);
    house.assert_no_panic();
}

#[test]
fn the_state_of_the_feed_is_seen_while_it_is_away_and_when_it_is_back() {
    let house = House::registered(Settings::default());
    let ready_state = || house.ask("GET", "/api/v1/healthcheck/status", "").json()["WebSocket"]["ReadyState"].clone();
    let status = || String::from_utf8(house.output(&["status"]).stdout).unwrap();
    until("the feed is seen to be open", || ready_state() == "OPEN", || house.log());
    house.control("POST", "/faults", Some(json!({"endpoint": "feed", "fault": {"status": 503}})));
    house.control("POST", "/feed/drop", None);
    until("the feed is seen to be away", || ready_state() != "OPEN", || house.log());
    until("and the operator told why", || status().contains("503"), status);
    house.control("DELETE", "/faults", None);
    house.wait("feeds=1");
    until("the feed is seen to be back", || ready_state() == "OPEN", || house.log());
    house.assert_no_panic();
}
