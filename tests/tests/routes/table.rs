//! The rows.

use ipc::{ActionId, ActionQuery, Call, Matter, Registration, Scope, Verb};
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::collections::BTreeSet;

/// A route, what it takes, and what the api asks of the vault for it.
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    pub scope: Scope,
    pub body: &'static str,
    /// How it is answered to who is let in, on a registered agent that has no such action and no open registration.
    pub passes: &'static [u16],
    pub call: fn() -> Call,
}

const ID: &str = "nothing";

fn id() -> ActionId {
    ActionId::try_from(ID.to_owned()).unwrap()
}

fn decide(verb: Verb) -> Call {
    Call::Decide { action: id(), verb, statements: Vec::new() }
}

const fn row(
    method: &'static str,
    path: &'static str,
    scope: Scope,
    passes: &'static [u16],
    call: fn() -> Call,
) -> Row {
    Row { method, path, scope, body: "", passes, call }
}

/// A registration whose key is none.
const REGISTRATION: &str = r#"{"name":"agent","APIKey":"some-key","Base64PrivateKey":"bm8ga2V5"}"#;

pub const ROWS: [Row; 16] = [
    Row {
        body: REGISTRATION,
        ..row("post", "/api/v1/register", Scope::Register, &[400], || {
            Call::Register(Registration::new("agent", "some-key", "bm8ga2V5").unwrap())
        })
    },
    row("get", "/api/v1/client", Scope::Read, &[200], || Call::Client),
    row("get", "/api/v1/client/feed", Scope::Feed, &[426], || Call::Feed),
    row("get", "/api/v1/client/action/{id}", Scope::Read, &[404], || Call::Action(id())),
    row("put", "/api/v1/client/action/{id}", Scope::Decide, &[404], || decide(Verb::Approve)),
    row("delete", "/api/v1/client/action/{id}", Scope::Decide, &[404], || decide(Verb::Reject)),
    row("get", "/api/v1/actions", Scope::Read, &[200], || {
        Call::Actions(ActionQuery { states: Vec::new(), since: 0, after: None, limit: 1 })
    }),
    row("get", "/api/v1/policy", Scope::Read, &[200], || Call::Policy { offset: 0 }),
    Row {
        body: r#"{"actionID":"nothing"}"#,
        ..row("post", "/api/v1/policy/explain", Scope::Read, &[404], || Call::Explain(Matter::Known(id())))
    },
    row("get", "/api/v1/healthcheck/version", Scope::Read, &[200], || Call::Enter(Scope::Read)),
    row("get", "/api/v1/healthcheck/config", Scope::Read, &[200], || Call::Enter(Scope::Read)),
    row("get", "/api/v1/healthcheck/status", Scope::Read, &[200], || Call::Health),
    row("get", "/api/v1/healthcheck/ready", Scope::Read, &[200], || Call::Health),
    row("get", "/readyz", Scope::Read, &[200], || Call::Health),
    row("get", "/metrics", Scope::Metrics, &[200], || Call::Metrics),
    row("get", "/openapi.json", Scope::Read, &[200], || Call::Enter(Scope::Read)),
];

impl Row {
    pub fn place(&self) -> String {
        self.path.replace("{id}", ID)
    }
}

/// The document has these routes and these scopes, and no other.
pub fn assert_complete(document: &Value) {
    let mut told = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let security: Vec<Value> = operation["security"].as_array().unwrap().clone();
            let scope = security[0]["bearer"][0].as_str().unwrap().to_owned();
            assert_eq!(security, [json!({ "bearer": [scope] }), json!({ "mutualTLS": [scope] })], "{method} {path}");
            told.insert((method.clone(), path.clone(), scope));
        }
    }
    let row = |row: &Row| {
        assert_eq!((row.call)().scope(), row.scope, "what the api asks for {} {}", row.method, row.path);
        (row.method.to_owned(), row.path.to_owned(), row.scope.as_str().to_owned())
    };
    let rows: BTreeSet<_> = ROWS.iter().map(row).collect();
    assert_eq!(rows, told, "each route has a row here, with the scope that it wants");
}

/// A registered house, whose way of letting in is then another one.
pub fn house(more: impl FnOnce(&mut House)) -> House {
    let mut house = House::registered(Settings::default());
    assert_complete(&house.ask("GET", "/openapi.json", "").json());
    more(&mut house);
    house
}

/// Starts it anew with these lines in `[api]`; returns when its vault is at work.
pub fn with(house: &mut House, api: &str) {
    house.stop();
    house.settings.api = api.to_owned();
    house.write_config();
    house.run_unready();
    let doors = || door_status(house)["doors"]["api"] == true && door_status(house)["trouble"].is_null();
    until("the vault is at work", doors, || house.log());
}

fn door_status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// A new token's text.
pub fn token(house: &House, name: &str, scopes: &str, more: &[&str]) -> String {
    let output = house.output(&[&["token", "add", name, "--scope", scopes], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// All scopes but this.
pub fn others(scope: Scope) -> String {
    let others: Vec<&str> = Scope::ALL.iter().filter(|other| **other != scope).map(|other| other.as_str()).collect();
    others.join(",")
}
