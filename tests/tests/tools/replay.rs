//! `policy replay`: over a real ledger.

use crate::texts;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings};

/// Transfers go, two of them an hour; withdrawals never.
const NEXT: &str = r#"
[[window]]
name = "two an hour"
period = "1h"
max_count = 2
[[rule]]
name = "inside"
verdict = "approve"
action_types = ["ApproveTransfer"]
unlimited = true
[[rule]]
name = "outside"
verdict = "deny"
action_types = ["ApproveWithdraw"]
"#;

#[test]
fn a_replay_tells_which_decisions_would_change_and_changes_none() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let transfers = house.order(json!({"count": 4}));
    house.wait("approved=4");
    let withdrawals = house.order(json!({"kind": "withdraw", "count": 2}));
    let held = house.order(json!({"kind": "group"})).remove(0);
    house.logged(&["held: ", &held]);
    house.wait("approved=6");
    let next = house.dir.path().join("next.toml");
    std::fs::write(&next, NEXT).unwrap();
    let next = next.to_str().unwrap();
    let (code, out, err) = texts(&house.output(&["policy", "replay", "--since", "1h", next, "--json"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["judged"], &told["withoutMessages"]), (&json!(7), &json!(0)), "{told}");
    assert_eq!(told["counts"], json!({ "approve to deny": 2, "approve to hold": 2 }), "{told}");
    let changes = told["changes"].as_array().unwrap();
    let of = |ids: &[String], verdict: &str| {
        let mine = changes.iter().filter(|change| ids.iter().any(|id| change["action"] == id.as_str()));
        mine.filter(|change| change["now"]["verdict"] == verdict && change["then"]["rule"] == "everything").count()
    };
    assert_eq!((of(&transfers, "hold"), of(&withdrawals, "deny"), changes.len()), (2, 2, 4), "{told}");
    assert!(changes.iter().any(|change| change["now"]["why"].as_str().unwrap().contains("two an hour")), "{told}");
    let (_, out, _) = texts(&house.output(&["policy", "replay", next]));
    assert!(out.contains("over 7 actions") && out.contains("4 decisions would change"), "{out}");
    assert!(out.contains("approve (everything) -> deny (outside): ") && out.contains("Not known: "), "{out}");
    // Nothing is as old as that; and the agent is as it was.
    let (_, out, _) = texts(&house.output(&["policy", "replay", "--since", "2100-01-01T00:00:00Z", next]));
    assert!(out.contains("over 0 actions"), "{out}");
    house.order(json!({"kind": "withdraw"}));
    house.wait("approved=7");
    let (code, _, err) = texts(&house.output(&["policy", "replay", "--since", "yesterday", next]));
    assert!(code == Some(1) && err.contains("--since"), "{err}");
}

#[test]
fn a_replay_of_more_than_a_page_sees_each_action_once() {
    let settings = Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) };
    let house = House::registered(settings);
    house.order(json!({"count": 1100}));
    house.wait("approved=1100");
    let next = house.dir.path().join("next.toml");
    std::fs::write(&next, crate::DENY).unwrap();
    let (code, out, err) = texts(&house.output(&["policy", "replay", next.to_str().unwrap(), "--json"]));
    assert_eq!(code, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let mut ids: Vec<_> =
        told["changes"].as_array().unwrap().iter().map(|change| change["action"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((&told["judged"], ids.len()), (&json!(1100), 1100));
}
