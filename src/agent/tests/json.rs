//! Results and errors for programs: the names that docs/commands.md promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::{House, fresh, texts, vault};
use ipc::{Answer, Ask, Change, InitReport, Refusal, Reloaded, Scope, Secret, StatementDraft, TokenInfo};
use serde_json::{Value, json};
use std::fs;

fn answer(ask: &Ask) -> Answer {
    let info = TokenInfo {
        name: "desk".into(),
        scopes: Scope::Decide.into(),
        per_minute: None,
        made: 1,
        expires: Some(2),
        used: None,
    };
    match ask {
        Ask::Status => Answer::Status(Box::new(fresh())),
        Ask::Tokens => Answer::Tokens(vec![info]),
        Ask::RegistrationWindow => Answer::RegistrationWindow(Some(60)),
        Ask::Init(_) => Answer::Initialised(InitReport { made: vec!["deed".into()], ..InitReport::default() }),
        Ask::Statement { .. } => {
            Answer::Statement(StatementDraft { text: "t\n".into(), facts: vec!["f".into()], words: "w".into() })
        }
        Ask::Decide { .. } => Answer::Decided { verb: ipc::Verb::Reject },
        Ask::Change { change: Change::TokenAdd { .. }, .. } => {
            Answer::TokenAdded { token: Secret::new("shown-once".into()), info }
        }
        Ask::Change { change: Change::Release { .. }, .. } => {
            Answer::Counted { have: 1, needed: 2, words: "bob".into() }
        }
        Ask::Change { change: Change::PolicyReload, .. } => Answer::PolicyReloaded(Reloaded {
            source: "policy.toml".into(),
            was: "a".into(),
            hash: "b".into(),
            serial: Some(3),
            warnings: vec!["a warning".into()],
        }),
        Ask::Change { change: Change::AcceptRollback, .. } => Answer::Recovered("taken".into()),
        _ => Answer::Noted,
    }
}

#[test]
fn every_result_is_json_where_that_is_asked_for_and_stderr_is_silent() {
    let house = House::new();
    vault(&house.lane("admin.sock"), answer);
    let policy = house.path("p.toml");
    fs::write(&policy, "[[rule]]\nname = \"all\"\nverdict = \"hold\"\n").unwrap();
    let policy = policy.to_str().unwrap();
    let token = json!({
        "name": "desk", "scopes": ["decide"], "per_minute": null, "made": 1, "expires": 2, "used": null
    });
    let mut added = token.clone();
    added["token"] = "shown-once".into();
    for (line, code, expected) in [
        ("init", 0, json!({ "made": ["deed"], "kept": [], "fingerprints": {}, "recipient": "", "warnings": [] })),
        ("freeze", 0, json!({ "frozen": true })),
        ("unfreeze", 0, json!({ "frozen": false })),
        ("confirm-clock", 0, json!({ "confirmed": true })),
        ("recover --accept-rollback", 0, json!({ "recovered": "taken" })),
        ("registration open --for 90s", 0, json!({ "open": true, "seconds": 90 })),
        ("registration close", 0, json!({ "open": false, "seconds": null })),
        ("registration status", 0, json!({ "open": true, "seconds": 60 })),
        ("token list", 0, json!([token])),
        ("token add desk --scope decide", 0, added),
        ("token revoke desk", 0, json!({ "name": "desk", "revoked": true })),
        ("statement w1", 0, json!({ "statement": "t\n", "facts": ["f"], "words": "w" })),
        ("actions reject w1", 0, json!({ "actionID": "w1", "status": "rejected" })),
        ("approve w1", 4, json!({ "actionID": "w1", "status": "held", "have": 1, "needed": 2, "missing": "bob" })),
        (
            "policy reload",
            0,
            json!({ "source": "policy.toml", "was": "a", "hash": "b", "serial": 3, "warnings": ["a warning"] }),
        ),
        ("version", 0, json!({ "version": env!("CARGO_PKG_VERSION") })),
    ] {
        // The flag stands wherever it likes.
        for arguments in [format!("--json {line}"), format!("{line} --json")] {
            let (got, out, err) = texts(&house.output(&arguments.split(' ').collect::<Vec<_>>()));
            assert_eq!(got, Some(code), "{line}: {out}{err}");
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected, "{line}");
            match code {
                0 => assert_eq!(err, "", "{line}"),
                _ => assert_eq!(error(&err)["code"], "more-people-needed"),
            }
        }
    }
    let (code, out, err) = texts(&house.output(&["policy", "check", policy, "--json"]));
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &checked["rules"], err.as_str()), (Some(0), &json!(1), ""), "{checked}");
    assert!(checked["hash"].is_string() && checked["warnings"].is_array(), "{checked}");
}

fn error(stderr: &str) -> Value {
    let value: Value =
        serde_json::from_str(stderr.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {stderr:?}"));
    assert!(value["error"]["words"].as_str().is_some_and(|words| !words.is_empty()), "{value}");
    value["error"].clone()
}

#[test]
fn every_error_is_a_line_of_json_on_stderr_with_a_name_that_stays() {
    let house = House::new();
    let says = |line: &str, code: i32, name: &str| {
        let (got, out, err) = texts(&house.output(&line.split(' ').collect::<Vec<_>>()));
        assert_eq!((got, out.as_str()), (Some(code), ""), "{line}: {err}");
        assert_eq!(error(&err)["code"], name, "{line}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    };
    says("status --json", 3, "no-vault");
    says("--json sign", 2, "usage");
    says("actions list --status nonsense --json", 2, "usage");
    says("actions show .. --json", 2, "usage");
    says("actions list --since yesterday --json", 2, "usage");
    says("recover --json", 2, "usage");
    says("policy check missing.toml --json", 1, "system");
    fs::write(house.path("bad.toml"), "nonsense").unwrap();
    says("policy check bad.toml --json", 1, "policy");
    let refusals = [
        (Refusal::NotReady("no \x1b[2Jtoken".into()), "not-ready"),
        (Refusal::Access(ipc::AccessFault::RegistrationClosed), "registration-closed"),
        (Refusal::Busy, "busy"),
        (Refusal::Backend { status: 401, words: "no".into() }, "backend"),
    ];
    let mut answers = refusals.clone().into_iter().cycle();
    vault(&house.lane("admin.sock"), move |_| Answer::Refused(answers.next().unwrap().0));
    for (_, name) in &refusals {
        says("freeze --json", 1, name);
    }
    fs::remove_file(house.lane("admin.sock")).unwrap();
    let needs = Answer::Refused(Refusal::NeedsSigners("2 of alice, bob".into()));
    vault(&house.lane("admin.sock"), move |_| needs.clone());
    says("unfreeze --json", 4, "needs-signers");
    house.configure("[hsm]\nmodul = \"x\"\n");
    says("status --json", 78, "config");
}
