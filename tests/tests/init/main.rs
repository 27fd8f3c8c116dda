//! `signing-agent init` and `status`, and what stops a vault with words.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod keys;
mod people;
mod pin;
mod state;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{House, Settings, call, until};
use std::fs;
use std::process::{Command, Output};

/// Exit code, stdout, stderr.
fn texts(output: &Output) -> (i32, String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The command ends with this code and says all of this on stderr, where nothing panics.
fn refused(house: &House, arguments: &[&str], code: i32, words: &[&str]) {
    let (ended, out, err) = texts(&house.output(arguments));
    assert_eq!(ended, code, "{arguments:?}: {out}{err}");
    for words in words {
        assert!(err.contains(words), "{arguments:?} does not say {words:?}: {err}");
    }
    assert!(!err.contains("panicked"), "{err}");
}

fn made(house: &House, arguments: &[&str]) -> (String, String) {
    let (code, out, err) = texts(&house.output(arguments));
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    (out, err)
}

/// Changes the configuration.
fn configure(house: &House, from: &str, to: &str) {
    let text = fs::read_to_string(house.config()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(house.config(), text.replace(from, to)).unwrap();
}

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// Runs, says this by `status` and in its log, and refuses to register.
fn stands_with_words(house: &mut House, words: &str) {
    house.run_unready();
    let trouble = || status(house)["trouble"].as_str().unwrap_or_default().to_owned();
    until(
        "status tells the trouble",
        || trouble().contains(words),
        || format!("{words}\n{}\n{}", trouble(), house.log()),
    );
    assert!(house.log().contains(words), "{}", house.log());
    let (code, screen, _) = texts(&house.output(&["status"]));
    assert_eq!(code, 1, "a monitor hears of it: {screen}");
    assert!(screen.starts_with("TROUBLE: "), "{screen}");
    let reply = house.register("agent");
    assert_eq!(reply.status, 503, "{}", reply.json());
    let health = call("GET", &house.url("/api/v1/healthcheck/status"), &[], b"").unwrap();
    assert_eq!(health.json()["Ready"], false, "{}", health.json());
}

/// What a second PKCS#11 client finds in the token.
fn pkcs11_tool(house: &House, arguments: &[&str]) -> Vec<u8> {
    let pin = fs::read_to_string(&house.token.pin_file).unwrap();
    let mut tool = Command::new("pkcs11-tool");
    tool.arg("--module").arg(&house.token.module).args(["--token-label", &house.token.label]);
    tool.args(["--login", "--pin", "env:TOKEN_PIN"]).args(arguments);
    tool.env("TOKEN_PIN", pin.trim()).env("SOFTHSM2_CONF", &house.token.conf);
    let output = tool.output().expect("pkcs11-tool can be started: install opensc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn private_keys(house: &House) -> usize {
    let objects = String::from_utf8(pkcs11_tool(house, &["--list-objects"])).unwrap();
    let lines = |what: &str| objects.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(lines("Secret Key"), 0, "{objects}");
    let memory = objects.lines().filter(|line| line.contains("signing-agent memory")).count();
    assert_eq!((lines("Data object"), memory), (1, 1), "what the token remembers of the ledger: {objects}");
    assert_eq!(lines("Public Key"), lines("Private Key"), "{objects}");
    lines("Private Key")
}

/// SHA-256 of these octets of hex, as fingerprints are written.
fn fingerprint(key: &Value) -> Value {
    json!(hex::encode(Sha256::digest(hex::decode(key.as_str().unwrap()).unwrap())))
}

#[test]
fn init_again_makes_nothing_and_shows_the_same_fingerprints_with_and_without_a_running_vault() {
    let mut house = House::empty(Settings::default());
    let (first, warnings) = made(&house, &["init"]);
    for words in ["Made:", "identity, audit and sealing key in the token", "ledger", "deed", "age1tag1"] {
        assert!(first.contains(words), "{words}: {first}");
    }
    assert!(warnings.contains("warning: no [sealing] recovery_recipients"), "{warnings}");
    let deed = fs::read(house.state().join("deed.jws")).unwrap();
    let prints = |text: &str| text[text.find("Fingerprints").unwrap()..text.find("\n\nNext").unwrap()].to_owned();
    let (second, warnings) = made(&house, &["init"]);
    house.run();
    let (third, _) = made(&house, &["init"]);
    for again in [second, third] {
        assert!(again.contains("Kept, for it was there:") && again.contains("Nothing was missing."), "{again}");
        assert!(!again.contains("Made:"), "{again}");
        assert_eq!(prints(&again), prints(&first));
    }
    assert!(warnings.contains("recovery_recipients"), "{warnings}");
    assert_eq!(fs::read(house.state().join("deed.jws")).unwrap(), deed);
    assert_eq!(private_keys(&house), 3);
}

#[test]
fn status_shows_the_fingerprints_of_what_the_token_has_and_the_backend_got() {
    let mut house = House::start(Settings::default());
    let before = status(&house);
    assert_eq!((&before["agent"], &before["trouble"]), (&json!(null), &json!(null)), "{before}");
    assert!(before["fingerprints"]["BLS"].is_null(), "{before}");
    let (screen, _) = made(&house, &["status"]);
    assert!(screen.contains("not registered yet"), "{screen}");
    for role in ["identity", "audit", "sealing"] {
        let label = format!("signing-agent {role}");
        let key = pkcs11_tool(&house, &["--read-object", "--type", "pubkey", "--label", &label]);
        // A SubjectPublicKeyInfo ends with the uncompressed point.
        let point = json!(hex::encode(&key[key.len() - 65..]));
        assert_eq!(before["fingerprints"][format!("{role} (EC)")], fingerprint(&point), "{before}");
    }

    assert_eq!(house.register("desk").status, 200, "{}", house.log());
    let after = status(&house);
    let agents = house.control("GET", "/agents", None);
    assert_eq!(after["fingerprints"]["BLS"], fingerprint(&agents[0]["blsPublicKey"]), "{after}");
    assert_eq!(after["fingerprints"]["identity (EC)"], before["fingerprints"]["identity (EC)"]);
    assert_eq!((&after["agent"]["agentID"], &after["agent"]["name"]), (&agents[0]["accountCode"], &json!("desk")));
    let (screen, _) = made(&house, &["status"]);
    for words in [&agents[0]["accountCode"], &after["fingerprints"]["BLS"], &after["fingerprints"]["audit (EC)"]] {
        assert!(screen.contains(words.as_str().unwrap()), "{words}: {screen}");
    }
}

#[test]
fn a_configuration_that_is_at_fault_is_told_by_line_and_stops_every_command() {
    let house = House::empty(Settings::default());
    let good = fs::read_to_string(house.config()).unwrap();
    let url = format!("url = \"{}\"", house.simulator.url());
    for (from, to, words) in [
        ("pin_file =", "pin_fil =", "did you mean \"pin_file\"?"),
        ("[hsm]", "[hms]", "did you mean \"hsm\"?"),
        (url.as_str(), "url = \"http://backend.example/p\"", "plain http would show keys and proofs to the network"),
        (url.as_str(), "url = \"http://10.0.0.1/p\"", "plain http would show keys and proofs to the network"),
        ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", "must be a loopback address"),
        ("recovery_recipients = []", "recovery_recipients = [\"agee1\"]", "recovery_recipients"),
    ] {
        fs::write(house.config(), &good).unwrap();
        configure(&house, from, to);
        let text = fs::read_to_string(house.config()).unwrap();
        let line = 1 + text[..text.find(to).unwrap()].matches('\n').count();
        let place = format!("signing-agent.toml:{line}:");
        for command in ["init", "run", "status"] {
            refused(&house, &[command], 78, &[words, &place]);
        }
    }
    assert!(!house.state().exists(), "nothing was begun");
}
