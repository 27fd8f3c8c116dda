//! Velocity windows through the whole house: what is approved never exceeds them, whoever approves; and the clocks that they and
//! every approval rest on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod burst;
mod clock;

use serde_json::{Value, json};
use signing_agent_tests::{House, until};
use std::collections::HashMap;

/// Amounts are whole numbers here.
const RULE: &str = "[currencies]\nETH = { code = 4, decimals = 0 }\n\n\
                    [[rule]]\nname = \"transfers\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n";

/// A policy that approves transfers under a window of an hour; `more` are its lines.
fn policy(name: &str, more: &str) -> String {
    format!("{RULE}\n[[window]]\nname = \"{name}\"\nperiod = \"1h\"\n{more}\n")
}

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

fn until_actions(house: &House, state: &str, count: usize) {
    let are = || status(house)["actions"][state] == json!(count);
    until(&format!("{count} actions are {state}"), are, || format!("{}\n{}", status(house), house.log()));
}

/// The audit log, verified.
fn records(house: &House) -> Vec<Value> {
    let path = house.dir.path().join("export");
    let _ = std::fs::remove_file(&path);
    let file = path.to_str().unwrap();
    for arguments in [&["audit", "export", "--output", file][..], &["audit", "verify", file]] {
        let output = house.output(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The backend's actions by their ids.
fn at_the_backend(house: &House) -> HashMap<String, Value> {
    let all = house.control("GET", "/actions", None);
    let all = all["actions"].as_array().unwrap().clone();
    all.into_iter().map(|action| (action["id"].as_str().unwrap().to_owned(), action)).collect()
}
