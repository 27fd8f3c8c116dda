//! Killed at each step of a registration: registered again it is one agent, with its keys and no others.

use crate::invariants::{no_orphans, one_more};
use crate::storm::{FORGETTING_POINTS, REGISTRATION_POINTS, house, until_gone, until_well};
use serde_json::json;
use signing_agent_tests::{call, until};
use std::fs;

/// How many kills there were.
pub fn killed_at_each_point() -> u64 {
    let points: Vec<_> = REGISTRATION_POINTS.into_iter().chain(FORGETTING_POINTS).collect();
    for point in &points {
        let (mut house, crash_at) = house();
        if FORGETTING_POINTS.contains(point) {
            house.fault("finish", json!({"status": 400}), 1);
        }
        fs::write(&crash_at, point).unwrap();
        let partner = house.partner();
        let body =
            json!({"name": "agent", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
        let register = || {
            let address = fs::read_to_string(house.state().join("lanes/http")).ok()?;
            let url = format!("http://{}/api/v1/register", address.trim());
            call("POST", &url, &[], body.to_string().as_bytes()).ok()
        };
        // Its answer is lost with the vault.
        let lost = register();
        assert!(lost.is_none_or(|reply| reply.status != 200), "{point}");
        until_gone(&house, &crash_at, point);
        let registered = || match register() {
            Some(reply) if reply.status == 200 => true,
            Some(reply) => reply.status == 400 && reply.json()["Detail"].to_string().contains("already exist"),
            None => false,
        };
        until(&format!("registered after {point}"), registered, || house.log());
        house.wait("feeds=1");
        until_well(&house);
        no_orphans(&house);
        one_more(&house);
        let stats = house.stats();
        assert_eq!(stats["refusals"], json!([]), "{point}: {stats}");
        house.assert_no_panic();
    }
    points.len() as u64
}

#[test]
fn killed_at_each_step_of_a_registration_there_is_one_agent_with_one_set_of_keys() {
    killed_at_each_point();
}
