//! What the API has beyond the Go agent's, before a vault that says what a test wants.

use crate::support::{self, Api, registered};
use ipc::{
    AccessFault, ActionId, ActionLine, ActionList, ActionQuery, ActionState, ActionStory, Answer, Call, Matter, Moment,
    PolicyPart, Refusal, Scope,
};
use serde_json::{Value, json};

fn id(name: &str) -> ActionId {
    ActionId::try_from(name.to_owned()).unwrap()
}

fn line(name: &str) -> ActionLine {
    ActionLine {
        id: id(name),
        state: ActionState::Held,
        claim: Some("ApproveTransfer".into()),
        expires: Some(200),
        seen: 100,
        settled: None,
        verdict: Some("hold".into()),
        rule: Some("people".into()),
        why: Some("held by rule \"people\"".into()),
        decided_by: None,
        facts: "a wallet".into(),
    }
}

#[test]
fn a_list_is_asked_for_as_the_query_says_and_its_cursor_comes_back_as_it_was() {
    let next = Some((100, id("a.b:c")));
    let told = next.clone();
    let api = Api::new(move |_| Some(Answer::ActionList(ActionList { actions: vec![line("w1")], next: told.clone() })));
    let reply = api.ask("GET", "/api/v1/actions", "").json();
    let whole = json!({
        "actionID": "w1", "status": "held", "type": "ApproveTransfer", "seen": 100, "expires": 200, "settled": null,
        "verdict": "hold", "rule": "people", "why": "held by rule \"people\"", "decidedBy": null, "summary": "a wallet",
    });
    assert_eq!(reply["actions"], json!([whole]));
    let usual = ActionQuery { states: Vec::new(), since: 0, after: None, limit: 50 };
    assert_eq!(api.vault.asked(), Call::Actions(usual.clone()));
    let cursor = reply["next"].as_str().unwrap();
    let path = format!("/api/v1/actions?cursor={cursor}&limit=7&status=held,seen");
    assert_eq!(api.ask("GET", &path, "").status, 200);
    let states = vec![ActionState::Held, ActionState::Seen];
    assert_eq!(api.vault.asked(), Call::Actions(ActionQuery { states, after: next, limit: 7, ..usual }));
    let reply = api.ask("GET", "/api/v1/actions?limit=201", "");
    assert_eq!((reply.status, &reply.json()["Reason"]), (400, &json!("query-invalid")));
}

#[test]
fn a_story_has_all_of_the_line_and_more_and_of_an_unknown_action_there_is_none() {
    let story = ActionStory {
        line: line("w1"),
        policy: Some("ab".repeat(32)),
        release: Some("2 of alice, bob".into()),
        approvals: vec!["alice".into()],
        digests: vec!["cd".repeat(32)],
        facts: vec!["a wallet".into()],
        timeline: vec![Moment { record: 7, at: 101, what: "decision".into(), words: "hold by policy".into() }],
    };
    let api = Api::new(move |call| {
        let Call::Action(action) = call else { return None };
        Some(Answer::ActionStory((action.as_str() == "w1").then(|| Box::new(story.clone()))))
    });
    let told = api.ask("GET", "/api/v1/client/action/w1", "").json();
    assert_eq!(
        (&told["status"], &told["approvals"], &told["summary"]),
        (&json!("held"), &json!(["alice"]), &json!("a wallet"))
    );
    assert_eq!(told["timeline"], json!([{ "record": 7, "at": 101, "what": "decision", "words": "hold by policy" }]));
    assert_eq!(told["release"], "2 of alice, bob");
    let reply = api.ask("GET", "/api/v1/client/action/w2", "");
    assert_eq!((reply.status, &reply.json()["Reason"]), (404, &json!("action-unknown")));
    for bad in ["a..b", "%20", "a%2Fb", "%ff"] {
        let reply = api.ask("GET", &format!("/api/v1/client/action/{bad}"), "");
        assert_eq!((reply.status, &reply.json()["Reason"]), (400, &json!("action-id-invalid")), "{bad}");
    }
}

#[test]
fn the_policy_is_told_whole_from_its_parts_and_one_that_is_replaced_meanwhile_is_read_again() {
    let asked = std::sync::atomic::AtomicU64::new(0);
    let part = |hash: &str, total: usize, octets: &[u8]| {
        let (hash, source, octets) = (hash.to_owned(), "policy.toml".to_owned(), octets.to_vec());
        Answer::PolicyPart(PolicyPart { hash, serial: Some(3), loaded: Some(9), source, total: total as u64, octets })
    };
    let api = Api::new(move |call| {
        let Call::Policy { offset } = call else { return None };
        Some(match (asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst), offset) {
            (0, 0) => part("old", 6, b"old"),
            (1, 3) => part("new", 4, b"y"),
            (2, 0) => part("new", 4, b"pol"),
            (3, 3) => part("new", 4, b"y"),
            other => panic!("{other:?}"),
        })
    });
    let whole = json!({ "source": "policy.toml", "hash": "new", "serial": 3, "loaded": 9, "text": "poly" });
    assert_eq!(api.ask("GET", "/api/v1/policy", "").json(), whole);
    let api = Api::new(move |_| Some(part("large", 2 << 20, b"x")));
    assert_eq!(api.ask("GET", "/api/v1/policy", "").json()["text"], Value::Null);
    // A vault that lies about the length gets no loop out of the api.
    let api = Api::new(move |_| Some(part("short", 5, b"")));
    assert_eq!(api.ask("GET", "/api/v1/policy", "").fault().0, 500);
}

#[test]
fn an_explanation_is_passed_on_as_the_vault_gave_it_and_asked_for_as_it_was_meant() {
    let told = json!({
        "then": null, "type": "ApproveTransfer", "expires": null, "at": 5, "policy": { "source": "p", "hash": "h", "serial": null },
        "messages": [{ "kind": "opaque", "digest": "d" }], "rules": [{ "name": "r", "verdict": "hold", "failed": [null, "no"] }],
        "verdict": "hold", "rule": null, "why": "w", "contradiction": false,
        "release": { "token": true, "approvers": [{ "needed": 1, "of": ["alice"] }] },
        "windows": [{ "window": "d", "period": 9, "amount": null, "maxAmount": "4", "maxCount": null, "used": { "amount": "1", "count": 2 }, "fits": false }],
    });
    let said = told.to_string();
    let api = Api::new(move |_| Some(Answer::Explained(said.clone())));
    let body = r#"{"messages":["ff00"],"type":"ApproveTransfer"}"#;
    let reply = api.ask("POST", "/api/v1/policy/explain", body);
    assert_eq!((reply.status, reply.json()), (200, told));
    let claim = Some("ApproveTransfer".to_owned());
    assert_eq!(api.vault.asked(), Call::Explain(Matter::Messages { messages: vec![vec![0xff, 0]], claim }));
    api.ask("POST", "/api/v1/policy/explain", r#"{"actionID":"w1"}"#);
    assert_eq!(api.vault.asked(), Call::Explain(Matter::Known(id("w1"))));
    let reply = api.ask("POST", "/api/v1/policy/explain", "{}");
    assert_eq!((reply.status, &reply.json()["Reason"]), (400, &json!("body-invalid")));
    for (refusal, status, reason) in [
        (Refusal::UnknownAction, 404, "action-unknown"),
        (Refusal::Unexplained("too much".into()), 409, "not-explained"),
        (Refusal::Busy, 503, "busy"),
    ] {
        let api = Api::new(move |_| Some(Answer::Refused(refusal.clone())));
        let reply = api.ask("POST", "/api/v1/policy/explain", r#"{"actionID":"w1"}"#);
        assert_eq!((reply.status, &reply.json()["Reason"]), (status, &json!(reason)));
    }
    let api = Api::new(|_| Some(Answer::Explained("{\"some\":\"other\"}".into())));
    assert_eq!(api.ask("POST", "/api/v1/policy/explain", r#"{"actionID":"w1"}"#).fault().0, 500);
}

#[test]
fn every_call_carries_the_token_and_what_is_answered_here_is_asked_for_first() {
    let api = Api::new(registered);
    let document = api.ask("GET", "/openapi.json", "").json();
    assert_eq!(api.vault.asked(), Call::Enter(Scope::Read));
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            // The last, for it ends the api.
            if path == "/api/v1/register" {
                continue;
            }
            let body = if path.ends_with("explain") { r#"{"actionID":"w1"}"# } else { "" };
            let headers = "Authorization: Bearer the-token\r\n";
            let (method, path) = (method.to_uppercase(), path.replace("{id}", "w1"));
            // What this vault does not answer stays open: that it was asked is enough.
            let mut stream = support::connect(api.addr);
            std::io::Write::write_all(&mut stream, support::request(&method, &path, headers, body).as_bytes()).unwrap();
            let (caller, call) = api.vault.called();
            assert_eq!(caller.bearer.unwrap().expose(), "the-token", "{method} {path}");
            let scope =
                &document["paths"][&path.replace("/w1", "/{id}")][&method.to_lowercase()]["security"][0]["bearer"];
            assert_eq!(scope, &json!([call.scope().as_str()]), "the document's scope of {method} {path}");
            let broken = support::request(&method, &path, "Authorization: Basic x\r\n", body);
            let reply = api.send(broken.as_bytes());
            assert_eq!((reply.status, &reply.json()["Reason"]), (401, &json!("token-malformed")), "{method} {path}");
        }
    }
    let request = support::request("POST", "/api/v1/register", "Authorization: Bearer the-token\r\n", support::WELL);
    assert_eq!(api.send(request.as_bytes()).status, 200);
    assert_eq!(api.vault.called().0.bearer.unwrap().expose(), "the-token");
}

#[test]
fn the_document_refers_to_nothing_that_is_not_in_it() {
    let document = Api::new(registered).ask("GET", "/openapi.json", "").json();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("Signing agent")));
    let text = document.to_string();
    let named = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing: Vec<&str> = named.filter(|name| document["components"]["schemas"].get(*name).is_none()).collect();
    assert_eq!(missing, [""; 0]);
    for scheme in ["bearer", "mutualTLS"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
}

#[test]
fn a_refusal_has_a_reason_that_is_on_the_list_and_says_when_to_come_again() {
    let api = Api::new(registered);
    let document = api.ask("GET", "/openapi.json", "").json();
    let reasons = document["components"]["schemas"]["Reason"]["enum"].as_array().unwrap().clone();
    assert!(reasons.len() > 50, "{reasons:?}");
    let end = |end| Refusal::Contradiction(end);
    let mut refusals = vec![
        (Refusal::NotReady("w".into()), None),
        (Refusal::Denied("w".into()), None),
        (Refusal::Window("w".into()), None),
        (Refusal::Busy, Some("1")),
        (Refusal::NeedsSigners("w".into()), None),
        (end(ipc::ActionEnd::Unknown), None),
        (Refusal::Timeout, None),
    ];
    refusals.extend(AccessFault::ALL.map(|fault| {
        let seconds = matches!(fault, AccessFault::TokenLimit(_)).then_some("1");
        (Refusal::Access(fault), seconds)
    }));
    for (refusal, again) in refusals {
        let said = refusal.clone();
        let api = Api::new(move |_| Some(Answer::Refused(said.clone())));
        let reply = api.ask("PUT", "/api/v1/client/action/w1", "");
        assert!(reasons.contains(&reply.json()["Reason"]), "{refusal:?}: {}", reply.body);
        assert_eq!(reply.header("retry-after"), again, "{refusal:?}");
        assert_eq!(reply.header("www-authenticate").is_some(), reply.status == 401, "{refusal:?}");
        if let Refusal::Access(fault) = refusal {
            assert_eq!(reply.json()["Reason"], fault.code());
        }
    }
    for (method, path, status, reason) in [
        ("GET", "/nowhere", 404, "no-such-path"),
        ("POST", "/api/v1/client", 405, "method-not-allowed"),
        ("PUT", "/api/v1/client/action/", 400, "action-id-invalid"),
        ("GET", "/api/v1/client/feed", 426, "websocket-needed"),
    ] {
        let reply = api.ask(method, path, "");
        assert_eq!((reply.status, &reply.json()["Reason"]), (status, &json!(reason)), "{method} {path}");
        assert!(reasons.contains(&json!(reason)));
    }
}
