//! What an operator does with a policy: replaces it, tries another one beside it, checks, tests, explains, replays.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod check;
mod explain;
mod reload;
mod replay;
mod shadow;
mod signed;
mod stale;

use serde_json::Value;
use signing_agent_tests::House;
use std::process::Output;

/// Everything is left to people.
const HOLD: &str = "[[rule]]\nname = \"people\"\nverdict = \"hold\"\n";
const DENY: &str = "[[rule]]\nname = \"nothing\"\nverdict = \"deny\"\n";

/// Exit code, stdout, stderr.
fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap()
}

/// The audit log's records, verified.
fn records(house: &House) -> Vec<Value> {
    let path = house.dir.path().join("export");
    let _ = std::fs::remove_file(&path);
    let path = path.to_str().unwrap();
    for arguments in [&["audit", "export", "--output", path][..], &["audit", "verify", path]] {
        let (code, _, words) = texts(&house.output(arguments));
        assert_eq!(code, Some(0), "{arguments:?} {words}");
    }
    let text = std::fs::read_to_string(path).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|record| record.get("kind").is_some()).collect()
}

fn of_kind(records: &[Value], kind: &str) -> Vec<Value> {
    records.iter().filter(|record| record["kind"] == kind).cloned().collect()
}
