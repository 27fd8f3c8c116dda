//! A house with approvers, and what they do.

use serde_json::{Value, json};
use signing_agent_tests::{House, Person, Reply, Settings, call, until};
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// Withdrawals take two of three people, transfers of ETH a token, all else any client.
pub const POLICY: &str = "[currencies]\nETH = { code = 4, decimals = 18, addresses = \"any-case\" }\n\
                          [[rule]]\nname = \"out\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\n\
                          release = { approvers = 2, of = [\"alice\", \"bob\", \"carol\"] }\n\
                          [[rule]]\nname = \"inside\"\nverdict = \"hold\"\naction_types = [\"ApproveTransfer\"]\n\
                          currencies = [\"ETH\"]\nrelease = \"token\"\n";

pub const NAMESPACE: &str = "signing-agent";

pub struct Desk {
    pub house: House,
    /// alice, bob, carol, and dave, who is an approver of no rule.
    pub people: Vec<Person>,
    pub keys: TempDir,
}

impl Desk {
    pub fn of(policy: &str) -> Self {
        Self::with(Settings::with_policy(policy))
    }

    pub fn with(settings: Settings) -> Self {
        let (people, keys, settings) = Self::staff(settings);
        Self { house: House::registered(settings), people, keys }
    }

    /// Four people, two kinds of keys, and a configuration that names them.
    pub fn staff(mut settings: Settings) -> (Vec<Person>, TempDir, Settings) {
        let keys = TempDir::with_prefix("signing-agent-").unwrap();
        let staff = [("alice", "ed25519"), ("bob", "ecdsa"), ("carol", "ed25519"), ("dave", "ed25519")];
        let people: Vec<Person> = staff.into_iter().map(|(name, kind)| Person::make(keys.path(), name, kind)).collect();
        let lines: Vec<String> = people.iter().map(Person::line).collect();
        settings.more += &format!("[people]\napprovers = {}\n", json!(lines));
        (people, keys, settings)
    }

    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.name == name).unwrap()
    }

    /// An action of this kind that is held.
    pub fn held(&self, kind: &str) -> String {
        self.held_order(json!({ "kind": kind }))
    }

    /// One that any client may release.
    pub fn open(&self) -> String {
        self.held_order(json!({ "kind": "transfer", "currency": 5 }))
    }

    fn held_order(&self, order: Value) -> String {
        let id = self.house.order(order).remove(0);
        until("it is held", || self.says(&["statement", &id]).status.success(), || self.house.log());
        id
    }

    /// `signing-agent …`, run to its end.
    pub fn says(&self, arguments: &[&str]) -> Output {
        self.house.output(arguments)
    }

    /// What an approver is to sign.
    pub fn draft(&self, id: &str, more: &[&str]) -> String {
        let output = self.says(&[&["statement", id], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Drafted by the agent and signed by this person, as the API takes it.
    pub fn statement(&self, name: &str, id: &str, more: &[&str]) -> Value {
        self.signed(name, &self.draft(id, more))
    }

    pub fn signed(&self, name: &str, text: &str) -> Value {
        json!({ "statement": text, "signature": self.person(name).sign(NAMESPACE, text.as_bytes()) })
    }

    pub fn put(&self, id: &str, statements: &[Value]) -> Reply {
        self.decide("PUT", id, None, statements)
    }

    pub fn decide(&self, method: &str, id: &str, token: Option<&str>, statements: &[Value]) -> Reply {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        let body = if statements.is_empty() { String::new() } else { json!({ "statements": statements }).to_string() };
        let url = self.house.url(&format!("/api/v1/client/action/{id}"));
        call(method, &url, &headers, body.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{}", self.house.log()))
    }

    /// A new token's text.
    pub fn token(&self, name: &str, more: &[&str]) -> String {
        let output = self.says(&[&["token", "add", name, "--scope", "decide"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The audit log's records of this kind.
    pub fn records(&self, kind: &str) -> Vec<Value> {
        let output = self.says(&["audit", "export"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["kind"] == kind).collect()
    }

    /// By whom it was decided.
    pub fn by(&self, id: &str) -> Value {
        let decisions = self.records("decision");
        decisions.iter().rev().find(|record| record["action"] == id).map_or(Value::Null, |record| record["by"].clone())
    }

    pub fn status(&self, id: &str) -> Value {
        self.house.action(id)["status"].clone()
    }
}

/// The reply's status and its stable cause.
pub fn refused(reply: &Reply) -> (u16, String) {
    let json = reply.json();
    (reply.status, json["Reason"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned())
}

pub fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.display().to_string()
}
