//! Registration and approval, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod burst;
mod decisions;
mod faults;
mod feed;
mod policy;
mod relay;
mod restart;

use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings};

#[test]
fn an_agent_registers_and_approves_by_policy_with_signatures_that_the_backend_verifies() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let mut ids = house.order(json!({"kind": "transfer", "count": 3}));
    ids.extend(house.order(json!({"kind": "withdraw", "count": 2, "messageCount": 2})));
    let stats = house.wait("settled=5");
    for id in ids {
        approved_once(&house, &id);
    }
    assert_eq!(stats["refusals"], json!([]), "{stats}");
    house.assert_no_panic();
}

/// The backend took one approval of it, with a signature for each message.
fn approved_once(house: &House, id: &str) {
    let action = house.action(id);
    assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(1)), "{action}");
    let count = |field: &str| action[field].as_array().unwrap().len();
    assert_eq!(count("signatures"), count("messages"), "{action}");
}

/// The backend never saw a signature for it.
fn unsigned(house: &House, id: &str) -> Value {
    let action = house.action(id);
    assert_eq!((&action["approvals"], &action["signatures"]), (&json!(0), &json!([])), "{action}");
    assert_eq!(house.stats()["puts"], house.stats()["approved"], "no other PUT was accepted");
    action
}

/// What the audit log says of an action: the kinds of its records, and its end; but for errands.
fn story(house: &House, id: &str) -> Vec<String> {
    let path = house.dir.path().join(format!("export-{id}"));
    let _ = std::fs::remove_file(&path);
    let exported = house.output(&["audit", "export", "--output", path.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let kind = |record: Value| match record["end"].as_str() {
        Some(end) => format!("settled {end}"),
        None => record["kind"].as_str().unwrap().to_owned(),
    };
    records.filter(|record| record["action"] == id).map(kind).collect()
}

/// What `status` says that a person should look at.
fn alarms(house: &House) -> String {
    let status: Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
    status["alarms"].to_string()
}

/// Orders one action; its id.
fn order_one(house: &House, order: Value) -> String {
    house.order(order).remove(0)
}

/// A message of some kind that no feed has named.
fn message(house: &House, kind: &str) -> String {
    let created = house.control("POST", "/actions", Some(json!({"kind": kind, "announce": false})));
    created["actions"][0]["messages"][0].as_str().unwrap().to_owned()
}

/// What a partner app is told: the status, and the body's Detail where it is an error.
fn told(reply: &signing_agent_tests::Reply) -> (u16, String) {
    (reply.status, reply.json()["Detail"].as_str().unwrap_or_default().to_owned())
}
