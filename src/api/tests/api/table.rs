//! The table of protocol.md §7, and what becomes of each refusal.

use crate::support::{self, Api, WELL, registered};
use ipc::{ActionEnd, Answer, Call, FeedState, Health, KeyFault, Refusal, Verb};
use serde_json::json;

#[test]
fn a_good_registration_gets_the_agent_id_and_the_local_feed_url() {
    let api = Api::new(registered);
    let reply = api.ask("POST", "/api/v1/register", WELL);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({ "agentID": "5zPW", "feedURL": format!("ws://{}/api/v1/client/feed", api.addr) }));
    let Call::Register(registration) = api.vault.asked() else { panic!("asked for something else") };
    assert_eq!(registration.name(), "agent");
    assert_eq!(registration.api_key().expose(), "the-api-key");
    assert_eq!(registration.private_key().expose(), "dGhlIHBlbQ==");
}

#[test]
fn registration_takes_the_shell_examples_spelling_and_any_content_type() {
    let api = Api::new(registered);
    let body = r#"{"name":"agent","apikey":"k","base64privatekey":"cA=="}"#;
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let reply = api.send(crate::support::request("POST", "/api/v1/register", headers, body).as_bytes());
    assert_eq!(reply.status, 200);
}

#[test]
fn approve_and_reject_tell_what_became_of_the_action() {
    let api = Api::new(registered);
    for (method, verb, word) in [("PUT", Verb::Approve, "approved"), ("DELETE", Verb::Reject, "rejected")] {
        let reply = api.ask(method, "/api/v1/client/action/w1", "");
        assert_eq!((reply.status, reply.json()), (200, json!({ "actionID": "w1", "status": word })));
        let Call::Decide { action, verb: asked, statements } = api.vault.asked() else {
            panic!("asked for something else")
        };
        assert_eq!((action.as_str(), asked, statements), ("w1", verb, Vec::new()));
    }
    let reply = api.ask("PUT", "/api/v1/client/action/a%3Ab", "a body that nobody needs");
    assert_eq!(reply.json()["actionID"], "a:b");
}

#[test]
fn what_a_decision_comes_with_is_passed_on_as_it_came() {
    let api = Api::new(registered);
    let body = r#"{"statements":[{"statement":"{\"verb\":\"approve\"}\n","signature":"-----BEGIN\nand so on"}]}"#;
    for method in ["PUT", "DELETE"] {
        let headers = "Authorization: Bearer the-token\r\n";
        let request = support::request(method, "/api/v1/client/action/w1", headers, body);
        assert_eq!(api.send(request.as_bytes()).status, 200);
        let (caller, call) = api.vault.called();
        let Call::Decide { statements, .. } = call else { panic!("asked for something else") };
        assert_eq!(caller.bearer.unwrap().expose(), "the-token");
        assert_eq!(statements[0].statement, "{\"verb\":\"approve\"}\n");
        assert_eq!(statements[0].signature, "-----BEGIN\nand so on");
    }
}

#[test]
fn a_decision_that_lacks_something_is_told_what_for_people_and_for_machines() {
    use ipc::CredentialFault as F;
    let who = || Some("alice".to_owned());
    for (refusal, status, cause, words) in [
        (Refusal::NeedsToken, 401, "token-needed", "Authorization: Bearer"),
        (Refusal::NeedsApprovers("2 of\n[alice]".into()), 403, "approvers-needed", "2 of [alice]"),
        (Refusal::Credential { fault: F::TokenExpired, who: None }, 401, "token-expired", "the token has expired"),
        (Refusal::Credential { fault: F::Expired, who: who() }, 403, "statement-expired", "alice: it has expired"),
    ] {
        let said = refusal.clone();
        let api = Api::new(move |_| Some(Answer::Refused(said.clone())));
        let reply = api.ask("PUT", "/api/v1/client/action/w1", "");
        assert_eq!((reply.status, &reply.json()["Reason"]), (status, &json!(cause)), "{refusal:?}");
        assert!(reply.json()["Detail"].as_str().unwrap().contains(words), "{}", reply.json());
        assert_eq!(reply.header("www-authenticate"), (status == 401).then_some("bearer"));
    }
    let counted = Answer::Counted { have: 1, needed: 2, words: "1 of [bob], 0 so far".into() };
    let api = Api::new(move |_| Some(counted.clone()));
    let reply = api.ask("PUT", "/api/v1/client/action/w1", "");
    let told = json!({
        "actionID": "w1", "status": "held", "approvals": 1, "needed": 2, "missing": "1 of [bob], 0 so far",
    });
    assert_eq!((reply.status, reply.json()), (202, told));
    assert_eq!(api.ask("DELETE", "/api/v1/client/action/w1", "").status, 500, "no rejection is counted");
}

#[test]
fn the_client_is_nobody_before_registration_and_somebody_after() {
    let api = Api::new(|_| Some(Answer::Client { agent_id: None }));
    let feed = format!("ws://{}/api/v1/client/feed", api.addr);
    let reply = api.ask("GET", "/api/v1/client", "");
    assert_eq!((reply.status, reply.json()), (200, json!({ "agentID": "", "feedURL": feed })));
    let reply = Api::new(registered).ask("GET", "/api/v1/client?x=y", "");
    assert_eq!((reply.status, &reply.json()["agentID"]), (200, &json!("5zPW")));
}

#[test]
fn health_is_told_with_the_go_agents_fields() {
    let api = Api::new(registered);
    let feed = format!("ws://{}/api/v1/client/feed", api.addr);
    let reply = api.ask("GET", "/api/v1/healthcheck/status", "");
    let socket = json!({
        "ReadyState": "OPEN", "RemoteFeedUrl": "wss://backend.example/feed", "LocalFeedUrl": feed, "ConnectedClients": 0,
    });
    let whole = json!({
        "WebSocket": socket, "Ready": true, "Reasons": [], "Registered": true, "FeedAgeSeconds": 3, "NextExpiry": null,
        "Warnings": ["the certificate expires in 9 days"],
    });
    assert_eq!(reply.json(), whole);
    let reply = api.ask("GET", "/api/v1/healthcheck/ready", "");
    assert_eq!((reply.status, reply.json()), (200, whole));
    let version = api.ask("GET", "/api/v1/healthcheck/version", "").json();
    assert_eq!(version["BuildVersion"], env!("CARGO_PKG_VERSION"));
    assert!(version["BuildType"].is_string() && version["BuildDate"].is_string());
    assert_eq!(api.ask("GET", "/api/v1/healthcheck/config", "").json(), json!({ "shown": 1 }));

    let closed = FeedState::Closed { why: "refused".into(), retry_ms: 500 };
    for (feed, word) in [(FeedState::Idle, "CLOSED"), (FeedState::Connecting, "CONNECTING"), (closed, "CLOSED")] {
        let health = Health { ready: false, reasons: vec!["the token: gone".into()], feed, ..support::health() };
        let api = Api::new(move |_| Some(Answer::Health(health.clone())));
        let told = api.ask("GET", "/api/v1/healthcheck/status", "").json();
        assert_eq!((&told["WebSocket"]["ReadyState"], &told["Ready"]), (&json!(word), &json!(false)));
        let reply = api.ask("GET", "/api/v1/healthcheck/ready", "");
        assert_eq!((reply.status, &reply.json()["Reasons"]), (503, &json!(["the token: gone"])));
    }
}

#[test]
fn each_refusal_has_its_status_and_words() {
    let words = || "some\nwords".to_owned();
    let table = [
        (Refusal::NotReady(words()), 503, "some words"),
        (Refusal::AlreadyRegistered, 400, "AgentID already exist. You can not set new one."),
        (Refusal::NotRegistered, 404, "agentID"),
        (Refusal::RegistrationBusy, 409, "a registration is under way"),
        (Refusal::PrivateKey(KeyFault::NotBase64), 400, "base64PrivateKey: not base64"),
        (Refusal::PrivateKey(KeyFault::NotPem), 400, "base64PrivateKey: no PEM"),
        (Refusal::PrivateKey(KeyFault::NotRsa), 400, "base64PrivateKey: no RSA private key (PKCS#1 or PKCS#8)"),
        (Refusal::UnknownAction, 404, "the backend knows no such action"),
        (Refusal::NoMessages, 404, "messages"),
        (Refusal::Denied(words()), 403, "some words"),
        (Refusal::Window(words()), 429, "some words"),
        (Refusal::NoSecondOpinion(words()), 503, "it is held: some words"),
        (Refusal::Unexplained(words()), 409, "some words"),
        (Refusal::Contradiction(ActionEnd::Approved), 409, "action is already approved"),
        (Refusal::Contradiction(ActionEnd::Rejected), 409, "action is already rejected"),
        (Refusal::Contradiction(ActionEnd::Expired), 409, "action has expired"),
        (Refusal::Contradiction(ActionEnd::Failed), 409, "action has failed"),
        (Refusal::Contradiction(ActionEnd::Unknown), 409, "what became of the action is not known"),
        (Refusal::Backend { status: 401, words: words() }, 502, "the backend answered 401: some words"),
        (Refusal::Unreachable(words()), 502, "the backend is not reached: some words"),
        (Refusal::Timeout, 504, "the backend did not answer in time"),
        (Refusal::Malformed(words()), 502, "the backend's answer is malformed: some words"),
        (Refusal::Busy, 503, "too much at once; ask again"),
        (Refusal::Init("the token's secret".into()), 500, "internal error; the agent's log says more"),
        (Refusal::Internal, 500, "internal error; the agent's log says more"),
    ];
    for (refusal, status, detail) in table {
        let said = refusal.clone();
        let api = Api::new(move |_| Some(Answer::Refused(said.clone())));
        let want = (status, detail.to_owned());
        for (method, path) in [
            ("PUT", "/api/v1/client/action/w1"),
            ("DELETE", "/api/v1/client/action/w1"),
            ("GET", "/api/v1/client"),
            ("GET", "/api/v1/client/feed"),
            ("GET", "/api/v1/healthcheck/status"),
        ] {
            assert_eq!(api.ask(method, path, "").fault(), want, "{method} {path} {refusal:?}");
        }
        // The last, for it ends the api.
        assert_eq!(api.ask("POST", "/api/v1/register", WELL).fault(), want, "register {refusal:?}");
    }
}

#[test]
fn an_answer_that_does_not_fit_is_an_internal_error() {
    let api = Api::new(|_| Some(Answer::Noted));
    for (method, path) in [
        ("PUT", "/api/v1/client/action/w1"),
        ("GET", "/api/v1/client"),
        ("GET", "/api/v1/client/feed"),
        ("GET", "/api/v1/healthcheck/status"),
        ("POST", "/api/v1/register"),
    ] {
        assert_eq!(api.ask(method, path, WELL).fault().0, 500, "{method} {path}");
    }
    let api = Api::new(|_| Some(Answer::Decided { verb: Verb::Reject }));
    assert_eq!(api.ask("PUT", "/api/v1/client/action/w1", "").fault().0, 500, "approved is not rejected");
}
