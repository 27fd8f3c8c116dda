//! A disk that is full, read-only, broken, or holds a torn ledger: nothing is signed that is not on record, and it is said why.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod failing;
mod full;
mod torn;

use serde_json::{Value, json};
use signing_agent_tests::{House, until};

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

fn trouble(house: &House) -> String {
    status(house)["trouble"].as_str().unwrap_or_default().to_owned()
}

/// The vault says by itself that something stands in the way; to whom asks, too.
fn until_it_says(house: &House, words: &str) {
    until(
        &format!("it says {words:?}"),
        || trouble(house).contains(words),
        || format!("{}\n{}", trouble(house), house.log()),
    );
    let ready = house.ask("GET", "/api/v1/healthcheck/ready", "");
    assert_eq!(ready.status, 503, "{}", ready.json());
    assert!(ready.json()["Reasons"][0].as_str().unwrap().contains(words), "{}", ready.json());
}

/// Nothing was signed meanwhile; afterwards all is, and the log is whole.
fn goes_on(house: &House, before: &Value, more: u64) {
    let approved = before["approved"].as_u64().unwrap() + more;
    let stats = house.wait(&format!("approved={approved}"));
    assert_eq!((&stats["refusals"], &stats["repeatedPuts"]), (&json!([]), &json!(0)), "{stats}");
    until("no trouble is left", || trouble(house).is_empty(), || format!("{}\n{}", trouble(house), house.log()));
    let path = house.dir.path().join("export");
    let _ = std::fs::remove_file(&path);
    let path = path.to_str().unwrap();
    assert!(house.output(&["audit", "export", "--output", path]).status.success());
    let verified = house.output(&["audit", "verify", path]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    house.assert_no_panic();
}
