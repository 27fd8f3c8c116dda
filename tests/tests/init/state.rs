//! The state directory: what is missing, foreign or open is told, never made anew in silence.

use crate::{made, refused, stands_with_words, status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn initialised() -> House {
    let house = House::empty(Settings::default());
    made(&house, &["init"]);
    house
}

#[test]
fn a_vault_that_was_never_initialised_says_so_and_init_wakes_it() {
    let mut house = House::empty(Settings::default());
    stands_with_words(&mut house, "not initialised");
    made(&house, &["init"]);
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
}

#[test]
fn a_deed_that_was_changed_is_refused() {
    let mut house = initialised();
    let path = house.state().join("deed.jws");
    let deed = fs::read_to_string(&path).unwrap();
    let mut parts: Vec<String> = deed.trim().split('.').map(str::to_owned).collect();
    assert_eq!(parts.len(), 3, "a compact JWS: {deed}");
    let mut payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
    payload["recipients"].as_array_mut().unwrap().push(json!("age1someoneelse"));
    parts[1] = URL_SAFE_NO_PAD.encode(payload.to_string());
    for bad in [parts.join("."), String::new(), "{}".into(), deed.trim().rsplit_once('.').unwrap().0.to_owned() + "."] {
        fs::write(&path, &bad).unwrap();
        for command in [&["init"][..], &["init", "--amend"]] {
            refused(&house, command, 1, &["is not signed by this token's audit key", "restore it"]);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), bad, "it stays for whoever looks into it");
    }
    fs::write(&path, parts.join(".")).unwrap();
    stands_with_words(&mut house, "is not signed by this token's audit key");
}

#[test]
fn another_agents_deed_is_refused() {
    let (house, mut other) = (initialised(), initialised());
    fs::copy(house.state().join("deed.jws"), other.state().join("deed.jws")).unwrap();
    refused(&other, &["init"], 1, &["is not signed by this token's audit key", "another agent's"]);
    stands_with_words(&mut other, "is not signed by this token's audit key");
}

#[test]
fn a_ledger_that_is_gone_is_not_made_anew() {
    let mut house = initialised();
    for file in fs::read_dir(house.state()).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("ledger.sqlite") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    refused(&house, &["init"], 1, &["the ledger", "is missing although the deed is there", "restore it from a backup"]);
    stands_with_words(&mut house, "is missing although the deed is there");
    assert!(!house.state().join("ledger.sqlite").exists());
}

#[test]
fn a_state_directory_that_others_may_look_into_is_refused() {
    let mut house = initialised();
    let mode = |mode| fs::set_permissions(house.state(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o755);
    refused(&house, &["init"], 1, &["others may reach into it", "chmod 700"]);
    stands_with_words(&mut house, "others may reach into it");
}

#[test]
fn a_second_run_of_one_state_directory_is_refused() {
    let mut house = initialised();
    house.run();
    refused(&house, &["run"], 1, &["in use by another `signing-agent`"]);
    assert_eq!(status(&house)["trouble"], json!(null));
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
    assert!(house.stop().success());
}
