//! What the API has beyond the Go agent's, before the whole house: lists, stories, explanations, decisions as they come, and answers
//! that may be asked for again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod decisions;
mod explain;
mod lists;
mod schemathesis;

use serde_json::Value;
use signing_agent_tests::House;

fn get(house: &House, path: &str) -> Value {
    let reply = house.ask("GET", path, "");
    assert_eq!(reply.status, 200, "{path}: {}", reply.json());
    reply.json()
}

fn ids(list: &Value) -> Vec<String> {
    let actions = list["actions"].as_array().unwrap();
    actions.iter().map(|action| action["actionID"].as_str().unwrap().to_owned()).collect()
}
