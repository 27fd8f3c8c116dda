//! The example of an answerer, docs/examples/callback.py, as it stands in the documents.

use super::{approved_once, order_one, told, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The system's own, which Debian's python3-cryptography is for.
const PYTHON: &str = "/usr/bin/python3";

struct Answerer(Child);

impl Drop for Answerer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn answerer(house: &House, agent_key: &Path, port: u16, most: u64, refused: &str) -> Answerer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/callback.py");
    let log = std::fs::File::create(house.dir.path().join("python.log")).unwrap();
    let child = Command::new(PYTHON)
        .args([script.as_path(), agent_key, &house.dir.path().join("own.pem")])
        .args([port.to_string(), most.to_string(), refused.to_owned()])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let answerer = Answerer(child);
    let said = || std::fs::read_to_string(house.dir.path().join("python.log")).unwrap();
    until("callback.py listens", || TcpStream::connect(("127.0.0.1", port)).is_ok(), said);
    answerer
}

/// An initialised house that runs and asks this port; the key that its operator made with openssl, as the example says.
fn house(port: u16) -> House {
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    let path = |name: &str| house.dir.path().join(name).display().to_string();
    run("openssl", &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &path("own.pem")]);
    run("openssl", &["ec", "-in", &path("own.pem"), "-pubout", "-out", &path("callback-key.pem")]);
    house.settings.more = format!(
        "\n[callback]\nurl = \"http://127.0.0.1:{port}\"\npublic_key_file = \"callback-key.pem\"\nretries = 0\n"
    );
    house.write_config();
    assert!(house.output(&["init"]).status.success());
    house.run();
    house
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_python_example_approves_what_is_within_its_bounds_and_rejects_the_rest() {
    let port = free_port();
    let mut house = house(port);
    let agent_key = house.dir.path().join("agent.pem");
    let printed = house.output(&["callback-key"]);
    assert!(printed.status.success());
    std::fs::write(&agent_key, printed.stdout).unwrap();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    // The simulator's addresses come from the asset; this one is learnt from it.
    let shown = house.control("POST", "/actions", Some(json!({"kind": "withdraw", "amount": 1, "announce": false})));
    let listed = destination(&shown["actions"][0]["messages"][0]);
    let answerer = answerer(&house, &agent_key, port, 1000, &listed.to_uppercase());
    let good = order_one(&house, json!({"kind": "transfer", "amount": 1000}));
    let much = order_one(&house, json!({"kind": "transfer", "amount": 1001}));
    let there =
        order_one(&house, json!({"kind": "withdraw", "amount": 1, "messages": shown["actions"][0]["messages"]}));
    let opaque = order_one(&house, json!({"kind": "opaque"}));
    house.wait("approved=1&rejected=2");
    approved_once(&house, &good);
    unsigned(&house, &much, "rejected");
    unsigned(&house, &there, "rejected");
    assert_eq!(told(&house.approve(&much)).1, "the callback says REJECT: it moves more than 1000");
    assert!(told(&house.approve(&there)).1.starts_with("the callback says REJECT: it goes to "));
    house.logged(&["held: ", &opaque]);
    let (status, detail) = told(&house.approve(&opaque));
    assert_eq!((status, detail.as_str()), (503, "it is held: the callback says IGNORE: it does not say what it moves"));
    drop(answerer);
    house.assert_no_panic();
}

#[test]
fn the_python_example_answers_nobody_but_its_agent() {
    let port = free_port();
    let mut house = house(port);
    let stranger = house.dir.path().join("callback-key.pem");
    let _answerer = answerer(&house, &stranger, port, u64::MAX, "");
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    let id = order_one(&house, json!({}));
    house.logged(&["held: no second opinion", &id, "the callback answered 400"]);
    unsigned(&house, &id, "pending");
    house.assert_no_panic();
}

#[test]
fn the_python_example_has_sixty_lines_at_the_most_and_needs_what_debian_has() {
    let text = include_str!("../../../docs/examples/callback.py");
    assert!(text.lines().count() <= 60, "{}", text.lines().count());
    run(PYTHON, &["-c", "import cryptography"]);
}

/// Where the first settlement of this message goes.
fn destination(message: &serde_json::Value) -> String {
    let octets = hex::decode(message.as_str().unwrap()).unwrap();
    let facts = policy::Facts::of(&policy::decode(&octets), &octets);
    facts.wallet.expect("a wallet asset").moves.remove(0).to
}
