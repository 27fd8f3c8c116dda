//! A backup that is older than what the token, a witness or the operator remembers.

use super::{Backup, Recovery, approved, elsewhere, status};
use serde_json::json;
use signing_agent_tests::{House, Settings, until};
use std::fs;

#[test]
fn what_the_same_token_remembers_more_of_is_restored_only_where_that_is_accepted() {
    let recovery = Recovery::new();
    let mut house = House::registered(recovery.settings());
    let backup = Backup::of(&house, "one.age");
    approved(&house, &house);
    house.stop();
    // The disk is lost, the token is not.
    fs::remove_dir_all(house.state()).unwrap();
    let (code, _, said) = backup.restore(&house, &recovery, &[]);
    assert!(
        code == 1 && said.contains("older than what is remembered") && said.contains("--accept-rollback"),
        "{said}"
    );
    assert!(!house.state().join("deed.jws").exists());
    let (code, report, said) = backup.restore(&house, &recovery, &["--accept-rollback"]);
    assert_eq!((code, &report["key"]), (0, &json!(backup.key)), "the same audit key: {said}");
    assert!(report["rollback"].as_str().is_some_and(|words| words.contains("older than the token")), "{report}");
    house.run_unready();
    house.wait("feeds=1");
    assert_eq!(status(&house)["audit"]["frozen"], true);
    assert!(house.output(&["unfreeze"]).status.success());
    assert!(house.output(&["confirm-windows"]).status.success());
    approved(&house, &house);
}

#[test]
fn what_a_witness_or_the_operator_knows_more_of_is_restored_only_where_that_is_accepted() {
    let recovery = Recovery::new();
    let witness = tempfile::tempdir().unwrap();
    let more = format!("[audit]\nwitness_dir = {:?}\n", witness.path());
    let mut first = House::registered(Settings { more: more.clone(), ..recovery.settings() });
    let backup = Backup::of(&first, "one.age");
    approved(&first, &first);
    let newer = Backup::of(&first, "two.age");
    first.stop();
    let mut notes: Vec<_> = fs::read_dir(witness.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    notes.sort();
    let newest = notes.last().unwrap().to_str().unwrap();

    let told = elsewhere(&first, &recovery);
    let (code, _, said) = backup.restore(&told, &recovery, &["--newest", newest]);
    assert!(code == 1 && said.contains("the checkpoint that was given is of"), "{said}");
    let sees = House::empty(Settings { more, ..recovery.settings() });
    let (code, _, said) = backup.restore(&sees, &recovery, &[]);
    assert!(code == 1 && said.contains("has a checkpoint of"), "{said}");
    let (code, report, said) = newer.restore(&sees, &recovery, &[]);
    assert!(code == 0 && report["rollback"].is_null(), "the first machine did nothing more: {said}");
    // As under systemd, where the vault runs before there is anything.
    let mut accepted = elsewhere(&first, &recovery);
    accepted.run_unready();
    until("it answers", || status(&accepted).is_object(), || accepted.log());
    let (code, report, said) = backup.restore(&accepted, &recovery, &["--newest", newest, "--accept-rollback"]);
    assert!(code == 0 && report["rollback"].is_string(), "{said}");
    first.wait("feeds=1");
    assert_eq!(status(&accepted)["audit"]["frozen"], true);
    // One that the backup has itself says nothing against it.
    let within = notes.first().unwrap().to_str().unwrap();
    assert_eq!(backup.restore(&told, &recovery, &["--newest", within]).0, 0);
}
