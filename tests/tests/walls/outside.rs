//! The courier's lane in the test's hands: what it says is the backend, to the vault.

use crate::door::{Door, status};
use ipc::{Answer, Ask, Errand, Method, Outcome};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{House, call, until};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Courier<'a> {
    house: &'a House,
    pub door: Door,
    agent: String,
}

impl<'a> Courier<'a> {
    pub fn connect(house: &'a House, agent: &str) -> Self {
        let mut courier = Self { house, door: Door::connect(house, "courier.sock"), agent: agent.to_owned() };
        // It is connected before the vault knows: once it is answered, nothing goes to the one before it any more.
        courier.reports(0, replied(200, ""));
        courier
    }

    pub fn feed(&mut self, message: &str) -> Answer {
        self.door.ask(&Ask::FeedMessage(message.into()))
    }

    pub fn event(&self, id: &str, claim: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({"id": id, "coreClientID": self.agent, "type": claim, "status": "pending", "timestamp": now,
               "expireTime": now + 600})
    }

    /// An event that the vault takes for an action, its bytes fetched at once; what the vault wants next.
    pub fn announce(&mut self, id: &str, claim: &str, message: &str) {
        let event = self.event(id, claim).to_string();
        assert_eq!(self.feed(&event), Answer::Noted);
        let get = self.next(Method::Get, id);
        self.serve(&get, message);
    }

    /// The next errand, which must be this.
    pub fn next(&mut self, method: Method, id: &str) -> Errand {
        match self.door.ask(&Ask::NextErrand) {
            Answer::Errand(errand) => {
                let expected = (method, format!("action/{id}"));
                assert_eq!((errand.method, errand.tail.clone()), expected, "{}", self.house.log());
                errand
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next errand, which must be about this action, whatever it asks.
    pub fn next_of(&mut self, id: &str) -> Errand {
        match self.door.ask(&Ask::NextErrand) {
            Answer::Errand(errand) if errand.tail == format!("action/{id}") => errand,
            other => panic!("{other:?}\n{}", self.house.log()),
        }
    }

    pub fn serve(&mut self, errand: &Errand, message: &str) {
        self.done(errand.id, json!({ "messages": [message] }));
    }

    pub fn done(&mut self, errand: u64, body: Value) {
        self.reports(errand, replied(200, &body.to_string()));
    }

    pub fn reports(&mut self, errand: u64, outcome: Outcome) {
        assert_eq!(self.door.ask(&Ask::ErrandDone { errand, outcome }), Answer::Noted);
    }

    pub fn rejects(&mut self, id: &str) {
        let delete = self.next(Method::Delete, id);
        self.done(delete.id, json!({}));
    }

    /// The approval of this message and nothing else.
    pub fn approves(&mut self, id: &str, message: &str) {
        let put = self.next(Method::Put, id);
        signs(self.house, &put, message);
        self.done(put.id, json!({}));
    }

    pub fn until_stands(&self, actions: Value) {
        let stands = || status(self.house)["actions"].clone();
        until("the ledger says so", || stands() == actions, || format!("{}\n{}", stands(), self.house.log()));
    }
}

pub fn replied(status: u16, body: &str) -> Outcome {
    Outcome::Reply { status, body: body.as_bytes().to_vec(), retry_after: None, date: None }
}

/// The audit log's records of this kind.
pub fn records(house: &House, kind: &str) -> Vec<Value> {
    let path = house.dir.path().join("export");
    let output = house.output(&["audit", "export", "--output", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

/// All that was ever signed: action and SHA-256 of the message.
pub fn signed(house: &House) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = |record: &Value| -> Vec<(String, String)> {
        let messages = record["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| (text(&record["action"]), text(message))).collect()
    };
    records(house, "signed").iter().flat_map(each).collect()
}

/// SHA-256 of a message's octets, hex.
pub fn digest(message: &str) -> String {
    hex::encode(Sha256::digest(hex::decode(message).unwrap()))
}

/// The one signature of an approval is this agent's, over this message.
pub fn signs(house: &House, put: &Errand, message: &str) {
    let agents = house.control("GET", "/agents", None);
    let key = hex::decode(agents[0]["blsPublicKey"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&put.body).unwrap();
    let signatures = body["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 1, "{body}");
    let signature = milagro::Signature::from_bytes(&hex::decode(signatures[0].as_str().unwrap()).unwrap()).unwrap();
    let message = hex::decode(message).unwrap();
    milagro::PublicKey::from_bytes(&key).unwrap().verify(&message, &signature).expect("a signature over these bytes");
}

/// An asset of this kind that no feed has told of, hex.
pub fn asset(house: &House, kind: &str) -> String {
    let made = house.control("POST", "/actions", Some(json!({"kind": kind, "announce": false})));
    made["actions"][0]["messages"][0].as_str().unwrap().to_owned()
}

pub fn agent_id(house: &House) -> String {
    house.ask("GET", "/api/v1/client", "").json()["agentID"].as_str().unwrap().to_owned()
}

pub fn put(house: &House, id: &str) -> thread::JoinHandle<u16> {
    decide(house, "PUT", id)
}

pub fn delete(house: &House, id: &str) -> thread::JoinHandle<u16> {
    decide(house, "DELETE", id)
}

/// The partner app's word, and the status that it gets.
pub fn decide(house: &House, method: &'static str, id: &str) -> thread::JoinHandle<u16> {
    let url = house.url(&format!("/api/v1/client/action/{id}"));
    thread::spawn(move || call(method, &url, &[], b"").expect("the api answers").status)
}
