//! Policies that people must sign: the deed names them, and none comes into force without.

use crate::{of_kind, records, status, texts};
use serde_json::json;
use signing_agent_tests::{House, Person, Settings, until};
use tempfile::TempDir;

const NAMESPACE: &str = "signing-agent-policy";

struct Signers {
    _dir: TempDir,
    alice: Person,
    bob: Person,
    carol: Person,
    mallory: Person,
}

impl Signers {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let make = |name, kind| Person::make(dir.path(), name, kind);
        let (alice, bob) = (make("alice", "ed25519"), make("bob", "ecdsa"));
        let (carol, mallory) = (make("carol", "ed25519"), make("mallory", "ed25519"));
        Self { _dir: dir, alice, bob, carol, mallory }
    }

    /// Two of three.
    fn section(&self) -> String {
        let lines = [&self.alice, &self.bob, &self.carol].map(Person::line);
        format!("[people]\npolicy_signers = {}\npolicy_signatures = 2\n", json!(lines))
    }
}

/// Approves everything; a signed policy is told from another by its serial.
fn policy(serial: u64) -> String {
    format!("serial = {serial}\n[[rule]]\nname = \"everything\"\nverdict = \"approve\"\nunlimited = true\n")
}

/// Puts the policy in place, with these people's signatures.
fn put(house: &House, text: &str, signers: &[&Person]) {
    sign(house, &signers.iter().map(|person| person.sign(NAMESPACE, text.as_bytes())).collect::<Vec<_>>());
    house.put_policy(text);
}

fn sign(house: &House, signatures: &[String]) {
    std::fs::write(house.dir.path().join("policy.toml.sig"), signatures.concat()).unwrap();
}

fn reload(house: &House) -> Result<(), String> {
    let (code, _, err) = texts(&house.output(&["policy", "reload"]));
    if code == Some(0) { Ok(()) } else { Err(err) }
}

fn refused(house: &House, words: &str) {
    let said = reload(house).expect_err("it is taken");
    assert!(said.contains(words), "{words}: {said}");
}

fn house(people: &Signers) -> House {
    let settings = Settings { more: people.section(), ..Settings::with_policy(&policy(1)) };
    let mut house = House::empty(settings);
    put(&house, &policy(1), &[&people.alice, &people.bob]);
    assert_eq!(texts(&house.output(&["init"])).0, Some(0));
    house.run();
    assert_eq!(house.register("test-agent").status, 200);
    house.wait("feeds=1");
    house
}

#[test]
fn a_policy_comes_into_force_only_with_the_signatures_that_the_deed_asks_for() {
    let people = Signers::make();
    let Signers { alice, bob, carol, mallory, .. } = &people;
    let house = house(&people);
    house.order(json!({}));
    house.wait("approved=1");
    let next = policy(2);
    let by = |person: &Person| person.sign(NAMESPACE, next.as_bytes());
    put(&house, &next, &[]);
    refused(&house, "must be signed by 2 of alice, bob, carol; ");
    refused(&house, "has good signatures of nobody");
    let few = [
        ("one", vec![by(alice)]),
        ("one twice", vec![by(alice), by(alice)]),
        ("a stranger's", vec![by(alice), by(mallory)]),
        ("for something else", vec![by(alice), bob.sign("signing-agent", next.as_bytes())]),
        ("of another text", vec![by(alice), bob.sign(NAMESPACE, policy(1).as_bytes())]),
        ("a torn one", vec![by(alice), by(bob).replace("-----END", "----END")]),
        ("nonsense", vec![by(alice), "nonsense".repeat(1000)]),
    ];
    for (what, signatures) in few {
        sign(&house, &signatures);
        let said = reload(&house).expect_err(what);
        assert!(said.contains("has good signatures of alice."), "{what}: {said}");
    }
    sign(&house, &vec![by(alice); 1000]);
    refused(&house, "larger than 64 KiB");
    assert!(status(&house)["alarms"].to_string().contains("must be signed"));
    // Bad ones among good ones say nothing.
    sign(&house, &["# by carol and bob\n".into(), by(mallory), by(carol), by(bob)]);
    reload(&house).unwrap();
    // The serial: none, the same of another text, an earlier one.
    put(&house, &policy(2).replace("serial = 2\n", ""), &[alice, bob]);
    refused(&house, "needs a serial");
    put(&house, &format!("{}# changed\n", policy(2)), &[alice, bob]);
    refused(&house, "serial 2 is that of another policy");
    put(&house, &policy(1), &[alice, bob]);
    refused(&house, "serial 1 is not above 2");
    put(&house, &policy(2), &[alice, bob]);
    reload(&house).expect("the same again");
    put(&house, &policy(9), &[alice, carol]);
    reload(&house).unwrap();
    let serials: Vec<_> = of_kind(&records(&house), "policy").iter().map(|record| record["serial"].clone()).collect();
    assert_eq!(serials, [json!(1), json!(2), json!(2), json!(9)]);
    house.assert_no_panic();
}

#[test]
fn an_agent_that_starts_with_an_unsigned_policy_signs_nothing_until_it_has_a_signed_one() {
    let people = Signers::make();
    let mut house = house(&people);
    house.stop();
    house.run();
    house.order(json!({}));
    house.wait("approved=1");
    house.stop();
    // Somebody changed it, and an old one would not do either.
    for (text, signers, words) in [
        (policy(2), vec![&people.alice], "has good signatures of alice"),
        (format!("{}# changed\n", policy(1)), vec![&people.alice, &people.bob], "serial 1 is that of another policy"),
    ] {
        put(&house, &text, &signers);
        house.run_unready();
        until("it says why", || status(&house)["trouble"].to_string().contains(words), || status(&house).to_string());
        house.stop();
    }
    // To name none is no way around.
    let config = std::fs::read_to_string(house.config()).unwrap();
    std::fs::write(house.config(), config.replace("file = \"policy.toml\"", "")).unwrap();
    house.run_unready();
    until(
        "it says why",
        || status(&house)["trouble"].to_string().contains("names none"),
        || status(&house).to_string(),
    );
    house.stop();
    std::fs::write(house.config(), config).unwrap();
    house.run_unready();
    house.wait("feeds=1");
    assert!(status(&house)["policy"].as_str().unwrap().starts_with("REFUSED, and nothing is signed"));
    assert!(status(&house)["alarms"].to_string().contains("serial 1"));
    let health = house.ask("GET", "/api/v1/healthcheck/status", "").json();
    assert!(health["Ready"] == false && health["Reasons"].to_string().contains("the policy is not taken"), "{health}");
    let held = house.order(json!({})).remove(0);
    house.logged(&["held: ", &held]);
    let reply = house.approve(&held);
    assert!(reply.status >= 500 && reply.json().to_string().contains("the policy is not taken"), "{}", reply.json());
    assert_eq!(texts(&house.output(&["unfreeze"])).0, Some(0), "that is another matter");
    assert!(house.approve(&held).status >= 500);
    assert_eq!((&house.action(&held)["status"], &house.action(&held)["signatures"]), (&json!("pending"), &json!([])));
    // Not even recorded: what is signed later may deny it.
    assert_eq!(status(&house)["actions"]["held"], 1, "{}", status(&house));
    refused(&house, "serial 1 is that of another policy");
    put(&house, &policy(2), &[&people.bob, &people.carol]);
    reload(&house).unwrap();
    house.wait("approved=2");
    assert_eq!(house.action(&held)["approvals"], 1);
    assert_eq!(status(&house)["trouble"], json!(null));
    house.assert_no_panic();
}
