//! `signing-agent rotate`: new keys and another PIN, killed at every step, and each change on record (docs/rotation.md).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod killed;

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

/// Exit code, stdout as JSON, stderr.
fn told(output: &Output) -> (i32, Value, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

fn says(house: &House, arguments: &[&str]) -> (i32, Value, String) {
    told(&house.output(&[&["--json"], arguments].concat()))
}

fn status(house: &House) -> Value {
    says(house, &["status"]).1
}

fn approves(house: &House) {
    house.wait("feeds=1");
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    until("it is approved", || house.action(&id)["status"] == "approved", || house.log());
}

/// The vault at work with this.
fn until_it_shows(house: &House, what: &str, key: &str) {
    until(
        &format!("{what} is {key}"),
        || status(house).to_string().contains(key) && status(house)["agent"].is_object(),
        || house.log(),
    );
}

fn export(house: &House, name: &str) -> PathBuf {
    let file = house.dir.path().join(name);
    let done = house.output(&["audit", "export", "--output", file.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    file
}

fn verifies(house: &House, export: &std::path::Path, key: &str) -> (i32, Value, String) {
    says(house, &["audit", "verify", export.to_str().unwrap(), "--public-key", key])
}

#[test]
fn a_new_sealing_key_opens_what_the_old_one_did_and_the_old_one_goes_on_demand_alone() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    let was = status(&house);
    let old_files = ["bls.age", "mpin.age"].map(|name| fs::read(house.state().join(name)).unwrap());
    let (code, report, said) = says(&house, &["rotate", "sealing-key"]);
    assert_eq!((code, &report["former"]), (0, &was["recipients"][0]), "{said}");
    let new = report["key"].as_str().unwrap().to_owned();
    until_it_shows(&house, "the recipient", &new);
    let now = status(&house);
    assert_eq!(now["recipients"][0], json!(new));
    for same in ["BLS", "identity (EC)", "audit (EC)"] {
        assert_eq!(now["fingerprints"][same], was["fingerprints"][same], "{same}");
    }
    assert_ne!(now["fingerprints"]["sealing (EC)"], was["fingerprints"]["sealing (EC)"]);
    approves(&house);
    let new_files = ["bls.age", "mpin.age"].map(|name| fs::read(house.state().join(name)).unwrap());
    assert!(old_files.iter().zip(&new_files).all(|(old, new)| old != new));

    let (code, report, said) = says(&house, &["rotate", "sealing-key", "--confirm"]);
    assert!(code == 0 && report["destroyed"] == 2, "{report} {said}");
    approves(&house);
    house.stop();
    house.run();
    approves(&house);
    // What was sealed to the key that is gone opens nowhere.
    house.stop();
    fs::write(house.state().join("bls.age"), &old_files[0]).unwrap();
    house.run_unready();
    until("it says so", || status(&house)["trouble"].to_string().contains("no matching key"), || house.log());
    let (code, report, _) = says(&house, &["rotate", "sealing-key", "--confirm"]);
    assert!(code == 1 && report.is_null(), "a vault in trouble destroys nothing");
}

#[test]
fn a_new_audit_key_is_vouched_for_by_the_old_one_and_whoever_knows_either_verifies_the_whole_log() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    let first = status(&house)["audit"]["key"].as_str().unwrap().to_owned();
    approves(&house);
    let mut keys = vec![first];
    for _ in 0..2 {
        let (code, report, said) = says(&house, &["rotate", "audit-key"]);
        assert_eq!((code, &report["former"]), (0, &json!(keys.last())), "{said}");
        let key = report["key"].as_str().unwrap().to_owned();
        until_it_shows(&house, "the audit key", &key);
        keys.push(key);
        approves(&house);
    }
    let (code, report, said) = says(&house, &["rotate", "audit-key", "--confirm"]);
    assert!(code == 0 && report["destroyed"] == 4, "{report} {said}");
    approves(&house);
    house.stop();
    house.run();
    approves(&house);
    let log = export(&house, "audit.jsonl");
    for key in &keys {
        let (code, good, said) = verifies(&house, &log, key);
        assert_eq!((code, good["names"].as_array().map(Vec::len)), (0, Some(3)), "{key}: {said}");
    }
    let stranger = House::start(Settings::default());
    let key = status(&stranger)["audit"]["key"].as_str().unwrap().to_owned();
    assert_eq!(verifies(&house, &log, &key).0, 1);
    // A record that is changed is found whichever of them is known.
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("\"kind\":\"rotation\"", "\"kind\":\"rotatiom\"", 1)).unwrap();
    assert!(keys.iter().all(|key| verifies(&house, &log, key).0 == 1));
    let id = house.state().join("deed.jws");
    assert!(id.exists());
}

#[test]
fn another_pin_is_taken_from_where_the_operator_puts_it_and_an_unfit_one_changes_nothing() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    let new = house.dir.path().join("new-pin");
    for (unfit, words) in [("", "4 to 255"), ("123", "4 to 255"), ("12345\n6", "control characters")] {
        fs::write(&new, unfit).unwrap();
        let (code, _, said) = says(&house, &["rotate", "pin", "--new-pin-file", new.to_str().unwrap()]);
        assert!(code == 1 && said.contains(words), "{unfit:?}: {said}");
    }
    fs::write(&new, "98765432\n").unwrap();
    let (code, _, said) = says(&house, &["rotate", "pin", "--new-pin-file", new.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    approves(&house);
    // The operator has not done their part yet: the old one is refused, once, and the words say what to do.
    house.stop();
    let old = fs::read(&house.token.pin_file).unwrap();
    house.run_unready();
    until("it says so", || status(&house)["trouble"].to_string().contains("PIN"), || house.log());
    house.stop();
    fs::write(&house.token.pin_file, "98765432\n").unwrap();
    let (code, _, said) = says(&house, &["init", "--try-pin-again"]);
    assert_eq!(code, 0, "{said}");
    house.run();
    approves(&house);
    assert!(!house.log().contains("98765432") && !house.log().contains(String::from_utf8_lossy(&old).trim()));
    let log = fs::read_to_string(export(&house, "audit.jsonl")).unwrap();
    assert!(log.contains("\"key\":\"pin\"") && !log.contains("98765432"));
}

#[test]
fn a_backup_of_a_rotated_agent_goes_on_with_the_same_token_and_with_another() {
    let recovery = age::x25519::Identity::generate();
    let settings =
        || Settings { recovery: vec![recovery.to_public().to_string()], ..Settings::with_policy(APPROVE_ALL) };
    let mut house = House::registered(settings());
    for key in ["sealing-key", "audit-key"] {
        let report = says(&house, &["rotate", key]).1;
        until_it_shows(&house, key, report["key"].as_str().unwrap());
        assert_eq!(says(&house, &["rotate", key, "--confirm"]).0, 0);
    }
    let (backup, identity) = (house.dir.path().join("b.age"), house.dir.path().join("recovery.txt"));
    fs::write(&identity, recovery.to_string().expose_secret()).unwrap();
    let made = says(&house, &["backup", "create", backup.to_str().unwrap()]).1;
    let key = made["key"].as_str().unwrap();
    let restore =
        ["backup", "restore", backup.to_str().unwrap(), "--identity", identity.to_str().unwrap(), "--public-key", key];
    house.stop();
    let other = House::empty(settings());
    let (code, report, said) = says(&other, &restore);
    assert!(code == 0 && report["key"] != json!(key), "{said}");
    fs::remove_dir_all(house.state()).unwrap();
    let (code, report, said) = says(&house, &[&restore[..], &["--accept-rollback"]].concat());
    assert_eq!((code, &report["key"]), (0, &json!(key)), "the same token, the same keys: {said}");
    house.run_unready();
    house.wait("feeds=1");
    assert!(house.output(&["unfreeze"]).status.success());
    approves(&house);
}
