//! A house whose changes two of alice, bob and carol sign, and whose policies dave signs; dave releases withdrawals too.

use serde_json::{Value, json};
use signing_agent_tests::{House, Person, Reply, Settings, call, until};
use std::process::Output;
use tempfile::TempDir;

pub const NAMESPACE: &str = "signing-agent-change";

/// Withdrawals take dave, transfers of ETH a token, those of currency 6 nobody, all else any client.
pub const POLICY: &str = "serial = 1\n[currencies]\nETH = { code = 4, decimals = 18, addresses = \"any-case\" }\n\
                          OURS = { code = 6, decimals = 18, addresses = \"any-case\" }\n\
                          [[rule]]\nname = \"out\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\n\
                          release = { approvers = 1, of = [\"dave\"] }\n\
                          [[rule]]\nname = \"inside\"\nverdict = \"hold\"\naction_types = [\"ApproveTransfer\"]\n\
                          currencies = [\"ETH\"]\nrelease = \"token\"\n\
                          [[rule]]\nname = \"ours\"\nverdict = \"approve\"\ncurrencies = [\"OURS\"]\nunlimited = true\n";

pub struct Board {
    pub house: House,
    people: Vec<Person>,
    pub keys: TempDir,
}

impl Board {
    pub fn new() -> Self {
        let keys = TempDir::with_prefix("signing-agent-").unwrap();
        let staff = ["alice", "bob", "carol", "dave", "mallory"];
        let people: Vec<Person> = staff.map(|name| Person::make(keys.path(), name, "ed25519")).into();
        let mut board = Self { house: House::empty(Settings::with_policy(POLICY)), people, keys };
        board.house.settings.more = board.section(&["alice", "bob", "carol"], 2);
        board.house.write_config();
        board.put_policy(POLICY);
        let init = board.says(&["init"]);
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        board.house.run();
        assert_eq!(board.house.register("test-agent").status, 200);
        board.house.wait("feeds=1");
        board
    }

    /// `[people]` with so many of these for a change.
    pub fn section(&self, names: &[&str], signatures: usize) -> String {
        let lines: Vec<String> = names.iter().map(|name| self.person(name).line()).collect();
        let dave = [self.person("dave").line()];
        format!(
            "[people]\napprovers = {}\npolicy_signers = {}\npolicy_signatures = 1\nchange_signers = {}\nchange_signatures = {signatures}\n",
            json!(dave),
            json!(dave),
            json!(lines)
        )
    }

    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.name == name).unwrap()
    }

    /// Signed by dave.
    pub fn put_policy(&self, text: &str) {
        let signature = self.person("dave").sign("signing-agent-policy", text.as_bytes());
        std::fs::write(self.house.dir.path().join("policy.toml.sig"), signature).unwrap();
        self.house.put_policy(text);
    }

    pub fn says(&self, arguments: &[&str]) -> Output {
        self.house.output(arguments)
    }

    /// What is to be signed for this command.
    pub fn draft(&self, command: &[&str]) -> String {
        self.draft_for(command, "1d")
    }

    pub fn draft_for(&self, command: &[&str], good_for: &str) -> String {
        let file = tempfile::tempdir().unwrap();
        let file = file.path().join("draft").display().to_string();
        let output = self.says(&[command, &["--draft", &file, "--good-for", good_for]].concat());
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(file).unwrap()
    }

    /// The command with this text signed by these.
    pub fn signed(&self, command: &[&str], text: &str, names: &[&str]) -> (i32, String) {
        let signed = names.iter().map(|name| (text, self.person(name).sign(NAMESPACE, text.as_bytes())));
        self.brings(command, &signed.collect::<Vec<_>>())
    }

    /// The command with these texts and signatures: its exit code and what it said.
    pub fn brings(&self, command: &[&str], signed: &[(&str, String)]) -> (i32, String) {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        for (n, (text, signature)) in signed.iter().enumerate() {
            for (flag, text) in [("--statement", *text), ("--signature", signature.as_str())] {
                let file = dir.path().join(format!("{n}{flag}"));
                std::fs::write(&file, text).unwrap();
                arguments.extend([flag.to_owned(), file.display().to_string()]);
            }
        }
        said(&self.says(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// Drafted, signed by alice and bob, and made.
    pub fn does(&self, command: &[&str]) -> String {
        let text = self.draft(command);
        let (code, words) = self.signed(command, &text, &["alice", "bob"]);
        assert_eq!(code, 0, "{command:?}: {words}");
        words
    }

    pub fn held(&self, order: Value) -> String {
        let id = self.house.order(order).remove(0);
        until("it is held", || self.says(&["statement", &id]).status.success(), || self.house.log());
        id
    }

    pub fn put(&self, id: &str, token: Option<&str>, statements: &[Value]) -> Reply {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        let body = if statements.is_empty() { String::new() } else { json!({ "statements": statements }).to_string() };
        let url = self.house.url(&format!("/api/v1/client/action/{id}"));
        call("PUT", &url, &headers, body.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{}", self.house.log()))
    }

    /// An approver's word on an action, as the API takes it.
    pub fn statement(&self, name: &str, id: &str) -> Value {
        let output = self.says(&["statement", id]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        json!({ "statement": text, "signature": self.person(name).sign("signing-agent", text.as_bytes()) })
    }

    /// The audit log's records of this kind, and the log is whole.
    pub fn records(&self, kind: &str) -> Vec<Value> {
        let output = self.says(&["audit", "export"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["kind"] == kind).collect()
    }

    pub fn status(&self) -> Value {
        serde_json::from_slice(&self.says(&["status", "--json"]).stdout).unwrap()
    }

    pub fn action(&self, id: &str) -> Value {
        self.house.action(id)["status"].clone()
    }
}

/// Exit code, and both outputs.
pub fn said(output: &Output) -> (i32, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// A statement with another value in it.
pub fn with(text: &str, name: &str, value: Value) -> String {
    let mut statement: Value = serde_json::from_str(text).unwrap();
    statement[name] = value;
    statement.to_string() + "\n"
}
