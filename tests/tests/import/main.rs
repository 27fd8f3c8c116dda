//! `signing-agent import`: an agent of Qredo's Go program goes on here, with its keys and its agentID.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs;
use std::path::PathBuf;

/// The cases that Milagro itself computed.
fn cases() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/go-agent-store.json")).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}

/// An agent that was initialised, runs, and has no keys of a custody backend's; its store lies beside it.
struct Taken {
    house: House,
    case: Value,
    store: PathBuf,
}

impl Taken {
    fn new(case: &Value) -> Self {
        let pin = case["pin"].as_u64().unwrap();
        let mut house = House::empty(Settings { pin, log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
        assert!(house.output(&["init"]).status.success());
        house.run();
        let store = house.dir.path().join("ccstore.db");
        fs::write(&store, case["store"].to_string()).unwrap();
        Self { house, case: case.clone(), store }
    }

    fn code(&self) -> &str {
        self.case["expect"]["agent_id"].as_str().unwrap()
    }

    fn entry(&self) -> Value {
        let decoded = STANDARD.decode(self.case["store"][self.code()].as_str().unwrap()).unwrap();
        serde_json::from_slice(&decoded).unwrap()
    }

    /// The backend knows this agent from now on, as it has been registered there by the Go program.
    fn known_to_the_backend(&self) {
        let expect = &self.case["expect"];
        let identity = STANDARD.decode(self.entry()["zkpid"].as_str().unwrap()).unwrap();
        let agent = json!({
            "accountCode": self.code(), "name": self.entry()["name"], "identity": hex::encode(identity),
            "blsPublicKey": expect["bls_public_key"], "serverSecret": expect["server_secret"],
        });
        self.house.control("POST", "/agents", Some(agent));
    }

    /// Exit code, stdout as JSON, stderr.
    fn import(&self, more: &[&str]) -> (i32, Value, String) {
        let output = self.house.output(&[&["--json", "import", "agent", self.store.to_str().unwrap()], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }

    /// With this in the place of something in the agent's entry.
    fn spoil(&self, name: &str, value: Value) {
        let mut entry = self.entry();
        entry[name] = value;
        let mut store = self.case["store"].clone();
        store[self.code()] = json!(STANDARD.encode(entry.to_string()));
        fs::write(&self.store, store.to_string()).unwrap();
    }

    fn is_unregistered(&self) {
        let status = self.house.output(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["agent"], Value::Null, "{status}");
        for file in ["bls.age", "mpin.age"] {
            assert!(!self.house.state().join(file).exists(), "{file}");
        }
    }
}

#[test]
fn each_agent_of_the_vectors_goes_on_here_under_its_id_and_what_it_approves_is_verified() {
    for case in cases() {
        let mut taken = Taken::new(&case);
        taken.known_to_the_backend();
        let before = fs::read(&taken.store).unwrap();
        let (code, told, said) = taken.import(&[]);
        assert_eq!(code, 0, "{said}\n{}", taken.house.log());
        let bls = hex::decode(case["expect"]["bls_public_key"].as_str().unwrap()).unwrap();
        let wanted = json!({
            "agentID": taken.code(), "name": taken.entry()["name"], "blsKey": hex::encode(Sha256::digest(bls)),
            "believed": true, "imported": true,
        });
        assert_eq!(told, wanted);
        assert_eq!(fs::read(&taken.store).unwrap(), before, "the store is as it was");
        for restarted in [false, true] {
            if restarted {
                taken.house.stop();
                taken.house.run();
            }
            taken.house.wait("feeds=1");
            let id = taken.house.order(json!({"agent": taken.code()})).remove(0);
            let approved = || taken.house.action(&id)["status"] == "approved";
            until("it is approved", approved, || taken.house.log());
        }
        // By which it was seen that the pass is believed; nothing else was refused.
        let asked = json!([{ "endpoint": "get", "status": 404, "why": "there is no such action" }]);
        assert_eq!(taken.house.stats()["refusals"], asked);
        // Its keys are nobody's any more but the token's.
        let secret = case["expect"]["bls_secret_key"].as_str().unwrap();
        assert!(!taken.house.log().contains(&secret[32..]));
        assert_eq!(taken.import(&[]).0, 1, "once");
        taken.house.assert_no_panic();
    }
}

#[test]
fn a_dry_run_checks_all_and_changes_nothing() {
    let case = &cases()[1];
    let taken = Taken::new(case);
    let (code, told, said) = taken.import(&["--dry-run", "--offline"]);
    assert_eq!((code, &told["believed"], &told["imported"]), (0, &json!(false), &json!(false)), "{said}");
    taken.is_unregistered();
    // The backend knows no such agent yet.
    let (code, _, said) = taken.import(&["--dry-run"]);
    assert!(code == 1 && said.contains("does not believe this agent's pass"), "{code} {said}");
    taken.known_to_the_backend();
    let (code, told, said) = taken.import(&["--dry-run"]);
    assert_eq!((code, &told["believed"]), (0, &json!(true)), "{said}");
    taken.is_unregistered();
    assert_eq!(taken.import(&[]).0, 0);
}

#[test]
fn what_is_not_whole_or_not_believed_is_refused_with_words_and_nothing_is_kept() {
    let case = &cases()[1];
    let taken = Taken::new(case);
    taken.known_to_the_backend();
    let other = STANDARD
        .decode(cases()[0]["store"][cases()[0]["expect"]["agent_id"].as_str().unwrap()].as_str().unwrap())
        .unwrap();
    let other: Value = serde_json::from_slice(&other).unwrap();
    for (name, value, words) in [
        ("bls_seed", json!(STANDARD.encode([1; 47])), "bls_seed is not 48 octets"),
        ("zkptoken", json!(STANDARD.encode([4; 97])), "zkptoken"),
        ("zkpid", other["zkpid"].clone(), "zkpid is not the M-Pin identity of this account code"),
        ("zkptoken", other["zkptoken"].clone(), "does not believe this agent's pass"),
        ("pending", json!(true), "never finished"),
        ("name", json!(""), "name is empty"),
    ] {
        taken.spoil(name, value);
        let (code, _, said) = taken.import(&[]);
        assert!(code == 1 && said.contains(words), "{name}: {code} {said}");
        taken.is_unregistered();
    }
    fs::write(&taken.store, case["store"].to_string()).unwrap();
    // Only while a registration is taken: people may have to sign for that.
    assert!(taken.house.output(&["registration", "close"]).status.success());
    let (code, _, said) = taken.import(&[]);
    assert!(code == 1 && said.contains("registration open"), "{code} {said}");
    assert!(taken.house.output(&["registration", "open"]).status.success());
    assert_eq!(taken.import(&[]).0, 0);
}

#[test]
fn an_import_that_is_killed_anywhere_is_repeated_whole_or_is_done() {
    for place in [
        "import.row-written",
        "registration.bls-written",
        "registration.mpin-written",
        "registration.deed-written",
        "registration.registered",
    ] {
        let mut taken = Taken::new(&cases()[0]);
        taken.known_to_the_backend();
        taken.house.stop();
        let crash_at = taken.house.dir.path().join("crash/at");
        fs::create_dir(crash_at.parent().unwrap()).unwrap();
        taken.house.settings.environment.push(("SIGNING_AGENT_TEST_CRASH_AT", crash_at.clone()));
        taken.house.run();
        fs::write(&crash_at, place).unwrap();
        assert_ne!(taken.import(&[]).0, 0, "{place}: it was killed there");
        assert!(!crash_at.exists(), "{place} was never reached");
        let done = || {
            let (code, told, said) = taken.import(&[]);
            (code == 0 && told["imported"] == true) || said.contains("already")
        };
        until(&format!("{place}: it is done"), done, || taken.house.log());
        taken.house.wait("feeds=1");
        let id = taken.house.order(json!({"agent": taken.code()})).remove(0);
        until("it approves", || taken.house.action(&id)["status"] == "approved", || taken.house.log());
        taken.house.assert_no_panic();
    }
}
