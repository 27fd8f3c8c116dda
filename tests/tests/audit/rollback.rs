//! A state directory that is older than the token remembers, or another's.

use super::{export, key, records, status, verify};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

fn approve_one(house: &House, so_far: u64) {
    house.order(json!({"kind": "transfer"}));
    house.wait(&format!("approved={}", so_far + 1));
}

#[test]
fn an_older_copy_of_the_state_directory_stops_signing_until_the_operator_accepts_it() {
    let mut house = House::empty(Settings {
        more: "[audit]\nwitness_dir = \"witness\"\n".into(),
        ..Settings::with_policy(APPROVE_ALL)
    });
    let witness = house.dir.path().join("witness");
    std::fs::create_dir(&witness).unwrap();
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    approve_one(&house, 0);
    house.stop();
    let old = house.dir.path().join("old");
    copy(&house.state(), &old);
    house.run();
    house.wait("feeds=1");
    approve_one(&house, 1);
    house.stop();

    std::fs::remove_dir_all(house.state()).unwrap();
    copy(&old, &house.state());
    house.run_unready();
    let trouble = || status(&house)["trouble"].as_str().unwrap_or_default().to_owned();
    until("it says so", || trouble().contains("older than the token's memory"), || house.log());
    assert!(trouble().contains("recover --accept-rollback"), "{}", trouble());
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    let reply = house.approve(&id);
    assert_eq!(reply.status, 503, "{}", reply.json());
    assert_eq!(house.action(&id)["status"], "pending");
    // A restart does not help.
    house.stop();
    house.run_unready();
    until("it still says so", || status(&house)["trouble"].is_string(), || house.log());

    let recovered = house.output(&["recover", "--accept-rollback"]);
    assert!(recovered.status.success(), "{}", String::from_utf8_lossy(&recovered.stderr));
    house.wait("feeds=1");
    assert_eq!(status(&house)["audit"]["frozen"], true);
    house.logged(&["held", "frozen"]);
    let reply = house.approve(&id);
    assert_eq!(reply.status, 503, "{}", reply.json());
    assert!(house.output(&["unfreeze"]).status.success());
    assert_eq!(house.approve(&id).status, 200);
    let (path, key) = export(&house);
    assert!(verify(&house, &path, &key).0);
    // Each checkpoint left the machine, the one that the recovery itself made too.
    for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| line.starts_with("{\"checkpoint\"")) {
        let note = serde_json::from_str::<serde_json::Value>(line).unwrap()["checkpoint"].clone();
        let size: u64 = note.as_str().unwrap().lines().nth(1).unwrap().parse().unwrap();
        assert!(witness.join(format!("checkpoint-{size:020}")).exists(), "{note}");
    }
    let kinds: Vec<_> = records(&path).iter().map(|r| r["kind"].as_str().unwrap().to_owned()).collect();
    for kind in ["rollback-accepted", "unfrozen"] {
        assert_eq!(kinds.iter().filter(|found| *found == kind).count(), 1, "{kinds:?}");
    }
    house.assert_no_panic();
}

#[test]
fn two_vaults_with_one_token_find_out_about_each_other() {
    let mut house = House::registered(Settings {
        more: "[audit]\ncheckpoint_seconds = 1\n".into(),
        ..Settings::with_policy(APPROVE_ALL)
    });
    house.stop();
    let clone = house.dir.path().join("clone");
    copy(&house.state(), &clone);
    house.run();
    house.wait("feeds=1");
    // The clone's own configuration, with the same token and another state directory.
    let text = std::fs::read_to_string(house.config()).unwrap().replace("dir = \"state\"", "dir = \"clone\"");
    let config = house.dir.path().join("clone.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(signing_agent_tests::binary("signing-agent"));
    command.args(["recover", "--accept-rollback", "--config"]).arg(&config).env("SOFTHSM2_CONF", &house.token.conf);
    let output = command.output().unwrap();
    assert!(output.status.success(), "the clone is taken: {}", String::from_utf8_lossy(&output.stderr));
    // The first one finds another's mark in the token when it wants to leave its own.
    house.order(json!({"kind": "transfer"}));
    house.logged(&["the token's memory is not what this process left there"]);
    until("it has stopped", || status(&house)["trouble"].is_string(), || house.log());
    assert!(status(&house)["trouble"].as_str().unwrap().contains("recover --accept-rollback"));
}

#[test]
fn a_token_that_remembers_nothing_stops_signing_and_without_memory_nothing_is_noticed() {
    let mut house = House::registered(Settings::with_policy(APPROVE_ALL));
    approve_one(&house, 0);
    let own = key(&house);
    house.stop();
    let old = house.dir.path().join("old");
    copy(&house.state(), &old);
    let pin = std::fs::read_to_string(&house.token.pin_file).unwrap();
    let mut tool = Command::new("pkcs11-tool");
    tool.arg("--module").arg(&house.token.module).args(["--token-label", &house.token.label]);
    tool.args(["--login", "--pin", pin.trim(), "--delete-object", "--type", "data", "--label", "signing-agent memory"]);
    let done = tool.env("SOFTHSM2_CONF", &house.token.conf).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    house.run_unready();
    let trouble = || status(&house)["trouble"].as_str().unwrap_or_default().to_owned();
    until("it says so", || trouble().contains("does not remember this ledger"), || house.log());
    house.stop();

    house.settings.more = "[ledger]\ntoken_memory = \"none\"\n".into();
    house.write_config();
    house.run();
    house.wait("feeds=1");
    approve_one(&house, 1);
    assert!(status(&house)["audit"]["memory"].as_str().unwrap().contains("would not be noticed"));
    house.stop();
    std::fs::remove_dir_all(house.state()).unwrap();
    copy(&old, &house.state());
    house.run();
    assert_eq!(key(&house), own);
}
