//! Bearer tokens.

use crate::desk::{Desk, POLICY, refused};
use serde_json::{Value, json};
use signing_agent_tests::until;
use std::fs;

#[test]
fn a_token_releases_and_rejects_what_is_held_for_one() {
    let desk = Desk::of(POLICY);
    let token = desk.token("desk", &["--expires", "90d"]);
    let (yes, no) = (desk.held("transfer"), desk.held("transfer"));
    for (method, id) in [("PUT", &yes), ("DELETE", &no)] {
        assert_eq!(refused(&desk.decide(method, id, None, &[])), (401, "token-needed".into()));
        let wrong = format!("{token}x");
        for wrong in ["x", &wrong, &token[1..], &token.to_uppercase()] {
            assert_eq!(refused(&desk.decide(method, id, Some(wrong), &[])), (401, "token-unknown".into()), "{wrong}");
        }
    }
    assert_eq!((desk.house.stats()["puts"].clone(), desk.house.stats()["deletes"].clone()), (json!(0), json!(0)));
    let reply = desk.decide("PUT", &yes, Some(&token), &[]);
    assert_eq!((reply.status, reply.json()), (200, json!({ "actionID": yes, "status": "approved" })));
    assert_eq!(desk.decide("DELETE", &no, Some(&token), &[]).status, 200);
    assert_eq!((desk.status(&yes), desk.status(&no)), (json!("approved"), json!("rejected")));
    assert_eq!((desk.by(&yes), desk.by(&no)), (json!("token desk"), json!("token desk")));
    let refusals: Vec<Value> = desk.records("credential").iter().map(|r| r["refused"].clone()).collect();
    assert_eq!(refusals, ["token-unknown"; 2], "each action's once");
}

#[test]
fn a_token_ends_when_it_expires_or_is_revoked_and_only_its_hash_is_kept() {
    let desk = Desk::of(POLICY);
    let (good, short) = (desk.token("desk", &[]), desk.token("short", &["--expires", "1s"]));
    assert!(good.len() >= 43 && good != short);
    let id = desk.held("transfer");
    until("the short one is over", || refusal(&desk, &id, &short) == "token-expired", || desk.house.log());
    let list: Value = serde_json::from_slice(&desk.says(&["token", "list", "--json"]).stdout).unwrap();
    let names: Vec<&Value> = list.as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["desk", "short"]);
    assert_eq!(
        (&list[0]["scopes"], &list[0]["expires"], &list[0]["used"]),
        (&json!(["decide"]), &json!(null), &json!(null))
    );
    for (arguments, words) in [
        (&["token", "add", "desk", "--scope", "decide"][..], "there is a token desk already"),
        (&["token", "add", "De sk", "--scope", "decide"], "1 to 64"),
        (&["token", "revoke", "nobody"], "there is no token nobody"),
    ] {
        let output = desk.says(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
    }
    assert_eq!(desk.says(&["token", "add", "x", "--scope", "everything"]).status.code(), Some(2));
    let shown = [desk.says(&["token", "list"]).stdout, desk.says(&["token", "list", "--json"]).stdout].concat();
    assert!(!String::from_utf8_lossy(&shown).contains(&good));

    assert!(desk.says(&["token", "revoke", "desk"]).status.success());
    assert_eq!(refused(&desk.decide("PUT", &id, Some(&good), &[])), (401, "token-unknown".into()));
    let again = desk.token("desk", &[]);
    assert_eq!(desk.decide("PUT", &id, Some(&again), &[]).status, 200);
    let steps: Vec<(Value, Value)> =
        desk.records("token").iter().map(|record| (record["step"].clone(), record["name"].clone())).collect();
    let wanted = [("added", "desk"), ("added", "short"), ("revoked", "desk"), ("added", "desk")];
    assert_eq!(steps, wanted.map(|(step, name)| (json!(step), json!(name))));

    for file in fs::read_dir(desk.house.state()).unwrap().flatten().filter(|file| file.path().is_file()) {
        let octets = fs::read(file.path()).unwrap();
        for token in [&good, &short, &again] {
            assert!(!octets.windows(token.len()).any(|part| part == token.as_bytes()), "{}", file.path().display());
        }
    }
    let log = desk.house.log();
    assert!([good, short, again].iter().all(|token| !log.contains(token.as_str())), "a token is in the log");
}

/// Why the token does not release it now. A statement that is none comes with it, so that it does not release it before.
fn refusal(desk: &Desk, id: &str, token: &str) -> String {
    let none = json!({ "statement": "{}", "signature": "none" });
    refused(&desk.decide("PUT", id, Some(token), &[none])).1
}
