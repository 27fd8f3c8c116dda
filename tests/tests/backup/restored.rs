//! What goes on elsewhere.

use super::{Backup, Recovery, approved, elsewhere, status, told};
use serde_json::{Value, json};
use signing_agent_tests::{House, until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn files(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let passing = ["lanes", "vault.lock", "ledger.sqlite-wal", "ledger.sqlite-shm"];
    entries.filter(|name| !passing.contains(&name.as_str())).collect()
}

#[test]
fn an_agent_goes_on_with_another_token_under_its_id_frozen_and_with_full_windows() {
    let recovery = Recovery::new();
    let mut first = House::registered(recovery.settings());
    approved(&first, &first);
    let backup = Backup::of(&first, "one.age");
    let was = status(&first);
    first.stop();

    let mut second = elsewhere(&first, &recovery);
    let (code, good, said) = backup.verify(&second, &recovery, &[]);
    assert_eq!((code, &good["good"], &good["agentID"]), (0, &json!(true), &was["agent"]["agentID"]), "{said}");
    let (code, report, said) = backup.restore(&second, &recovery, &[]);
    assert_eq!(code, 0, "{said}\n{}", second.log());
    assert_eq!((&report["agentID"], &report["rollback"]), (&was["agent"]["agentID"], &Value::Null));
    assert_ne!(report["key"], json!(backup.key), "another token's");
    assert_eq!(files(&second.state()), files(&first.state()), "nothing is left of it");

    second.run_unready();
    first.wait("feeds=1");
    let now = status(&second);
    assert_eq!(now["agent"]["agentID"], was["agent"]["agentID"]);
    assert_eq!(now["fingerprints"]["BLS"], was["fingerprints"]["BLS"]);
    assert_ne!(now["fingerprints"]["identity (EC)"], was["fingerprints"]["identity (EC)"]);
    assert_eq!((&now["audit"]["frozen"], &now["audit"]["windows_full"]), (&json!(true), &json!(true)));
    let todo = now["todo"].to_string();
    assert!(todo.contains("unfreeze") && todo.contains("confirm-windows"), "{todo}");

    let id = first.order(json!({"kind": "transfer"})).remove(0);
    until("it is held", || status(&second)["actions"]["held"] == 1, || second.log());
    assert!(second.output(&["unfreeze"]).status.success());
    // It is not frozen any more; but what the first machine approved since is not known here.
    let (code, _, said) = told(&second.output(&["approve", &id]));
    assert!(code == 1 && said.contains("counts as full"), "{code} {said}");
    let second_id = first.order(json!({"kind": "transfer"})).remove(0);
    until("it is held", || status(&second)["actions"]["held"] == 2, || second.log());
    assert_eq!(first.action(&second_id)["status"], "pending");
    assert!(second.output(&["confirm-windows"]).status.success());
    assert_eq!(status(&second)["audit"]["windows_full"], false);
    approved(&first, &second);

    // The log goes on: whoever knows the new key believes all of it, whoever knows the old one as much as that vouched for.
    let export = second.dir.path().join("audit.jsonl");
    assert!(second.output(&["audit", "export", "--output", export.to_str().unwrap()]).status.success());
    let verify = |key: &str| {
        let key = ["--json", "audit", "verify", export.to_str().unwrap(), "--public-key", key];
        told(&second.output(&key))
    };
    let (code, good, said) = verify(report["key"].as_str().unwrap());
    assert_eq!((code, good["names"].as_array().map(Vec::len)), (0, Some(2)), "{said}");
    let (code, _, said) = verify(&backup.key);
    assert!(code == 1 && said.contains("did not vouch for"), "{said}");
    let log = fs::read_to_string(&export).unwrap();
    for kind in ["backup", "restored", "audit-key", "unfrozen", "windows-confirmed"] {
        assert!(log.contains(&format!("\"kind\":\"{kind}\"")), "{kind}");
    }
    second.stop();
    second.run();
    first.wait("feeds=1");
    approved(&first, &second);
    second.assert_no_panic();
}

#[test]
fn a_backup_holds_what_outlives_the_machine_and_age_and_tar_are_enough_to_read_it() {
    let recovery = Recovery::new();
    let house = House::registered(recovery.settings());
    let backup = Backup::of(&house, "one.age");
    let files = recovery.unpack(&backup.file);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "manifest.jws");
    let wanted =
        ["bls.age", "deed.jws", "ledger.sqlite", "manifest.jws", "mpin.age", "policy.toml", "signing-agent.toml"];
    assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), wanted.into());
    let of = |name: &str| &files.iter().find(|(found, _)| found == name).unwrap().1;
    assert_eq!(*of("bls.age"), fs::read(house.state().join("bls.age")).unwrap());
    assert_eq!(*of("signing-agent.toml"), fs::read(house.config()).unwrap());
    // A PIN is in none of it.
    let pin = fs::read_to_string(&house.token.pin_file).unwrap();
    for (name, octets) in &files {
        assert!(!octets.windows(pin.trim().len()).any(|window| window == pin.trim().as_bytes()), "{name}");
    }
    // What the next machine's operator needs before there is an agent.
    let dir = house.dir.path().join("settings");
    let (code, _, said) = backup.verify(&house, &recovery, &["--settings", dir.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(fs::read(dir.join("policy.toml")).unwrap(), *of("policy.toml"));
    assert_eq!(fs::read(dir.join("signing-agent.toml")).unwrap(), *of("signing-agent.toml"));
}

#[test]
fn a_restore_that_is_killed_anywhere_leaves_nothing_or_all_and_is_repeated() {
    let recovery = Recovery::new();
    let mut first = House::registered(recovery.settings());
    approved(&first, &first);
    let backup = Backup::of(&first, "one.age");
    let id = status(&first)["agent"]["agentID"].clone();
    first.stop();
    let points = [
        "restore.keys-made",
        "restore.sealed",
        "restore.ledger-written",
        "restore.ledger-placed",
        "restore.remembered",
        "restore.deed-written",
    ];
    for point in points {
        let mut second = elsewhere(&first, &recovery);
        let crash_at = second.dir.path().join("crash-at");
        second.settings.environment.push(("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone()));
        fs::write(&crash_at, point).unwrap();
        let (code, _, said) = backup.restore(&second, &recovery, &[]);
        assert!(code == 1 && !crash_at.exists(), "{point}: {code} {said}");
        if point == "restore.deed-written" {
            let (code, _, said) = backup.restore(&second, &recovery, &[]);
            assert!(code == 1 && said.contains("nothing is restored over it"), "{said}");
        } else {
            second.run_unready();
            until("it says so", || status(&second)["trouble"].to_string().contains("not initialised"), || second.log());
            second.stop();
            let (code, report, said) = backup.restore(&second, &recovery, &[]);
            assert_eq!((code, &report["agentID"]), (0, &id), "{point}: {said}");
        }
        second.run_unready();
        first.wait("feeds=1");
        assert_eq!(files(&second.state()), files(&first.state()), "{point}");
        let now = status(&second);
        assert_eq!((&now["agent"]["agentID"], &now["audit"]["frozen"]), (&id, &json!(true)), "{point}");
        assert!(second.output(&["unfreeze"]).status.success());
        assert!(second.output(&["confirm-windows"]).status.success());
        approved(&first, &second);
    }
}
#[test]
fn a_backup_that_is_killed_while_it_is_made_costs_nothing() {
    let recovery = Recovery::new();
    let mut house = House::empty(recovery.settings());
    let crash_at = house.dir.path().join("crash-at");
    house.settings.environment.push(("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone()));
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    for point in ["backup.ledger-copied", "backup.sealed"] {
        fs::write(&crash_at, point).unwrap();
        let file = house.dir.path().join(point);
        let (code, _, said) = told(&house.output(&["backup", "create", file.to_str().unwrap()]));
        assert!(code != 0 && !crash_at.exists() && !file.exists(), "{point}: {said}");
        house.wait("feeds=1");
        until("it is back", || status(&house)["agent"].is_object(), || house.log());
        let backup = Backup::of(&house, &format!("{point}.age"));
        assert_eq!(backup.verify(&house, &recovery, &[]).0, 0);
        let left = files(&house.state());
        assert!(!left.contains("backup.age") && !left.contains("backup.sqlite"), "{left:?}");
    }
}
