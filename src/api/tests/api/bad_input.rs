//! Bad input: a clear answer, no ask to the vault, and the api lives on.

use crate::support::{Api, Reply, WELL, connect, registered, request};
use ipc::{Call, Scope};
use signing_agent_api::{End, Times};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// Nothing was asked of the vault, and the api still answers.
fn untouched(api: &Api) {
    assert!(api.vault.asks.try_recv().is_err(), "the vault was asked");
    assert_eq!(api.ask("GET", "/api/v1/healthcheck/version", "").status, 200);
}

fn only_who_may_was_asked(api: &Api) {
    assert!(api.vault.asks.try_iter().all(|(_, call)| matches!(call, Call::Enter(Scope::Register))));
}

#[test]
fn a_registration_that_lacks_something_is_told_what_and_its_keys_do_not_stay_in_memory() {
    let long = "x".repeat(257);
    let very_long = "x".repeat(16_385);
    for (body, detail) in [
        ("", "name"),
        ("{}", "name"),
        ("null", "name"),
        (r#"{"APIKey":"k","Base64PrivateKey":"p"}"#, "name"),
        (r#"{"name":"  ","APIKey":"k","Base64PrivateKey":"p"}"#, "name"),
        (&format!(r#"{{"name":"{long}","APIKey":"k","Base64PrivateKey":"p"}}"#), "name"),
        (r#"{"name":"n","Base64PrivateKey":"p"}"#, "APIKey"),
        (r#"{"name":"n","APIKey":"\t\n","Base64PrivateKey":"p"}"#, "APIKey"),
        (&format!(r#"{{"name":"n","APIKey":"{long}","Base64PrivateKey":"p"}}"#), "APIKey"),
        (r#"{"name":"n","APIKey":"k"}"#, "base64PrivateKey"),
        (r#"{"name":"n","APIKey":"k","Base64PrivateKey":""}"#, "base64PrivateKey"),
        (&format!(r#"{{"name":"n","APIKey":"k","Base64PrivateKey":"{very_long}"}}"#), "base64PrivateKey"),
        ("[]", "invalid json"),
        (r#"{"name":7,"APIKey":"k","Base64PrivateKey":"p"}"#, "invalid json"),
        (r#"{"name":"n""#, "invalid json"),
        ("name=n&APIKey=k", "invalid json"),
        (&format!("{WELL}x"), "invalid json"),
    ] {
        let mut api = Api::new(registered);
        let reply = api.ask("POST", "/api/v1/register", body);
        assert_eq!(reply.fault(), (400, detail.to_owned()), "{body:.60}");
        if body.len() > 32 {
            assert_eq!((reply.header("connection"), api.end()), (Some("close"), End::Retired), "{body:.60}");
        } else {
            assert_eq!(api.ask("GET", "/api/v1/client", "").status, 200);
            assert!(matches!(api.vault.asked(), Call::Enter(Scope::Register)));
            assert_eq!(api.vault.asked(), Call::Client);
        }
        only_who_may_was_asked(&api);
    }
}

#[test]
fn an_action_id_that_is_none_goes_nowhere() {
    let api = Api::new(registered);
    for method in ["PUT", "DELETE"] {
        for blank in ["", "%20", "%09%20"] {
            let fault = api.ask(method, &format!("/api/v1/client/action/{blank}"), "").fault();
            assert_eq!(fault, (400, "empty actionID".to_owned()), "{blank:?}");
        }
        let long = "a".repeat(129);
        for bad in [
            "a%2Fb", "a%3Fb", "a%23b", "a%2E%2Eb", "..", "%2e%2e", ".", "a%20b", "a%00", "%zz", "%", "%ff", "%C3%A4",
            &long,
        ] {
            let (status, detail) = api.ask(method, &format!("/api/v1/client/action/{bad}"), "").fault();
            assert_eq!(status, 400, "{bad:?}");
            assert!(detail.starts_with("not an action id"), "{bad:?}: {detail}");
        }
    }
    untouched(&api);
}

#[test]
fn credentials_that_are_none_go_nowhere_and_are_not_repeated() {
    let api = Api::new(registered);
    let long = format!("Bearer {}", "x".repeat(200));
    for value in ["Basic c2VjcmV0", "Bearer", "Bearer se cret", "secret", &long] {
        let headers = format!("Authorization: {value}\r\n");
        let reply = api.send(request("PUT", "/api/v1/client/action/w1", &headers, "").as_bytes());
        let (status, detail) = reply.fault();
        assert!(status == 401 && !detail.contains("secret") && !detail.contains("xxx"), "{value}: {detail}");
        assert_eq!(reply.header("www-authenticate"), Some("bearer"));
    }
    let many = [r#"{"statement":"a","signature":"b"}"#; 9].join(",");
    for body in
        [r#"{"statements":{}}"#, r#"{"statements":[{"statement":"a"}]}"#, &format!(r#"{{"statements":[{many}]}}"#)]
    {
        let (status, detail) = api.ask("DELETE", "/api/v1/client/action/w1", body).fault();
        assert!(status == 400 && detail.contains("signature"), "{body}: {detail}");
    }
    untouched(&api);
}

#[test]
fn unknown_paths_and_wrong_methods_are_refused_in_json() {
    let api = Api::new(registered);
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/register/",
        "/api/v1/client/",
        "/api/v1/client/action",
        "/api/v1/client/action/a/b",
        "/api/v1/client/action/a/",
        "/api/v1/client/feed/",
        "/API/v1/client",
        "//api/v1/client",
        "/api/v1/../v1/client",
        "/api/v1/healthcheck/",
        "/api/v2/client",
    ] {
        for method in ["GET", "POST", "PUT"] {
            assert_eq!(api.ask(method, path, "").fault(), (404, "no such path".to_owned()), "{method} {path}");
        }
    }
    for (method, path, allow) in [
        ("GET", "/api/v1/register", "post"),
        ("PUT", "/api/v1/register", "post"),
        ("OPTIONS", "/api/v1/register", "post"),
        ("POST", "/api/v1/client", "get,head"),
        ("POST", "/api/v1/client/action/w1", "get,head,put,delete"),
        ("POST", "/api/v1/client/action/", "put,delete"),
        ("POST", "/api/v1/client/feed", "get,head"),
        ("BREW", "/api/v1/healthcheck/status", "get,head"),
    ] {
        let reply = api.ask(method, path, "");
        assert_eq!(reply.fault().0, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    untouched(&api);
}

#[test]
fn an_enormous_body_is_refused_and_the_client_hears_it() {
    // 2 MiB: more than the sockets' buffers take, so all of it must be read before the client listens.
    let enormous = "x".repeat(2 << 20);
    let api = Api::new(registered);
    for (method, path) in [("PUT", "/api/v1/client/action/w1"), ("GET", "/api/v1/client")] {
        let fault = api.ask(method, path, &enormous).fault();
        assert_eq!(fault, (413, "the body is longer than 65536 octets".to_owned()), "{method} {path}");
    }
    untouched(&api);
    let just = "x".repeat((64 << 10) + 1);
    let chunked = format!(
        "POST /api/v1/register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{just}\r\n0\r\n\r\n",
        just.len()
    );
    let whole = |body: &str| request("POST", "/api/v1/register", "", body);
    for (octets, status) in [(whole(&enormous), 413), (whole(&just), 413), (chunked, 413), (whole(&just[1..]), 400)] {
        let mut api = Api::with(registered, Times { retire: Duration::from_millis(50), ..Times::default() });
        assert_eq!(api.send(octets.as_bytes()).fault().0, status);
        assert_eq!(api.end(), End::Retired, "what may have been a key was in its buffers");
        only_who_may_was_asked(&api);
    }
}

#[test]
fn who_asks_before_sending_an_enormous_body_need_not_send_it() {
    let api = Api::new(registered);
    let mut stream = connect(api.addr);
    let head = "POST /api/v1/register HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut stream).fault().0, 413);
    untouched(&api);
}

#[test]
fn a_body_that_stops_coming_is_not_waited_for() {
    let times = signing_agent_api::Times {
        body: Duration::from_millis(50),
        retire: Duration::from_millis(50),
        ..Default::default()
    };
    let broken = "POST /api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    let mut api = Api::with(registered, times);
    let mut stream = connect(api.addr);
    stream.write_all(broken.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut stream).fault().0, 408);
    assert_eq!(api.end(), End::Retired);
    let mut api = Api::with(registered, times);
    assert!(matches!(api.send(broken.as_bytes()).fault().0, 400 | 408));
    assert_eq!(api.end(), End::Retired);
    assert!(api.vault.asks.try_recv().is_err(), "the vault was asked");
}

#[test]
fn a_head_that_stops_coming_is_not_waited_for() {
    let times = signing_agent_api::Times { head: Duration::from_millis(50), ..Default::default() };
    let api = Api::with(registered, times);
    for begun in ["", "GET /api/v1/client HTTP/1.1\r\nHost"] {
        let mut stream = connect(api.addr);
        stream.write_all(begun.as_bytes()).unwrap();
        // Closed from the other side: reading ends, with or without words.
        let _ = stream.read_to_end(&mut Vec::new()).unwrap();
    }
    untouched(&api);
}

#[test]
fn what_is_no_http_closes_its_connection_and_no_other() {
    let api = Api::new(registered);
    let huge = format!("GET /api/v1/client HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let twice = "POST /api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}";
    for odd in [b"\x16\x03\x01\x02\x00\x01\x00".as_slice(), b"\0\0\0\0\r\n\r\n", huge.as_bytes(), twice.as_bytes()] {
        let mut stream = connect(api.addr);
        let _ = stream.write_all(odd);
        let _ = stream.shutdown(Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    untouched(&api);
}

#[test]
fn a_foreign_web_page_may_do_nothing() {
    let api = Api::new(registered);
    for origin in ["http://evil.example", "null", "http://localhost:1", "http://evil.example:8007"] {
        for (method, path) in [
            ("POST", "/api/v1/register"),
            ("GET", "/api/v1/client"),
            ("PUT", "/api/v1/client/action/w1"),
            ("DELETE", "/api/v1/client/action/w1"),
            ("GET", "/api/v1/client/feed"),
            ("GET", "/api/v1/healthcheck/version"),
            ("GET", "/api/v1/healthcheck/config"),
            ("GET", "/api/v1/healthcheck/status"),
            ("OPTIONS", "/api/v1/register"),
            ("GET", "/nowhere"),
        ] {
            let headers = format!("Origin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
            let reply = api.send(request(method, path, &headers, WELL).as_bytes());
            assert_eq!(reply.fault().0, 403, "{origin} {method} {path}");
            assert!(!reply.head.contains("access-control-"), "{reply:?}");
        }
    }
    untouched(&api);
    for home in [format!("http://{}", api.addr), format!("http://localhost:{}", api.addr.port())] {
        let reply = api.send(request("GET", "/api/v1/client", &format!("Origin: {home}\r\n"), "").as_bytes());
        assert_eq!(reply.status, 200, "{home}");
        assert!(!reply.head.contains("access-control-"), "{reply:?}");
    }
}
