//! Registering without a partner app.

use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::fs;

/// What a command says by `--json`, and its exit code.
fn said(house: &House, line: &[&str]) -> (Option<i32>, Value, String) {
    let output = house.output(&[line, &["--json"]].concat());
    let err = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), err)
}

/// The key, as the operator sees it.
fn new_key(house: &House) -> Value {
    let (code, key, err) = said(house, &["partner-key", "new"]);
    assert_eq!(code, Some(0), "{err}\n{}", house.log());
    key
}

/// Has the console know the key; registers by the API key that it gave out.
fn register(house: &House, key: &Value) -> (Option<i32>, Value, String) {
    house.control("POST", "/partners", Some(json!({ "apiKey": "the-api-key", "publicKeyPem": key["public"] })));
    register_only(house)
}

fn register_only(house: &House) -> (Option<i32>, Value, String) {
    let file = house.dir.path().join("api-key");
    fs::write(&file, "the-api-key\n").unwrap();
    let file = file.display().to_string();
    said(house, &["register", "--name", "desk-1", "--api-key-file", &file])
}

/// The audit log's records of the key.
fn records(house: &House) -> Vec<Value> {
    let export = house.output(&["audit", "export"]).stdout;
    let lines = String::from_utf8(export).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "partner-key").collect()
}

fn steps(house: &House) -> Vec<String> {
    records(house).iter().map(|record| record["step"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_sealed_key_registers_the_agent_and_is_gone_afterwards_each_step_on_record() {
    let house = House::start(Settings::default());
    let key = new_key(&house);
    assert_eq!(key["made"], true);
    let sealed = fs::read(house.state().join("partner.age")).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert!(!sealed.windows(7).any(|octets| octets == b"PRIVATE"));
    let same = new_key(&house);
    assert_eq!(
        (&same["made"], &same["public"], &same["fingerprint"]),
        (&json!(false), &key["public"], &key["fingerprint"])
    );
    assert_eq!(said(&house, &["partner-key", "show"]).1["public"], key["public"]);

    let (code, registered, err) = register(&house, &key);
    assert_eq!(code, Some(0), "{err}\n{}", house.log());
    assert!(registered["agentID"].as_str().is_some_and(|id| !id.is_empty()), "{registered}");
    assert!(registered["fingerprints"]["BLS"].is_string(), "{registered}");
    house.wait("feeds=1");
    assert!(!house.state().join("partner.age").exists());
    for verb in ["show", "new"] {
        assert_eq!(said(&house, &["partner-key", verb]).0, Some(1));
    }
    let (code, _, err) = register(&house, &key);
    assert!(code == Some(1) && err.contains("already-registered"), "{err}");
    let records = records(&house);
    assert_eq!(steps(&house), ["made", "used", "removed"]);
    for record in &records[..2] {
        assert_eq!(record["fingerprint"], key["fingerprint"]);
        assert!(record["by"].as_str().unwrap().starts_with("operator"), "{record}");
    }
    let told = [house.log(), json!(records).to_string()].concat();
    assert!(!told.contains("the-api-key") && !told.contains("PRIVATE KEY"));
    house.assert_no_panic();
}

#[test]
fn a_registration_that_fails_keeps_the_key_for_the_next_try_and_a_restart() {
    let mut house = House::start(Settings::default());
    let (code, _, err) = said(&house, &["partner-key", "show"]);
    assert!(code == Some(1) && err.contains("partner-key new"), "{err}");
    let (code, _, err) = register_only(&house);
    assert!(code == Some(1) && err.contains("partner-key new"), "{err}");
    let key = new_key(&house);
    house.fault("init", json!({"status": 500, "body": "later"}), 1);
    let (code, _, err) = register(&house, &key);
    assert!(code == Some(1) && err.contains("\"backend\"") && err.contains("500"), "{err}");
    house.stop();
    house.run();
    assert_eq!(said(&house, &["partner-key", "show"]).1["fingerprint"], key["fingerprint"]);
    assert_eq!(register(&house, &key).0, Some(0), "{}", house.log());
    assert_eq!(steps(&house), ["made", "used", "used", "removed"]);
}

#[test]
fn the_operator_too_registers_only_while_a_window_is_open() {
    let house = House::start(Settings::default());
    let window = |verb: &str| said(&house, &["registration", verb]).1;
    assert_eq!(window("status")["open"], true, "init has opened one");
    assert_eq!(window("close")["open"], false);
    let key = new_key(&house);
    let (code, _, err) = register(&house, &key);
    assert!(code == Some(1) && err.contains("registration-closed"), "{err}");
    // What the command asks before, a captured one leaves out.
    let lane = house.state().join("lanes/admin.sock");
    let api_key = ipc::Secret::new("the-api-key".into());
    let question = ipc::Ask::Register { name: "desk-1".into(), api_key, private_key: None };
    let answer = ipc::ask_once(&lane, &question, std::time::Duration::from_secs(60)).unwrap();
    let closed = ipc::Refusal::Access(ipc::AccessFault::RegistrationClosed);
    assert_eq!(answer, ipc::Answer::Refused(closed));
    assert_eq!(steps(&house), ["made"], "and the key was not opened");
    assert_eq!(house.stats()["initOk"], 0);
    assert_eq!(window("open")["seconds"], 3600);
    assert_eq!(register(&house, &key).0, Some(0), "{}", house.log());
}

#[test]
fn a_key_of_ones_own_registers_too_as_pem_or_as_base64_of_it() {
    use base64::Engine;
    for as_pem in [true, false] {
        let mut house = House::start(Settings::default());
        let partner = house.partner();
        let (key, file) = (house.dir.path().join("api-key"), house.dir.path().join("rsa"));
        fs::write(&key, partner["apiKey"].as_str().unwrap()).unwrap();
        let base64 = partner["base64PrivateKey"].as_str().unwrap();
        let pem = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
        fs::write(&file, if as_pem { pem } else { base64.into() }).unwrap();
        let (key, file) = (key.display().to_string(), file.display().to_string());
        let line = ["register", "--name", "desk-1", "--api-key-file", &key, "--private-key-file", &file];
        assert_eq!(said(&house, &line).0, Some(0), "{}", house.log());
        assert_eq!(steps(&house), [""; 0]);
    }
}

#[test]
fn a_registration_by_the_partner_app_or_a_crash_leaves_no_sealed_key_behind() {
    let mut house = House::start(Settings::default());
    new_key(&house);
    let sealed = house.state().join("partner.age");
    let copy = fs::read(&sealed).unwrap();
    assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
    assert!(!sealed.exists());
    // As if the vault had ended between the registration and this.
    house.stop();
    fs::write(&sealed, copy).unwrap();
    house.run();
    until("the key is gone", || !sealed.exists(), || house.log());
    assert_eq!(steps(&house), ["made", "removed", "removed"]);
}

#[test]
fn other_recipients_seal_the_key_anew_and_a_spoiled_one_is_refused_with_words() {
    let mut house = House::start(Settings::default());
    let key = new_key(&house);
    let sealed = house.state().join("partner.age");
    let before = fs::read(&sealed).unwrap();
    house.stop();
    house.settings.recovery = vec![age::x25519::Identity::generate().to_public().to_string()];
    house.write_config();
    let amended = house.output(&["init", "--amend"]);
    assert!(amended.status.success(), "{}", String::from_utf8_lossy(&amended.stderr));
    house.run();
    let after = fs::read(&sealed).unwrap();
    assert!(after.len() > before.len() && String::from_utf8_lossy(&after).contains("\n-> X25519 "));
    assert_eq!(said(&house, &["partner-key", "show"]).1["fingerprint"], key["fingerprint"]);

    fs::write(&sealed, &after[..after.len() - 1]).unwrap();
    for line in [&["partner-key", "show"][..], &["partner-key", "new"]] {
        let (code, _, err) = said(&house, line);
        assert!(code == Some(1) && err.contains("partner.age") && err.contains("move it away"), "{err}");
    }
}
