//! Bad input from either side, through the whole house: a clear error each time, and an agent that works on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Reply, Settings};
use std::thread;

/// What no test needs to keep secret.
const EC_PEM: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFVIhBNXjs56A11wxtgASUjrVHn4PCeFGeITI6NCatM7oAoGCCqGSM49
AwEHoUQDQgAEvDIQASwvHZ400URxuevK1oj8e0Z9STaNd9XMO809t0wy+yWnb69w
at0gv4jODLKzhEAoyjXIiQIuxMQR4KGmCg==
-----END EC PRIVATE KEY-----
";
const EC_PKCS8_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVUiEE1eOznoDXXDG
2ABJSOtUefg8J4UZ4hMjo0Jq0zuhRANCAAS8MhABLC8dnjTRRHG568rWiPx7Rn1J
No131cw7zT23TDL7Jadvr3Bq3SC/iM4MsrOEQCjKNciJAi7ExBHgoaYK
-----END PRIVATE KEY-----
";

/// What a partner app is told: the status, and the body's Detail where it is an error. Every error is JSON.
fn told(reply: &Reply) -> (u16, String) {
    let detail = reply.json()["Detail"].as_str().unwrap_or_default().to_owned();
    if reply.status != 200 {
        let (json, status) = (reply.json(), reply.status);
        assert!(json["Code"] == status && json["Msg"].is_string() && !detail.is_empty(), "{status} {json}");
        assert!(reply.head.to_lowercase().contains("x-content-type-options: nosniff"), "{}", reply.head);
    }
    (reply.status, detail)
}

fn assert_approves(house: &House) {
    let id = house.order(json!({"announce": false})).remove(0);
    let reply = house.approve(&id);
    assert_eq!(reply.status, 200, "{}\n{}", reply.json(), house.log());
    assert_eq!(house.action(&id)["approvals"], 1);
    house.assert_no_panic();
}

/// Malformed requests have not reached the backend.
fn assert_unheard(house: &House) {
    let stats = house.stats();
    assert_eq!((&stats["gets"], &stats["refusalsTotal"]), (&json!(0), &json!(0)), "{stats}");
}

/// Refused by the same words each, whether the agent is registered or not.
fn refuses_odd_requests(house: &House) {
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/client/", 404),
        ("GET", "/api/v1/client/feed/", 404),
        ("POST", "/api/v1/register/", 404),
        ("PUT", "/api/v1/client/action", 404),
        ("PUT", "/api/v1/client/action/a/b", 404),
        ("PUT", "/api/v1/client/action/../../register", 404),
        ("GET", "//api/v1/client", 404),
        ("GET", "/API/v1/client", 404),
        ("GET", "/api/v1/client%2Ffeed", 404),
        ("GET", "/api/v1/healthcheck/nothing", 404),
        ("GET", "/api/v1/register", 405),
        ("PUT", "/api/v1/register", 405),
        ("POST", "/api/v1/client", 405),
        ("DELETE", "/api/v1/client", 405),
        ("POST", "/api/v1/client/action/w1", 405),
        ("PATCH", "/api/v1/client/action/w1", 405),
        ("BREW", "/api/v1/client", 405),
        ("POST", "/api/v1/client/feed", 405),
    ] {
        assert_eq!(told(&house.ask(method, path, "")).0, status, "{method} {path}");
    }
    let long = "a".repeat(5000);
    for id in [
        "..",
        ".",
        "%2e%2e",
        "%2E",
        "..%2Finit",
        "%2e%2e%2Finit",
        "a%2Fb",
        "%2F",
        "a%5Cb",
        "a%3Fb",
        "%3Fa=1",
        "a%23b",
        "a%00b",
        "a%0Ab",
        "a%0D%0Ax-sign:%201",
        "a%20b",
        "a..b",
        "%C3%A4",
        "%FF",
        "%",
        "%zz",
        "a%",
        "%252F",
        "a;b",
        "a&b",
        "a@b",
        "<a>",
        "a\"b",
        "a|b",
        "{id}",
        long.as_str(),
    ] {
        for method in ["PUT", "DELETE"] {
            let reply = house.ask(method, &format!("/api/v1/client/action/{id}"), "");
            let (status, detail) = (reply.status, reply.json()["Detail"].as_str().unwrap_or_default().to_owned());
            // What is no URL at all ends at the HTTP library, which says less.
            assert_eq!(status, 400, "{method} {id:.80} {detail}");
            assert!(detail.is_empty() || detail.contains("not an action id"), "{method} {id:.80} {detail}");
        }
    }
    for id in ["", "%20", "%09%20", "?id=w1"] {
        assert_eq!(told(&house.approve(id)), (400, "empty actionID".into()), "{id}");
        assert_eq!(told(&house.reject(id)), (400, "empty actionID".into()), "{id}");
    }
    for (method, path) in [("POST", "/api/v1/register"), ("PUT", "/api/v1/client/action/w1"), ("GET", "/api/v1/client")]
    {
        let (status, detail) = told(&house.ask(method, path, &"x".repeat(1 << 20)));
        assert!(status == 413 && detail.contains("longer"), "{method} {path} {detail}");
    }
    assert_unheard(house);
    house.assert_no_panic();
}

#[test]
fn odd_paths_methods_ids_and_bodies_are_refused_before_and_after_registration() {
    let mut house = House::start(Settings::default());
    refuses_odd_requests(&house);
    assert_eq!(house.register("test-agent").status, 200);
    refuses_odd_requests(&house);
    assert_approves(&house);
}

#[test]
fn before_registration_there_is_no_agent_to_decide_and_no_feed() {
    let mut house = House::start(Settings::default());
    assert_eq!(told(&house.approve("w1")), (404, "agentID".into()));
    assert_eq!(told(&house.reject("w1")), (404, "agentID".into()));
    assert_eq!(told(&house.ask("GET", "/api/v1/client/feed", "")).0, 409);
    let url = house.url("/api/v1/client/feed");
    let headers =
        [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")];
    let reply = signing_agent_tests::call("GET", &url, &headers, b"").unwrap();
    assert_eq!(told(&reply).0, 409, "with an upgrade too");
    let reply = signing_agent_tests::call("GET", &url, &[("Origin", "https://example.com")], b"").unwrap();
    assert_eq!(told(&reply).0, 403, "and never for a foreign page");
    assert_eq!(house.register("test-agent").status, 200);
    assert_approves(&house);
}

#[test]
fn a_registration_that_is_none_is_refused_field_by_field_and_nothing_is_sent() {
    let mut house = House::start(Settings::default());
    let partner = house.partner();
    let good = json!({"name": "n", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let mut bodies: Vec<(String, &str)> = Vec::new();
    for wrong in ["[]", "\"name\"", "7", "true", "{", "{}{}", "\u{feff}{}", "{\"name\":1}", "{\"name\":{}}", "name=n"] {
        bodies.push((wrong.into(), "invalid json"));
    }
    bodies.push(("[".repeat(60_000), "invalid json"));
    for nothing in ["", " ", "{}", "null", "{\"other\":1}"] {
        bodies.push((nothing.into(), "name"));
    }
    for (field, named, most) in
        [("name", "name", 256), ("APIKey", "APIKey", 256), ("Base64PrivateKey", "base64PrivateKey", 16_384)]
    {
        for bad in [json!(""), json!(" \t\n"), json!(null), json!("x".repeat(most + 1))] {
            bodies.push((with(field, bad), named));
        }
        bodies.push((with(field, json!([1])), "invalid json"));
    }
    for (body, detail) in &bodies {
        assert_eq!(told(&house.ask("POST", "/api/v1/register", body)), (400, (*detail).to_owned()), "{body:.60}");
    }
    house.assert_no_panic();
    assert_unheard(&house);
}

#[test]
fn a_private_key_that_is_none_is_refused_and_the_detail_says_why() {
    let mut house = House::start(Settings::default());
    let partner = house.partner();
    let pem = STANDARD.decode(partner["base64PrivateKey"].as_str().unwrap()).unwrap();
    let half = &pem[..pem.len() / 2];
    for (key, words) in [
        ("%%%".to_owned(), "not base64"),
        (format!("{}=", partner["base64PrivateKey"].as_str().unwrap()), "not base64"),
        (STANDARD.encode("no PEM at all"), "no PEM"),
        (STANDARD.encode([0xff; 1000]), "no PEM"),
        (STANDARD.encode(half), "no PEM"),
        (STANDARD.encode(EC_PEM), "no RSA private key"),
        (STANDARD.encode(EC_PKCS8_PEM), "no RSA private key"),
        (STANDARD.encode(partner["publicKeyPem"].as_str().unwrap()), "no RSA private key"),
        (
            STANDARD.encode("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
            "no RSA private key",
        ),
    ] {
        let body = json!({"name": "n", "APIKey": partner["apiKey"], "Base64PrivateKey": key});
        let (status, detail) = told(&house.ask("POST", "/api/v1/register", &body.to_string()));
        assert_eq!(status, 400, "{key:.40} {detail}");
        assert!(detail.starts_with("base64PrivateKey: ") && detail.contains(words), "{key:.40}: {detail}");
    }
    assert_unheard(&house);
    assert_eq!(house.stats()["initOk"], 0);
    assert_eq!(house.register("test-agent").status, 200);
    assert_approves(&house);
}

#[test]
fn an_action_without_good_messages_is_never_signed_and_never_a_success() {
    for policy in [None, Some(APPROVE_ALL)] {
        let house = House::registered(Settings { policy: policy.map(str::to_owned), ..Settings::default() });
        let good = house.control("POST", "/actions", Some(json!({"announce": false})));
        let good = good["actions"][0]["messages"][0].as_str().unwrap().to_owned();
        for (messages, status, words) in [
            (json!([]), 404, "messages"),
            (json!([""]), 502, "empty message"),
            (json!([good, ""]), 502, "empty message"),
            (json!(["zz"]), 502, "no hex"),
            (json!([good, "0"]), 502, "no hex"),
            (json!([good, format!("0x{good}")]), 502, "no hex"),
            (json!([format!(" {good}")]), 502, "no hex"),
        ] {
            for announce in [false, true] {
                let ids = house.order(json!({"messages": messages, "announce": announce, "count": 2}));
                for _ in 0..2 {
                    let (answered, detail) = told(&house.approve(&ids[0]));
                    assert!(answered == status && detail.contains(words), "{messages:.80} {answered} {detail}");
                }
                assert_eq!(house.reject(&ids[1]).status, 200, "it can be rejected all the same: {messages:.80}");
                assert_eq!(house.action(&ids[0])["status"], "pending");
                assert_eq!(house.action(&ids[1])["status"], "rejected");
            }
        }
        let stats = house.stats();
        assert_eq!((&stats["puts"], &stats["refusals"]), (&json!(0), &json!([])), "nothing was even sent: {stats}");
        assert_approves(&house);
    }
}

#[test]
fn a_backend_that_fails_is_named_to_the_partner_app_with_its_status_and_words() {
    let house = House::registered(Settings::default());
    for (fault, status, words) in [
        (json!({"status": 401, "body": "who are you"}), 502, "the backend answered 401: who are you"),
        (json!({"status": 403, "body": "no"}), 502, "the backend answered 403: no"),
        (json!({"status": 500, "body": "oh\nno\u{1b}[31m"}), 502, "the backend answered 500: oh no"),
        (json!({"status": 503}), 502, "the backend answered 503"),
        (json!({"status": 302}), 502, "the backend answered 302"),
        (json!({"status": 404}), 404, "the backend knows no such action"),
        (json!({"status": 200}), 502, "malformed"),
        (json!({"status": 200, "body": "\"00\""}), 502, "malformed"),
        (json!({"status": 200, "body": "{\"messages\":\"00\"}"}), 502, "malformed"),
        (json!({"status": 200, "body": "{\"messages\":[1]}"}), 502, "malformed"),
        (json!({"status": 200, "body": "{}"}), 404, "messages"),
        (json!({"status": 200, "body": "x".repeat(2 << 20)}), 502, "the reply is too long"),
        (json!({"status": 500, "body": "x".repeat(500_000)}), 502, "the backend answered 500"),
        (json!({"garbage": true}), 502, "malformed"),
        (json!({"drop": true}), 502, "the backend is not reached"),
    ] {
        let id = house.order(json!({"announce": false})).remove(0);
        // A pass that is not believed has one fresh one.
        house.fault("get", fault.clone(), if fault["status"] == 401 { 2 } else { 1 });
        let reply = house.approve(&id);
        let (answered, detail) = told(&reply);
        assert!(answered == status && detail.contains(words), "GET {fault:.80} {answered} {detail:.200}");
        assert!(reply.body.len() < 2000 && !detail.contains(char::is_control), "{detail:?}");
        assert_eq!(house.approve(&id).status, 200, "asked again, it works: {fault:.80}");
    }
    for (fault, words, later) in [
        (json!({"status": 401, "body": "who are you"}), "the backend answered 401: who are you", 200),
        (json!({"status": 500, "body": "oh no"}), "the backend answered 500: oh no", 200),
        (json!({"drop": true}), "the backend is not reached", 200),
        (json!({"dropAfter": true}), "the backend is not reached", 200),
        (json!({"status": 400, "body": "never"}), "the backend answered 400: never", 409),
    ] {
        let id = house.order(json!({"announce": false})).remove(0);
        house.fault("put", fault.clone(), if fault["status"] == 401 { 2 } else { 1 });
        let (answered, detail) = told(&house.approve(&id));
        assert!(answered == 502 && detail.contains(words), "PUT {fault} {answered} {detail}");
        assert_eq!(house.approve(&id).status, later, "{fault}");
    }
    assert_eq!(house.stats()["refusals"], json!([]));
    assert_approves(&house);
}

#[test]
fn a_backend_that_does_not_answer_a_decision_is_a_504_and_the_agent_works_on() {
    let house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 3, "announce": false}));
    house.fault("get", json!({"delayMs": 120_000}), 1);
    let late = || (504, "the backend did not answer in time".to_owned());
    thread::scope(|scope| {
        let get = scope.spawn(|| told(&house.approve(&ids[0])));
        house.wait("faultsFired=1");
        house.fault("put", json!({"delayMs": 120_000}), 1);
        let put = scope.spawn(|| told(&house.approve(&ids[1])));
        house.wait("faultsFired=2");
        house.fault("delete", json!({"delayMs": 120_000}), 1);
        let delete = scope.spawn(|| told(&house.reject(&ids[2])));
        house.wait("faultsFired=3");
        // Others do not wait for those.
        assert_approves(&house);
        assert_eq!((get.join().unwrap(), put.join().unwrap(), delete.join().unwrap()), (late(), late(), late()));
    });
    assert_eq!(
        (house.approve(&ids[0]).status, house.approve(&ids[1]).status, house.reject(&ids[2]).status),
        (200, 200, 200)
    );
    assert_eq!(house.stats()["refusals"], json!([]));
    assert_approves(&house);
}
