//! People: whose word counts is in the deed, and nowhere else.

use crate::{made, refused, stands_with_words, status};
use serde_json::json;
use signing_agent_tests::{House, Person, Settings};
use std::fs;

fn people(approvers: &[String]) -> String {
    format!("[people]\napprovers = {}\n", json!(approvers))
}

#[test]
fn other_people_stop_the_vault_until_the_deed_is_amended_and_that_is_on_record() {
    let mut house = House::registered(Settings::default());
    let [alice, other] = ["ed25519", "ecdsa"].map(|kind| Person::make(house.dir.path(), "alice", kind));
    let sealed = || fs::read(house.state().join("bls.age")).unwrap();
    let first = sealed();
    house.settings.more = people(&[alice.line()]);
    house.write_config();
    refused(&house, &["init", "--amend"], 1, &["[people] was changed", "restart it"]);
    house.stop();
    refused(&house, &["init"], 1, &["approver alice", "init --amend"]);
    stands_with_words(&mut house, "init --amend");
    let (said, _) = made(&house, &["init", "--amend"]);
    assert!(said.contains("deed amended"), "{said}");
    assert_eq!(fs::read(house.state().join("bls.age")).unwrap(), first, "the keys were sealed to the same before");
    assert_eq!(status(&house)["trouble"], json!(null));

    // A comment is no part of a key, and the order of names none of the deed.
    house.stop();
    house.settings.more = people(&[alice.line().replace("a comment", "another")]);
    house.write_config();
    house.run();
    // Another key under the same name is another person.
    house.stop();
    house.settings.more = people(&[other.line()]);
    house.write_config();
    stands_with_words(&mut house, "ecdsa-sha2-nistp256");
    house.stop();
    house.settings.more = people(&[alice.line()]);
    house.write_config();
    house.run();
    house.stop();
    house.settings.more.clear();
    house.write_config();
    stands_with_words(&mut house, "in the deed alone: approver alice");
    made(&house, &["init", "--amend"]);
    house.wait("feeds=1");

    let (export, _) = made(&house, &["audit", "export"]);
    let deeds: Vec<&str> = export.lines().filter(|line| line.contains(r#""kind":"deed""#)).collect();
    let named: Vec<bool> = deeds.iter().map(|line| line.contains(r#""alice":"ssh-ed25519 "#)).collect();
    assert_eq!(named, [false, true, false], "{deeds:?}");
}

#[test]
fn a_key_of_a_kind_that_is_not_taken_stops_init_with_words() {
    let house = House::empty(Settings::default());
    let mallory = Person::make(house.dir.path(), "mallory", "rsa");
    for (line, words) in [(mallory.line(), "RSA is not"), ("bob ssh-ed25519 AAAA".into(), "not an OpenSSH public key")]
    {
        let settings = Settings { more: people(&[line]), ..Settings::default() };
        let house = House::empty(settings);
        refused(&house, &["init"], 1, &["[people] approvers: ", words]);
        assert!(!house.state().join("deed.jws").exists(), "nothing was begun");
    }
}
