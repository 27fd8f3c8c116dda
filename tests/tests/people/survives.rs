//! What was said stays said.

use crate::desk::{Desk, POLICY, refused};
use serde_json::json;
use signing_agent_tests::{House, Settings, call, until};
use std::fs;

#[test]
fn what_one_approver_said_before_a_restart_counts_after_it() {
    let mut desk = Desk::of(POLICY);
    let id = desk.held("withdraw");
    assert_eq!(desk.put(&id, &[desk.statement("alice", &id, &[])]).status, 202);
    desk.house.stop();
    desk.house.run();
    desk.house.wait("feeds=1");
    let again = desk.statement("alice", &id, &[]);
    assert_eq!(refused(&desk.put(&id, &[again])), (403, "statement-counted-already".into()));
    assert_eq!(desk.put(&id, &[desk.statement("bob", &id, &[])]).status, 200);
    assert_eq!(desk.by(&id), "approvers alice bob");
}

#[test]
fn a_vault_killed_between_two_approvers_has_the_first_ones_word_and_signs_once() {
    let (people, keys, mut settings) = Desk::staff(Settings::with_policy(POLICY));
    let crash_at = keys.path().join("crash-at");
    settings.environment = vec![("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone())];
    let desk = Desk { house: House::registered(settings), people, keys };
    let id = desk.held("withdraw");
    let (first, second) = (desk.statement("alice", &id, &[]), desk.statement("bob", &id, &[]));
    fs::write(&crash_at, "action.counted").unwrap();
    // Its answer is lost with the vault; what it was is on disk.
    let body = json!({ "statements": [first] }).to_string();
    let lost = call("PUT", &desk.house.url(&format!("/api/v1/client/action/{id}")), &[], body.as_bytes());
    assert!(lost.is_err() || lost.is_ok_and(|reply| reply.status == 503));
    until("the vault crashes there", || !crash_at.exists(), || desk.house.log());
    let ready = || {
        let Ok(address) = fs::read_to_string(desk.house.state().join("lanes/http")) else { return false };
        let url = format!("http://{}/api/v1/healthcheck/ready", address.trim());
        call("GET", &url, &[], b"").is_ok_and(|reply| reply.status == 200)
    };
    until("the agent is back", ready, || desk.house.log());
    let told = desk.put(&id, &[second]);
    assert_eq!((told.status, told.json()["status"].clone()), (200, json!("approved")), "{}", told.json());
    assert_eq!((desk.by(&id), desk.records("statement").len()), (json!("approvers alice bob"), 2));
    assert_eq!((desk.records("signed").len(), desk.house.action(&id)["approvals"].clone()), (1, json!(1)));
    desk.house.assert_no_panic();
}

#[test]
fn an_approver_whom_the_deed_does_not_name_any_more_does_not_count() {
    let mut desk = Desk::of(POLICY);
    let id = desk.held("withdraw");
    assert_eq!(desk.put(&id, &[desk.statement("alice", &id, &[])]).status, 202);
    let later = desk.statement("bob", &id, &[]);
    // She lost her key: another one takes its place.
    desk.house.stop();
    desk.people[0] = signing_agent_tests::Person::make(desk.keys.path(), "alice", "ecdsa");
    let lines: Vec<String> = desk.people.iter().map(signing_agent_tests::Person::line).collect();
    desk.house.settings.more = format!("[people]\napprovers = {}\n", json!(lines));
    desk.house.write_config();
    assert!(desk.says(&["init", "--amend"]).status.success());
    desk.house.run();
    desk.house.wait("feeds=1");
    let reply = desk.put(&id, &[later]);
    assert_eq!((reply.status, reply.json()["approvals"].clone()), (202, json!(1)), "{}", reply.json());
    assert_eq!(desk.put(&id, &[desk.statement("alice", &id, &[])]).status, 200);
}

#[test]
fn a_policy_that_wants_people_whom_the_deed_does_not_name_stops_the_vault_with_words() {
    let mut house = House::empty(Settings::with_policy(POLICY));
    let output = house.output(&["init"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("alice, bob, carol"), "{said}");
    house.run_unready();
    let status = || String::from_utf8_lossy(&house.output(&["status"]).stdout).into_owned();
    until("status says so", || status().contains("does not name: alice, bob, carol"), status);
}
