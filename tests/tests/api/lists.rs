//! Lists of actions, and the story of one.

use super::{get, ids};
use serde_json::json;
use signing_agent_tests::{House, Settings, until};
use std::collections::BTreeSet;

/// Transfers are approved, withdrawals held, other currencies denied.
const POLICY: &str = "[currencies]\nETH = { code = 4, decimals = 18, addresses = \"any-case\" }\n\
                      [[rule]]\nname = \"inside\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n\
                      [[rule]]\nname = \"out\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\nrelease = \"client\"\n";

#[test]
fn actions_are_listed_by_status_and_page_by_page_and_each_has_its_story() {
    let house = House::registered(Settings::with_policy(POLICY));
    let approved: BTreeSet<String> = house.order(json!({"kind": "transfer", "count": 7})).into_iter().collect();
    let held: BTreeSet<String> = house.order(json!({"kind": "withdraw", "count": 5})).into_iter().collect();
    house.wait("approved=7");
    let count =
        |status: &str| get(&house, &format!("/api/v1/actions?status={status}"))["actions"].as_array().unwrap().len();
    until("all are settled or held", || (count("approved"), count("held")) == (7, 5), || house.log());
    // Page by page each comes once, and a filter gives what it says.
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&house, &format!("/api/v1/actions?limit=5{cursor}"));
        found.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let all: BTreeSet<String> = approved.union(&held).cloned().collect();
    assert_eq!((found.len(), found.iter().cloned().collect::<BTreeSet<_>>()), (12, all));
    let some = get(&house, "/api/v1/actions?status=held,seen&status=expired");
    assert_eq!(ids(&some).into_iter().collect::<BTreeSet<_>>(), held);
    assert_eq!(get(&house, "/api/v1/actions?since=2199-01-01T00:00:00Z")["actions"], json!([]));
    let first = &some["actions"][0];
    assert_eq!((&first["verdict"], &first["rule"], &first["decidedBy"]), (&json!("hold"), &json!("out"), &json!(null)));
    assert_eq!(first["type"], "ApproveWithdraw");
    assert!(first["summary"].as_str().unwrap().contains("currency"), "{first}");

    let story = get(&house, &format!("/api/v1/client/action/{}", approved.first().unwrap()));
    assert_eq!((&story["status"], &story["decidedBy"]), (&json!("approved"), &json!("policy")));
    let kinds: Vec<&str> =
        story["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["decision", "signed", "settled"]);
    assert_eq!((story["digests"].as_array().unwrap().len(), story["facts"].as_array().unwrap().len()), (1, 1));
    assert_eq!(story["policy"], get(&house, "/api/v1/policy")["hash"]);

    // What is held says what releases it; released, who did.
    let id = held.first().unwrap();
    let path = format!("/api/v1/client/action/{id}");
    assert_eq!(get(&house, &path)["release"], "any client");
    assert_eq!(house.approve(id).status, 200);
    let story = get(&house, &path);
    assert_eq!((&story["status"], &story["release"]), (&json!("approved"), &json!(null)));
    assert!(story["decidedBy"].as_str().unwrap().starts_with("client"), "{story}");
    assert_eq!(story["timeline"].as_array().unwrap().len(), 4, "held, released, signed, settled: {story}");
    let reply = house.ask("GET", "/api/v1/client/action/nothing", "");
    assert_eq!((reply.status, &reply.json()["Reason"]), (404, &json!("action-unknown")));
    house.assert_no_panic();
}

#[test]
fn the_policy_is_told_to_the_octet() {
    let house = House::registered(Settings::with_policy(POLICY));
    let told = get(&house, "/api/v1/policy");
    assert_eq!((&told["text"], &told["serial"]), (&json!(POLICY), &json!(null)));
    assert!(told["source"].as_str().unwrap().ends_with("policy.toml") && told["loaded"].is_u64(), "{told}");
    let house = House::registered(Settings::default());
    let told = get(&house, "/api/v1/policy");
    assert_eq!((&told["source"], &told["text"], &told["loaded"]), (&json!("none"), &json!(""), &json!(null)));
}
