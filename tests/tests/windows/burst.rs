//! A thousand at once, and a partner app that wants more than there is.

use super::{at_the_backend, policy, records, until_actions};
use serde_json::json;
use signing_agent_tests::{House, Settings};
use std::collections::{BTreeMap, HashMap};
use std::thread;

/// Ids and amounts of so many transfers.
fn order(house: &House, amounts: &[(u64, u64)]) -> HashMap<String, u64> {
    let of = |(amount, count): &(u64, u64)| {
        let ids = house.order(json!({"kind": "transfer", "amount": amount, "count": count}));
        ids.into_iter().map(|id| (id, *amount)).collect::<Vec<_>>()
    };
    amounts.iter().flat_map(of).collect()
}

#[test]
fn a_thousand_at_once_are_approved_up_to_the_window_and_no_further() {
    const MOST: u64 = 2_000;
    let policy = policy("an hour's ETH", &format!("max_amount = \"{MOST} ETH\"\ncurrencies = [\"ETH\"]"));
    let house = House::registered(Settings { log_level: "info", ..Settings::with_policy(&policy) });
    let amounts = order(&house, &[(7, 300), (13, 400), (1, 20), (29, 280)]);
    // The partner app wants all of it at once, besides.
    let ids: Vec<&String> = amounts.keys().collect();
    let said = thread::scope(|scope| {
        let asked: Vec<_> = ids
            .chunks(250)
            .map(|ids| scope.spawn(|| ids.iter().map(|id| (id.as_str(), house.approve(id).status)).collect::<Vec<_>>()))
            .collect();
        asked.into_iter().flat_map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
    });
    let held = said.iter().filter(|(_, status)| *status == 429).count();
    until_actions(&house, "held", held);
    until_actions(&house, "approved", 1_000 - held);
    let actions = at_the_backend(&house);
    let mut approved = 0;
    for (id, status) in said {
        let action = &actions[id];
        let (is, signed) = (action["status"].as_str().unwrap(), action["signatures"].as_array().unwrap().len());
        match status {
            200 => {
                assert_eq!((is, signed), ("approved", 1), "{action}");
                approved += amounts[id];
            }
            429 => assert_eq!((is, signed), ("pending", 0), "{action}"),
            _ => panic!("{id}: {status}\n{}", house.log()),
        }
    }
    println!("{} of 1000 approved: {approved} of {MOST}", 1_000 - held);
    assert!(approved <= MOST, "{approved}");
    let smallest = amounts.iter().filter(|(id, _)| actions[*id]["status"] == "pending").map(|(_, amount)| amount).min();
    assert!(approved + smallest.unwrap() > MOST, "{approved} and {smallest:?}: there was room");
    assert_eq!(house.stats()["refusalsTotal"], 0, "{}", house.stats());

    let mut recorded = 0;
    for record in records(&house).iter().filter(|record| record["kind"] == "decision") {
        let id = record["action"].as_str().unwrap();
        match record["verdict"].as_str().unwrap() {
            "approve" => recorded += amounts[id],
            "hold" => assert!(record["why"].as_str().unwrap().contains("window \"an hour's ETH\""), "{record}"),
            other => panic!("{other}: {record}"),
        }
    }
    assert_eq!(recorded, approved, "the record is what happened");
    house.assert_no_panic();
}

#[test]
fn who_asks_for_more_than_a_window_has_is_told_which_and_may_still_reject() {
    let policy = policy("three", "max_count = 3\nper = \"destination\"");
    let house = House::registered(Settings::with_policy(&policy));
    let to = |destination: u8, count: u64| {
        let destination = hex::encode([destination; 32]);
        house.order(json!({"kind": "transfer", "count": count, "destination": destination}))
    };
    let mut all = BTreeMap::new();
    for destination in [1, 2] {
        all.insert(destination, to(destination, 4));
    }
    house.wait("approved=6");
    until_actions(&house, "held", 2);
    let actions = at_the_backend(&house);
    let held: Vec<String> = all
        .values()
        .map(|ids| {
            let held: Vec<_> = ids.iter().filter(|id| actions[*id]["status"] == "pending").collect();
            assert_eq!(held.len(), 1, "of each destination one");
            held[0].clone()
        })
        .collect();
    for _ in 0..3 {
        let reply = house.approve(&held[0]);
        assert_eq!(reply.status, 429, "{}", reply.json());
        assert_eq!(reply.json()["Detail"], "window \"three\": all its 3 approvals are used");
    }
    assert_eq!(house.reject(&held[0]).status, 200);
    // What was rejected, or came to any other end, gives nothing back; nor does a restart.
    let mut house = house;
    house.stop();
    house.run();
    house.wait("feeds=1");
    assert_eq!(house.approve(&held[1]).status, 429);
    let another = house.order(json!({"kind": "transfer", "destination": hex::encode([3u8; 32])}));
    house.wait("approved=7");
    assert_eq!(house.action(&another[0])["status"], "approved");
    house.assert_no_panic();
}

#[test]
fn a_window_that_was_renamed_knows_what_was_approved_under_its_old_name() {
    let lines = "max_amount = \"100 ETH\"\ncurrencies = [\"ETH\"]";
    let mut house = House::registered(Settings::with_policy(&policy("old", lines)));
    house.order(json!({"kind": "transfer", "amount": 60}));
    house.wait("approved=1");
    house.stop();
    house.settings.policy = Some(policy("new", lines));
    house.write_config();
    house.run();
    house.wait("feeds=1");
    let big = house.order(json!({"kind": "transfer", "amount": 41})).remove(0);
    until_actions(&house, "held", 1);
    let reply = house.approve(&big);
    assert_eq!(
        (reply.status, &reply.json()["Detail"]),
        (429, &json!("window \"new\": 60 of 100 are used, 41 more do not fit"))
    );
    house.order(json!({"kind": "transfer", "amount": 40}));
    house.wait("approved=2");
    house.assert_no_panic();
}
