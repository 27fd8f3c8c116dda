//! Keys: who can open what is sealed, and that none is left over.

use crate::{made, private_keys, refused, stands_with_words, status};
use age::x25519::Identity;
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::fs;

fn opens(house: &House, key: &Identity) -> bool {
    let opened = ["bls.age", "mpin.age"].map(|name| {
        let sealed = fs::read(house.state().join(name)).unwrap();
        age::decrypt(key, &sealed).is_ok()
    });
    assert_eq!(opened[0], opened[1]);
    opened[0]
}

#[test]
fn other_recovery_recipients_stop_the_vault_until_the_deed_is_amended() {
    let (old, new) = (Identity::generate(), Identity::generate());
    let mut settings = Settings::with_policy(APPROVE_ALL);
    settings.recovery = vec![old.to_public().to_string()];
    let mut house = House::registered(settings);
    assert!(opens(&house, &old) && !opens(&house, &new));
    let agent = status(&house)["agent"]["agentID"].clone();
    let (said, _) = made(&house, &["init", "--amend"]);
    assert!(!said.contains("amended"), "there was nothing to amend: {said}");

    house.settings.recovery = vec![new.to_public().to_string()];
    house.write_config();
    refused(&house, &["init", "--amend"], 1, &["restart it"]);
    house.stop();
    refused(&house, &["init"], 1, &["init --amend"]);
    stands_with_words(&mut house, "init --amend");
    assert!(opens(&house, &old) && !opens(&house, &new), "nothing is sealed anew unasked");
    let (said, warnings) = made(&house, &["init", "--amend"]);
    assert!(said.contains("deed amended") && !warnings.contains("recovery_recipients"), "{said}{warnings}");
    assert!(opens(&house, &new) && !opens(&house, &old), "the old key opens nothing that is sealed now");
    let shown = status(&house);
    assert_eq!((&shown["trouble"], &shown["agent"]["agentID"]), (&json!(null), &agent), "{shown}");
    assert_eq!(shown["recipients"][1], json!(new.to_public().to_string()), "{shown}");

    house.stop();
    house.run();
    house.wait("feeds=1");
    house.order(json!({"kind": "transfer"}));
    house.wait("settled=1");
}

#[test]
fn an_amendment_without_a_running_vault_works_as_well() {
    let new = Identity::generate();
    let mut house = House::registered(Settings::default());
    house.stop();
    house.settings.recovery = vec![new.to_public().to_string()];
    house.write_config();
    made(&house, &["init", "--amend"]);
    assert!(opens(&house, &new));
    house.run();
    house.wait("feeds=1");
    assert_eq!(house.register("again").status, 400);
}

#[test]
fn failed_and_repeated_registrations_leave_three_keys_in_the_token_and_no_sealed_one() {
    let mut house = House::start(Settings::default());
    let sealed = |house: &House| ["bls.age", "mpin.age"].map(|name| house.state().join(name).exists());
    for (endpoint, fault) in [
        ("init", json!({"status": 500})),
        ("init", json!({"garbage": true})),
        ("init", json!({"reply": "mismatched-ids"})),
        ("init", json!({"reply": "bad-client-secret"})),
        ("finish", json!({"status": 400})),
    ] {
        house.fault(endpoint, fault.clone(), 1);
        let reply = house.register("agent");
        assert_eq!(reply.status, 502, "{fault}: {}\n{}", reply.json(), house.log());
        assert_eq!(sealed(&house), [false, false], "{fault}");
    }
    assert_eq!(private_keys(&house), 3);
    let reply = house.register("agent");
    assert_eq!(reply.status, 200, "{}\n{}", reply.json(), house.log());
    assert_eq!(house.register("agent").status, 400);
    assert_eq!(sealed(&house), [true, true]);
    made(&house, &["init"]);
    assert_eq!(private_keys(&house), 3);
}
