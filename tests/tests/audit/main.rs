//! The audit log: what it says, who can check it, and that it cannot be changed unnoticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod rollback;
mod witness;

use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::path::{Path, PathBuf};

/// `signing-agent audit export`, and the key that it is verified with.
fn export(house: &House) -> (PathBuf, String) {
    let path = house.dir.path().join(format!("export-{}", house.log().len()));
    let output = house.output(&["audit", "export", "--output", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), house.log());
    (path, key(house))
}

fn key(house: &House) -> String {
    status(house)["audit"]["key"].as_str().expect("a key").to_owned()
}

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// Whether `signing-agent audit verify` takes it, and what it says.
fn verify(house: &House, path: &Path, key: &str) -> (bool, String) {
    let output = house.output(&["audit", "verify", path.to_str().unwrap(), "--public-key", key]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["checkpoint"].is_null()).collect()
}

#[test]
fn every_decision_and_outcome_is_on_record_with_who_what_and_why() {
    let deny = "\n[[rule]]\nname = \"no withdrawals\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let house = House::registered(Settings::with_policy(&format!("{APPROVE_ALL}{deny}")));
    let approved = house.order(json!({"kind": "transfer", "count": 3}));
    let denied = house.order(json!({"kind": "withdraw"}));
    let held = house.order(json!({"kind": "opaque"}));
    house.wait("approved=3&rejected=1");
    assert_eq!(house.reject(&held[0]).status, 200);
    let (path, key) = export(&house);
    let (good, said) = verify(&house, &path, &key);
    assert!(good, "{said}");

    let records = records(&path);
    let of = |id: &str, kind: &str| -> Vec<&Value> {
        records.iter().filter(|record| record["action"] == id && record["kind"] == kind).collect()
    };
    for id in &approved {
        let [decision] = of(id, "decision")[..] else { panic!("one decision on {id}") };
        assert_eq!((&decision["verdict"], &decision["by"]), (&json!("approve"), &json!("policy")), "{decision}");
        assert_eq!(decision["rule"], "everything");
        assert!(decision["facts"][0].as_str().unwrap().contains("transfer"), "{decision}");
        assert_eq!(decision["policy"].as_str().unwrap().len(), 64);
        let [signed] = of(id, "signed")[..] else { panic!("signed once: {id}") };
        assert_eq!(signed["messages"], decision["messages"]);
        let [settled] = of(id, "settled")[..] else { panic!("settled once: {id}") };
        assert_eq!(settled["end"], "approved");
        let numbers = [decision, signed, settled].map(|record| record["n"].as_u64().unwrap());
        assert!(numbers.is_sorted(), "in its order: {numbers:?}");
    }
    let [decision] = of(&denied[0], "decision")[..] else { panic!("one decision") };
    assert_eq!((&decision["verdict"], &decision["rule"]), (&json!("deny"), &json!("no withdrawals")));
    assert!(of(&denied[0], "signed").is_empty());
    let by: Vec<_> = of(&held[0], "decision").iter().map(|d| (d["verdict"].clone(), d["by"].clone())).collect();
    assert_eq!(by, [(json!("hold"), json!("policy")), (json!("reject"), json!("client"))]);
    let [_, rejected] = of(&held[0], "decision")[..] else { panic!("held, then rejected") };
    assert!(rejected["facts"][0].as_str().is_some_and(|facts| !facts.is_empty()), "{rejected}");
    assert!(rejected["policy"] == records[0]["policy"] && rejected["why"].is_string(), "{rejected}");
    assert_eq!(rejected["messages"].as_array().unwrap().len(), 1, "{rejected}");
    // The passes that left: a fetch and a submission each, and the feed's.
    let errand = |path: &str| records.iter().filter(|r| r["kind"] == "errand" && r["path"] == path).count();
    assert!(errand("feed") >= 1 && errand("init") == 1 && errand("finish") == 1);
    assert_eq!(errand(&format!("action/{}", approved[0])), 2);
    house.assert_no_panic();
}

#[test]
fn one_flipped_octet_in_any_record_of_an_export_is_found_and_the_record_is_named() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    house.order(json!({"kind": "transfer", "count": 5}));
    house.wait("approved=5");
    let (path, key) = export(&house);
    let whole = std::fs::read(&path).unwrap();
    assert!(verify(&house, &path, &key).0);
    let key = key.parse::<audit::VerifyingKey>().unwrap();
    let (mut start, mut flips) = (0, 0);
    for line in whole.split_inclusive(|octet| *octet == b'\n') {
        let named = serde_json::from_slice::<Value>(line).unwrap()["n"].as_u64();
        // Three places of each line: its beginning, its middle, its last octet before the newline.
        for place in [0, line.len() / 2, line.len() - 2] {
            let mut spoiled = whole.clone();
            spoiled[start + place] ^= 1;
            let fault = audit::export::verify(&spoiled[..], &key).expect_err("a flipped octet");
            if let Some(n) = named {
                assert_eq!(fault.place, audit::export::Place::Record(n), "{fault}");
            }
            flips += 1;
        }
        start += line.len();
    }
    println!("{flips} flips in {} records, each found", records(&path).len());
    // And once as the operator sees it.
    let mut spoiled = whole.clone();
    let place = whole.windows(8).position(|octets| octets == b"approved").unwrap();
    spoiled[place] = b'A';
    std::fs::write(&path, spoiled).unwrap();
    let (good, said) = verify(&house, &path, &key.to_string());
    assert!(!good && said.contains("record "), "{said}");
}

#[test]
fn checkpoints_go_to_the_journal_and_another_key_is_refused() {
    let settings = Settings { more: "[audit]\ncheckpoint_seconds = 1\n".into(), ..Settings::with_policy(APPROVE_ALL) };
    let house = House::registered(settings);
    house.order(json!({"kind": "transfer"}));
    house.wait("approved=1");
    house.logged(&["audit checkpoint"]);
    let memory = status(&house)["audit"]["memory"].clone();
    assert!(memory.as_str().unwrap().contains("SoftHSM"), "who can put back both is not noticed: {memory}");
    let other = House::start(Settings::default());
    let (path, _) = export(&house);
    let (good, said) = verify(&house, &path, &key(&other));
    assert!(!good, "{said}");
}
