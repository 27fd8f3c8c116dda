//! Looking changes nothing.

use super::doctor;
use signing_agent_tests::{APPROVE_ALL, House, Settings, binary};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), into);
        } else {
            into.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
        }
    }
}

#[test]
fn a_look_at_an_agent_that_is_stopped_changes_no_file_of_it() {
    let mut house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    house.stop();
    let all = || {
        let mut all = BTreeMap::new();
        files(&house.state(), &mut all);
        all
    };
    let before = all();
    assert!(before.keys().any(|path| path.ends_with("ledger.sqlite")));
    for _ in 0..3 {
        assert_eq!(doctor(&house).of("fault"), ["vault"]);
    }
    let after = all();
    let names = |all: &BTreeMap<PathBuf, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    assert!(before == after);
}

#[test]
fn a_look_at_a_running_agent_adds_no_record_and_refuses_nobody() {
    let house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    let records = || {
        let status: serde_json::Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
        status["audit"]["records"].clone()
    };
    let before = records();
    for _ in 0..3 {
        doctor(&house);
    }
    assert_eq!(records(), before);
}

#[test]
fn a_check_beside_a_vault_at_work_leaves_its_token_and_its_ledger_alone() {
    let house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    let mut check = Command::new(binary("signing-agent-vault"));
    check.args(["--check", "--config"]).arg(house.config()).env("SOFTHSM2_CONF", &house.token.conf);
    let output = check.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("a vault works with it and does not answer"), "{text}");
    assert!(!text.contains("\"ledger\"") && !text.contains("\"token-pin\""), "{text}");
    house.order(serde_json::json!({"kind": "transfer"}));
    house.wait("approved=1");
}
