//! A house whose api is captured: what its clients would say is said on its lane.

use crate::door::{Captured, Door, pid, status};
use ipc::{AccessFault, ActionId, Answer, Ask, Call, Caller, Refusal, Registration, Secret, Verb};
use serde_json::Value;
use signing_agent_tests::{House, Settings, until};
use std::net::IpAddr;
use std::path::PathBuf;

/// The seams' variables (`config::seams`).
const CLOCKS: &str = "SIGNING_AGENT_TEST_CLOCKS";

pub struct Desk {
    /// Goes first: the api ends in order.
    captured: Option<Captured>,
    pub house: House,
    pub vault: u32,
}

impl Desk {
    /// Initialised and not registered; `api` is the lines of `[api]`.
    pub fn of(api: &str, policy: &str) -> Self {
        Self::with(api, policy, |_| Vec::new())
    }

    /// The same, with more in the agent's environment.
    pub fn with(api: &str, policy: &str, more: impl Fn(&House) -> Vec<(&'static str, PathBuf)>) -> Self {
        let mut house = House::empty(Settings { api: api.into(), log_level: "info", ..Settings::with_policy(policy) });
        house.settings.environment = more(&house);
        house.settings.environment.push((CLOCKS, house.dir.path().join("clocks")));
        assert!(house.output(&["init"]).status.success());
        let mut desk = Self { captured: None, house, vault: 0 };
        desk.run();
        desk
    }

    /// The same, registered by a token of its own.
    pub fn registered(api: &str, policy: &str) -> Self {
        let mut desk = Self::of(api, policy);
        let token = desk.token("registrar", &["--scope", "register"]);
        let registration = desk.registration("agent");
        let answer = desk.door().ask(&by(&token, Call::Register(registration)));
        assert!(matches!(answer, Answer::Registered { .. }), "{answer:?}\n{}", desk.house.log());
        desk.house.wait("feeds=1");
        desk
    }

    /// Starts it, and captures the api once all is up.
    pub fn run(&mut self) {
        self.house.run_unready();
        let up = || {
            let said = status(&self.house);
            let trouble = said["trouble"].as_str().unwrap_or_default();
            (trouble.is_empty() || trouble.contains("confirm-clock"))
                && said["doors"] == serde_json::json!({ "api": true, "courier": true })
        };
        until("the house is up", up, || self.house.log());
        self.captured = Some(Captured::room(&self.house, "api"));
        self.vault = pid(&self.house, "vault");
    }

    pub fn stop(&mut self) {
        self.captured = None;
        assert!(self.house.stop().success());
    }

    /// The honest api goes on.
    pub fn release(&mut self) {
        self.captured = None;
    }

    pub fn door(&self) -> Door {
        Door::connect(&self.house, "api.sock")
    }

    /// What the operator asks.
    pub fn operator(&self, ask: &Ask) -> Answer {
        Door::connect(&self.house, "admin.sock").ask(ask)
    }

    pub fn registration(&mut self, name: &str) -> Registration {
        let partner = self.house.partner();
        let text = |name: &str| partner[name].as_str().unwrap().to_owned();
        Registration::new(name, &text("apiKey"), &text("base64PrivateKey")).unwrap()
    }

    /// A new token's text.
    pub fn token(&self, name: &str, more: &[&str]) -> String {
        let output = self.house.output(&[&["token", "add", name], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn revoke(&self, name: &str) {
        assert!(self.house.output(&["token", "revoke", name]).status.success());
    }

    /// So many seconds the wall clock, and the time since the boot, are ahead.
    pub fn set_clocks(&self, wall: i64, boot: i64) {
        let (new, file) = (self.house.dir.path().join("clocks.new"), self.house.dir.path().join("clocks"));
        std::fs::write(&new, format!("{wall} {boot}\n")).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// The audit log's records of this kind.
    pub fn records(&self, kind: &str) -> Vec<Value> {
        let output = self.house.output(&["audit", "export"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["kind"] == kind).collect()
    }

    pub fn status(&self) -> Box<ipc::Status> {
        match self.operator(&Ask::Status) {
            Answer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }
}

pub const HERE: [u8; 4] = [192, 0, 2, 1];

/// A call with this token; without one where it is empty.
pub fn by(token: &str, call: Call) -> Ask {
    from(HERE, token, call)
}

pub fn from(address: [u8; 4], token: &str, call: Call) -> Ask {
    let bearer = (!token.is_empty()).then(|| Secret::new(token.to_owned()));
    Ask::Call {
        caller: Caller { address: Some(IpAddr::from(address)), bearer, certificate: None, request: None },
        call,
    }
}

pub fn decide(id: &str, verb: Verb) -> Call {
    Call::Decide { action: ActionId::try_from(id.to_owned()).unwrap(), verb, statements: Vec::new() }
}

/// Why it was not let in; `None` where it was, whatever came of it then.
pub fn fault(answer: &Answer) -> Option<AccessFault> {
    match answer {
        Answer::Refused(Refusal::Access(fault)) => Some(*fault),
        _ => None,
    }
}
