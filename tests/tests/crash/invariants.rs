//! What holds after any number of kills.

use crate::storm::{Expected, until_well};
use serde_json::{Value, json};
use signing_agent_tests::{House, until};
use std::collections::HashMap;

pub fn hold(house: &House, expected: &Expected) {
    until_well(house);
    let approved = |id: &&(String, bool)| id.1;
    let count = |wanted: bool| expected.decided.iter().filter(|decided| approved(decided) == wanted).count();
    let (approvals, rejections) = (expected.approved.len() + count(true), expected.rejected.len() + count(false));
    let settled = || {
        let stats = house.stats();
        stats["approved"].as_u64() >= Some(approvals as u64) && stats["rejected"].as_u64() >= Some(rejections as u64)
    };
    until("all is settled at the backend", settled, || format!("{}\n{}", house.stats(), house.log()));
    at_the_backend(house, expected, approvals, rejections);
    in_the_agent(house, approvals, rejections);
    in_the_audit_log(house, expected);
    no_orphans(house);
    one_more(house);
    let log = house.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Each came to the end that policy or the partner app gave it, once, and nothing contradicted it.
fn at_the_backend(house: &House, expected: &Expected, approvals: usize, rejections: usize) {
    let all = house.control("GET", "/actions", None);
    let all = all["actions"].as_array().unwrap();
    let by_id: HashMap<&str, &Value> = all.iter().map(|action| (action["id"].as_str().unwrap(), action)).collect();
    let decided = expected.decided.iter().map(|(id, approve)| (id, if *approve { "approved" } else { "rejected" }));
    let ends = (expected.approved.iter().map(|id| (id, "approved")))
        .chain(expected.rejected.iter().map(|id| (id, "rejected")))
        .chain(decided);
    for (id, end) in ends {
        let action = by_id[id.as_str()];
        assert_eq!(action["status"], end, "{action}");
        let signed = action["signatures"].as_array().unwrap().len();
        assert_eq!(signed, if end == "approved" { 1 } else { 0 }, "{action}");
    }
    let stats = house.stats();
    assert_eq!((&stats["approved"], &stats["rejected"]), (&json!(approvals), &json!(rejections)), "{stats}");
    // A rejection that is sent again after its answer was lost is the only thing that the backend may have refused: no
    // other signatures, no approval of what was rejected, no pass twice.
    for refusal in stats["refusals"].as_array().unwrap() {
        let again = refusal["endpoint"] == "delete" && refusal["why"] == "the action is rejected, not pending";
        assert!(again, "{refusal}");
    }
}

fn in_the_agent(house: &House, approvals: usize, rejections: usize) {
    let status =
        || -> Value { serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default() };
    let number = |status: &Value, state: &str| status["actions"][state].as_u64().unwrap_or(0) as usize;
    let agrees = || {
        let status = status();
        // Where a rejection's answer was lost with the vault, the backend does not say what became of it.
        number(&status, "approved") == approvals
            && number(&status, "rejected") + number(&status, "unknown") == rejections
    };
    until("the agent knows it too", agrees, || format!("{}\n{}", status(), house.log()));
    let status = status();
    assert_eq!(status["trouble"], Value::Null, "{status}");
    for state in ["seen", "held", "approving", "rejecting", "failed", "expired"] {
        assert_eq!(number(&status, state), 0, "{status}");
    }
}

/// It verifies, and tells of each approval one decision, one signing and one end, in this order.
fn in_the_audit_log(house: &House, expected: &Expected) {
    let path = house.dir.path().join("export");
    let file = path.to_str().unwrap();
    let output = house.output(&["audit", "export", "--output", file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = house.output(&["audit", "verify", file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut story: HashMap<String, Vec<String>> = HashMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (Some(kind), Some(action)) = (record["kind"].as_str(), record["action"].as_str()) else { continue };
        let word = match kind {
            "decision" => record["verdict"].as_str().unwrap().to_owned(),
            "settled" => record["end"].as_str().unwrap().to_owned(),
            "alarm" => continue,
            other => other.to_owned(),
        };
        story.entry(action.to_owned()).or_default().push(word);
    }
    for id in &expected.approved {
        assert_eq!(story[id], ["approve", "signed", "approved"], "{id}");
    }
    for id in &expected.rejected {
        assert!(story[id] == ["deny", "rejected"] || story[id] == ["deny", "unknown"], "{id}: {:?}", story[id]);
    }
    for (id, approve) in &expected.decided {
        let told: Vec<&str> = story[id].iter().map(String::as_str).filter(|word| *word != "hold").collect();
        match approve {
            true => assert_eq!(told, ["approve", "signed", "approved"], "{id}"),
            false => assert!(told == ["reject", "rejected"] || told == ["reject", "unknown"], "{id}: {told:?}"),
        }
    }
}

/// The keys of one registration and nothing that a crash left.
pub fn no_orphans(house: &House) {
    let mut names: Vec<String> =
        std::fs::read_dir(house.state()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("ledger.sqlite"));
    names.sort();
    assert_eq!(names, ["bls.age", "deed.jws", "lanes", "mpin.age", "vault.lock"]);
    let agents = house.control("GET", "/agents", None);
    let finished = agents.as_array().unwrap().iter().filter(|agent| agent["finished"] == true).count();
    assert_eq!(finished, 1, "{agents}");
}

pub fn one_more(house: &House) {
    let before = house.stats()["approved"].as_u64().unwrap();
    house.order(json!({"kind": "transfer"}));
    house.wait(&format!("approved={}", before + 1));
}
