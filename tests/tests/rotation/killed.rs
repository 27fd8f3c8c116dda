//! Killed at every step: the old key or the new one, never neither.

use super::{approves, export, says, status, until_it_shows, verifies};
use serde_json::Value;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs;
use std::path::PathBuf;

/// A registered agent, and where it is to crash.
fn house(settings: Settings) -> (House, PathBuf) {
    let mut house = House::registered(settings);
    house.stop();
    let crash_at = house.dir.path().join("crash/at");
    fs::create_dir(crash_at.parent().unwrap()).unwrap();
    house.settings.environment.push(("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone()));
    house.run();
    (house, crash_at)
}

/// Crashes there, and is back at work, with whichever key.
fn killed(house: &House, crash_at: &PathBuf, point: &str, command: &[&str]) -> Value {
    fs::write(crash_at, point).unwrap();
    let (code, _, said) = says(house, command);
    assert!(code != 0 && !crash_at.exists(), "{point} was not reached: {code} {said}");
    until(&format!("{point}: it is back"), || status(house)["agent"].is_object(), || house.log());
    approves(house);
    status(house)
}

#[test]
fn a_rotation_of_the_sealing_key_that_is_killed_anywhere_works_with_one_of_both_and_is_repeated() {
    for point in ["rotate.key-made", "rotate.sealed-to-both", "rotate.deed-written", "rotate.sealed-anew"] {
        let (mut house, crash_at) = house(Settings::with_policy(APPROVE_ALL));
        let old = status(&house)["recipients"][0].clone();
        let now = killed(&house, &crash_at, point, &["rotate", "sealing-key"]);
        let went_over = matches!(point, "rotate.deed-written" | "rotate.sealed-anew");
        assert_eq!(now["recipients"][0] != old, went_over, "{point}");
        if !went_over {
            let (code, report, said) = says(&house, &["rotate", "sealing-key"]);
            assert_eq!(code, 0, "{point}: {said}");
            until_it_shows(&house, "the recipient", report["key"].as_str().unwrap());
        }
        let destroyed = killed(&house, &crash_at, "rotate.destroying", &["rotate", "sealing-key", "--confirm"]);
        assert_ne!(destroyed["recipients"][0], old);
        let (code, report, said) = says(&house, &["rotate", "sealing-key", "--confirm"]);
        assert!(code == 0 && report["destroyed"] == 2, "{point}: {report} {said}");
        house.stop();
        house.run();
        approves(&house);
        house.assert_no_panic();
    }
}

#[test]
fn a_rotation_of_the_audit_key_that_is_killed_anywhere_leaves_a_log_that_verifies() {
    for point in ["rotate.key-made", "rotate.named", "rotate.vouched-for", "rotate.deed-written"] {
        let (mut house, crash_at) = house(Settings::with_policy(APPROVE_ALL));
        let old = status(&house)["audit"]["key"].as_str().unwrap().to_owned();
        let now = killed(&house, &crash_at, point, &["rotate", "audit-key"]);
        let went_over = point == "rotate.deed-written";
        assert_eq!(now["audit"]["key"] != old.as_str(), went_over, "{point}");
        assert_eq!(verifies(&house, &export(&house, "between.jsonl"), &old).0, 0, "{point}");
        if !went_over {
            let (code, report, said) = says(&house, &["rotate", "audit-key"]);
            assert_eq!(code, 0, "{point}: {said}");
            until_it_shows(&house, "the audit key", report["key"].as_str().unwrap());
        }
        let new = status(&house)["audit"]["key"].as_str().unwrap().to_owned();
        assert_eq!(says(&house, &["rotate", "audit-key", "--confirm"]).1["destroyed"], 2, "{point}");
        approves(&house);
        house.stop();
        house.run();
        let log = export(&house, "after.jsonl");
        for key in [&old, &new] {
            let (code, _, said) = verifies(&house, &log, key);
            assert_eq!(code, 0, "{point}: {said}");
        }
        house.assert_no_panic();
    }
}

#[test]
fn other_recipients_and_another_pin_are_the_old_or_the_new_ones_wherever_it_is_killed() {
    for point in ["amend.sealed", "amend.deed-written"] {
        let (mut house, crash_at) = house(Settings::with_policy(APPROVE_ALL));
        house.stop();
        let recovery = age::x25519::Identity::generate().to_public().to_string();
        let text = fs::read_to_string(house.config()).unwrap();
        let named = format!("recovery_recipients = [\"{recovery}\"]");
        fs::write(house.config(), text.replace("recovery_recipients = []", &named)).unwrap();
        fs::write(&crash_at, point).unwrap();
        assert!(!house.output(&["init", "--amend"]).status.success() && !crash_at.exists(), "{point}");
        if point == "amend.sealed" {
            let (code, _, said) = says(&house, &["init", "--amend"]);
            assert_eq!(code, 0, "{point}: {said}");
        }
        house.run();
        approves(&house);
        assert_eq!(status(&house)["recipients"][1], recovery.as_str(), "{point}");
    }
    let (mut house, crash_at) = house(Settings::with_policy(APPROVE_ALL));
    let new = house.dir.path().join("new-pin");
    fs::write(&new, "98765432\n").unwrap();
    fs::write(&crash_at, "rotate.pin-changed").unwrap();
    let (code, _, _) = says(&house, &["rotate", "pin", "--new-pin-file", new.to_str().unwrap()]);
    assert!(code != 0 && !crash_at.exists());
    house.stop();
    fs::write(&house.token.pin_file, "98765432\n").unwrap();
    let (code, _, said) = says(&house, &["init", "--try-pin-again"]);
    assert_eq!(code, 0, "{said}");
    house.run();
    approves(&house);
}
