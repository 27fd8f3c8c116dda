//! One thing at a time.

use crate::{POLICY, SPEED, health, peaks, rooms};
use custody_simulator::Door;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{House, Settings, until};
use std::time::{Duration, Instant};

/// How many times faster the agent's waits go by.
const TIMES: u32 = 20;

fn house() -> House {
    let environment = vec![(SPEED, TIMES.to_string().into())];
    House::registered(Settings { environment, log_level: "info", ..Settings::with_policy(POLICY) })
}

/// Creates an action that no feed names yet; its id and messages.
fn unannounced(house: &House, kind: &str) -> (String, Value) {
    let created = house.control("POST", "/actions", Some(json!({"kind": kind, "announce": false})));
    let action = &created["actions"][0];
    (action["id"].as_str().unwrap().to_owned(), action["messages"].clone())
}

fn announce(house: &House, id: &str) {
    house.control("POST", &format!("/actions/{id}/announce"), None);
}

fn change(house: &House, id: &str, messages: &Value) {
    let changed = house.control("POST", &format!("/actions/{id}/messages"), Some(json!({"messages": messages})));
    assert_eq!(changed["changed"], true);
}

/// Digests of what the audit log says was signed for this action.
fn signed(house: &House, id: &str) -> Vec<String> {
    let path = house.dir.path().join(format!("export-{id}"));
    let exported = house.output(&["audit", "export", "--output", path.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let signed = records.filter(|record| record["kind"] == "signed" && record["action"] == id);
    signed
        .flat_map(|record| record["messages"].as_array().unwrap().clone())
        .map(|d| d.as_str().unwrap().into())
        .collect()
}

fn digest(messages: &Value) -> String {
    hex::encode(Sha256::digest(hex::decode(messages[0].as_str().unwrap()).unwrap()))
}

#[test]
fn a_feed_that_does_not_answer_any_more_is_left_for_another_and_nothing_is_lost() {
    let house = house();
    let before = rooms(&house);
    for round in 1..=2 {
        house.control("POST", "/feed/stall", None);
        let begun = Instant::now();
        let id = house.order(json!({})).remove(0);
        house.wait(&format!("approved={round}&feedConnections={}", round + 1));
        let took = begun.elapsed() * TIMES;
        println!("a feed that was silent was left and another opened after {took:.0?} of the agent's time");
        // Silence is a minute, and the first wait a quarter of a second; the rest is the machine's.
        assert!(took > Duration::from_secs(40) && took < Duration::from_secs(300), "{took:?}");
        assert_eq!(house.action(&id)["status"], "approved");
    }
    assert_eq!(rooms(&house), before);
    assert_eq!(house.stats()["refusals"], json!([]));
    house.assert_no_panic();
}

#[test]
fn a_port_that_takes_connections_and_never_answers_holds_nothing_up_for_ever() {
    let house = house();
    let before = rooms(&house);
    house.simulator.stand(Door::Mute).unwrap();
    let ids = house.order(json!({"count": 100}));
    until("health says that the feed is down", || health(&house)["WebSocket"]["ReadyState"] != "OPEN", || house.log());
    // Each connection is given up by its own time: others come after it.
    until("more than one connection is tried", || house.simulator.knocks() > 3, || house.log());
    house.simulator.stand(Door::Open).unwrap();
    house.wait(&format!("approved={}", ids.len()));
    assert_eq!(rooms(&house), before);
    assert_eq!(house.stats()["refusals"], json!([]));
    house.assert_no_panic();
}

#[test]
fn a_hundred_megabytes_are_not_taken_in_whoever_sends_them() {
    let house = house();
    let before = rooms(&house);
    house.order(json!({}));
    house.wait("approved=1");
    let small: u64 = peaks(&before).iter().map(|(_, peak)| peak).sum();
    for endpoint in ["get", "put", "feed"] {
        for chunked in [false, true] {
            let fault = json!({"megabytes": 100, "chunked": chunked});
            house.fault(endpoint, fault, 4);
        }
    }
    let ids = house.order(json!({"count": 8}));
    house.wait("approved=9&faultsFired=16");
    house.control("POST", "/feed/drop", None);
    house.wait("feedConnections=2&faultsFired=24");
    for round in 0..5 {
        house.control("POST", "/feed", Some(json!({"megabytes": 100})));
        house.wait(&format!("feedConnections={}&feeds=1&feedsAtMost=1", round + 3));
    }
    assert!(ids.iter().all(|id| house.action(id)["approvals"] == 1));
    let peaks = peaks(&before);
    let sum: u64 = peaks.iter().map(|(_, peak)| peak).sum();
    println!("29 times 100 MB: peak memory of the rooms {small} KiB before and {sum} KiB after: {peaks:?}");
    // A reply is taken up to one megabyte, and several are on their way at once.
    assert!(sum < small + (60 << 10), "{small} KiB, then {sum} KiB");
    assert_eq!(rooms(&house), before);
    house.assert_no_panic();
}

#[test]
fn an_actions_first_bytes_are_its_bytes_whatever_the_backend_says_later() {
    let house = house();
    // Held, and changed before the partner app says its word.
    for approve in [true, false] {
        let ((id, first), (_, other)) = (unannounced(&house, "opaque"), unannounced(&house, "transfer"));
        announce(&house, &id);
        house.logged(&["held: ", &id]);
        change(&house, &id, &other);
        announce(&house, &id);
        let reply = if approve { house.approve(&id) } else { house.reject(&id) };
        let action = house.action(&id);
        if approve {
            assert_ne!(reply.status, 200, "{}", reply.json());
            assert_eq!((&action["status"], signed(&house, &id)), (&json!("pending"), vec![digest(&first)]));
        } else {
            assert_eq!((&action["status"], signed(&house, &id)), (&json!("rejected"), vec![]));
        }
        assert_eq!(action["asked"].as_array().unwrap().len(), 1, "{action}");
    }
    // Approved, and changed before the approval arrives: the same signatures come again, and no others.
    let ((id, first), (_, other)) = (unannounced(&house, "transfer"), unannounced(&house, "transfer"));
    house.fault("put", json!({"status": 503}), 3);
    announce(&house, &id);
    house.wait("faultsFired=1");
    change(&house, &id, &other);
    house.logged(&["settled: ", &id]);
    let action = house.action(&id);
    assert_eq!((&action["status"], action["asked"].as_array().unwrap().len()), (&json!("pending"), 1), "{action}");
    assert_eq!(signed(&house, &id), [digest(&first)]);
    // What never arrived is nothing: the bytes that arrive first are judged, and these no rule approves as what they are
    // said to be.
    let ((id, _), (_, other)) = (unannounced(&house, "transfer"), unannounced(&house, "withdraw"));
    house.fault("get", json!({"dropAfter": true}), 1);
    house.control("POST", "/faults", Some(json!({"endpoint": "get", "fault": {"status": 503}})));
    announce(&house, &id);
    house.wait("faultsFired=5");
    assert_eq!(house.action(&id)["gets"], 1);
    change(&house, &id, &other);
    house.control("DELETE", "/faults", None);
    let judged = || house.log().lines().any(|l| l.contains(&id) && (l.contains("held: ") || l.contains("denied: ")));
    until("it is judged", judged, || house.log());
    let action = house.action(&id);
    assert_eq!(
        (&action["gets"], &action["approvals"], signed(&house, &id)),
        (&json!(2), &json!(0), vec![]),
        "{action}"
    );
    house.assert_no_panic();
}

#[test]
fn an_event_that_changes_its_mind_changes_nothing() {
    let house = house();
    let agent = house.ask("GET", "/api/v1/client", "").json()["agentID"].clone();
    let say = |id: &str, kind: &str, status: &str, expires: u64| {
        let event = json!({
            "id": id, "coreClientID": agent, "type": kind, "status": status, "timestamp": 1, "expireTime": expires,
        });
        house.control("POST", "/feed", Some(json!({"raw": event.to_string()})));
    };
    const LATER: u64 = 4_000_000_000;
    // Held by what it was first said to be; no later event releases it, ends it or gives it more time.
    let (id, _) = unannounced(&house, "transfer");
    say(&id, "ApproveOther", "pending", LATER);
    house.logged(&["held: ", &id]);
    for (kind, status, expires) in [
        ("ApproveTransfer", "pending", LATER),
        ("ApproveTransfer", "approved", LATER),
        ("ApproveTransfer", "rejected", LATER),
        ("ApproveTransfer", "pending", 1),
        ("ApproveWithdraw", "pending", LATER + 1),
    ] {
        say(&id, kind, status, expires);
    }
    let settled = house.order(json!({})).remove(0);
    house.logged(&["settled: approved", &settled]);
    let action = house.action(&id);
    assert_eq!(
        (&action["status"], &action["asked"], &action["gets"]),
        (&json!("pending"), &json!([]), &json!(1)),
        "{action}"
    );
    // Settled, and announced again as everything else.
    for kind in ["ApproveTransfer", "ApproveWithdraw"] {
        say(&settled, kind, "pending", LATER);
    }
    // A foreign agent's claim on an id of ours is passed over, also before ours comes.
    let (ours, _) = unannounced(&house, "transfer");
    let stranger = json!({"id": ours, "coreClientID": "5zPWqLZaPqAaNewgqGZHsFcAMSWqDNRJj7iRd3MvLDYF",
        "type": "ApproveWithdraw", "status": "pending", "timestamp": 1, "expireTime": LATER});
    house.control("POST", "/feed", Some(json!({"raw": stranger.to_string()})));
    announce(&house, &ours);
    house.logged(&["settled: approved", &ours]);
    assert_eq!((&house.action(&settled)["asked"][1], &house.action(&settled)["gets"]), (&Value::Null, &json!(1)));
    assert_eq!(house.approve(&id).status, 200, "the partner app's word still counts");
    assert_eq!(house.stats()["refusals"], json!([]));
    house.assert_no_panic();
}
