//! What the policy decides, and what nobody can let through.

use super::{approved_once, message, order_one, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};

const APPROVE_OPAQUE: &str =
    "[[rule]]\nname = \"everything\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";

#[test]
fn a_deny_rule_rejects_at_the_backend_and_the_partner_app_cannot_release_it() {
    let deny = "\n[[rule]]\nname = \"no withdrawals\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let house = House::registered(Settings::with_policy(&format!("{APPROVE_ALL}{deny}")));
    let denied = order_one(&house, json!({"kind": "withdraw"}));
    let approved = order_one(&house, json!({"kind": "transfer"}));
    // The feed says nothing of these: the bytes do.
    let silent = house.order(json!({"kind": "withdraw", "announce": false, "count": 2}));
    house.wait("approved=1&rejected=1");
    for id in [&denied, &silent[0]] {
        let reply = house.approve(id);
        assert_eq!(reply.status, 403, "{}", reply.json());
        assert!(reply.json()["Detail"].as_str().unwrap().contains("no withdrawals"), "{}", reply.json());
    }
    assert_eq!(house.reject(&silent[1]).status, 200);
    house.wait("rejected=3");
    for id in [&denied, &silent[0], &silent[1]] {
        let action = unsigned(&house, id);
        assert_eq!((&action["status"], &action["deletes"]), (&json!("rejected"), &json!(1)), "{action}");
    }
    assert_eq!(house.reject(&denied).status, 200, "it is what it asked for");
    approved_once(&house, &approved);
    house.assert_no_panic();
}

#[test]
fn an_iddoc_as_an_actions_message_is_never_signed_whatever_the_policy_and_whoever_asks() {
    for policy in [None, Some(APPROVE_ALL), Some(APPROVE_OPAQUE)] {
        let settings = Settings { policy: policy.map(str::to_owned), ..Settings::default() };
        let house = House::registered(settings);
        let (transfer, iddoc) = (message(&house, "transfer"), message(&house, "iddoc"));
        let mut ids = house.order(json!({"kind": "iddoc", "type": "ApproveTransfer"}));
        ids.extend(house.order(json!({"kind": "iddoc", "type": "ApproveWithdraw", "messageCount": 3})));
        for messages in [[&transfer, &iddoc], [&iddoc, &transfer]] {
            ids.extend(house.order(json!({"messages": messages})));
        }
        // A tolerant reader could take this for an IDDoc too: an unknown field behind it.
        ids.extend(house.order(json!({"messages": [format!("{iddoc}9a0600")]})));
        house.wait("rejected=5");
        let silent = house.order(json!({"kind": "iddoc", "announce": false}));
        for id in ids.iter().chain(&silent) {
            let reply = house.approve(id);
            assert_eq!(reply.status, 403, "{policy:?} {}", reply.json());
        }
        house.wait("rejected=6");
        for id in ids.iter().chain(&silent) {
            assert_eq!(unsigned(&house, id)["status"], "rejected");
        }
        assert_eq!(house.stats()["puts"], 0);
        house.assert_no_panic();
    }
}

#[test]
fn other_assets_and_opaque_bytes_are_held_for_a_person_under_a_policy_that_approves() {
    for (policy, junk_goes) in [(APPROVE_ALL, false), (APPROVE_OPAQUE, true)] {
        let house = House::registered(Settings::with_policy(policy));
        let kinds = ["group", "underlying", "keyvalue", "mpc", "opaque", "junk"];
        let mut held: Vec<String> = kinds.iter().map(|kind| order_one(&house, json!({"kind": kind}))).collect();
        // One bad among good: nothing is signed.
        let (transfer, group) = (message(&house, "transfer"), message(&house, "group"));
        held.extend(house.order(json!({"messages": [&transfer, &group, &transfer]})));
        // The wrong way round: what leaves is called a transfer inside, and what stays a withdrawal.
        held.extend(house.order(json!({"kind": "transfer", "type": "ApproveWithdraw"})));
        held.extend(house.order(json!({"kind": "transfer", "amount": -1})));
        let approved = order_one(&house, json!({"messageCount": 3}));
        if junk_goes {
            let junk = held.remove(5);
            house.wait("approved=2");
            approved_once(&house, &junk);
        }
        for id in &held {
            house.logged(&["held: ", id]);
        }
        house.wait("approved=1");
        approved_once(&house, &approved);
        for id in &held {
            assert_eq!(unsigned(&house, id)["status"], "pending", "{policy} {id}");
        }
        for id in &held {
            assert_eq!(house.approve(id).status, 200, "a person may: {}", house.action(id));
            approved_once(&house, id);
        }
        house.assert_no_panic();
    }
}

#[test]
fn what_was_rejected_is_not_approved_by_rule_under_another_id() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let bytes = message(&house, "transfer");
    let first = order_one(&house, json!({"messages": [&bytes], "announce": false}));
    assert_eq!(house.reject(&first).status, 200);
    let second = order_one(&house, json!({"messages": [&bytes]}));
    house.logged(&["held: ", &second, "another id"]);
    assert_eq!(unsigned(&house, &second)["status"], "pending");
    house.assert_no_panic();
}
