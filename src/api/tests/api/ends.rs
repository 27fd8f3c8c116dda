//! How the api ends: after a registration, with its lane, and when it is told to.

use crate::support::{Api, PATIENCE, Reply, WELL, connect, registered, request};
use ipc::{AccessFault, Answer, Call, Refusal, Verb};
use signing_agent_api::{End, Times};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Leaves approvals open.
fn slow_approval(ask: &Call) -> Option<Answer> {
    if matches!(ask, Call::Decide { .. }) { None } else { registered(ask) }
}

const APPROVE: (&str, &str) = ("PUT", "/api/v1/client/action/w1");

fn begin(api: &Api, (method, path): (&str, &str), body: &str) -> TcpStream {
    let mut stream = connect(api.addr);
    stream.write_all(request(method, path, "", body).as_bytes()).unwrap();
    stream
}

#[test]
fn after_a_registration_was_answered_whole_the_api_ends() {
    let refused = |ask: &Call| match ask {
        Call::Register(_) => Some(Answer::Refused(Refusal::AlreadyRegistered)),
        other => registered(other),
    };
    for (script, status) in [(registered as fn(&Call) -> _, 200), (refused, 400)] {
        let mut api = Api::new(script);
        // Keep-alive is what the client wants; the whole answer and then the end is what it gets.
        let mut stream = begin(&api, ("POST", "/api/v1/register"), WELL);
        let reply = Reply::read(&mut stream);
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")));
        assert!(reply.json().is_object());
        assert_eq!(api.end(), End::Retired);
        assert!(TcpStream::connect(api.addr).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_registration_that_never_reached_the_vault_does_not_end_the_api() {
    let mut api = Api::new(registered);
    for body in ["", "{}", "[]", r#"{"name":"n"}"#] {
        assert_eq!(api.ask("POST", "/api/v1/register", body).status, 400);
    }
    assert_eq!(api.ask("GET", "/api/v1/client", "").status, 200);
    api.stop();
    assert_eq!(api.end(), End::Stopped);
}

/// Who may not register shall not have the door restart again and again; what it brought is gone after a while all the same.
#[test]
fn a_registration_of_somebody_who_may_not_register_ends_the_api_only_later() {
    let closed = |ask: &Call| match ask {
        Call::Register(_) | Call::Enter(_) => Some(Answer::Refused(Refusal::Access(AccessFault::RegistrationClosed))),
        other => registered(other),
    };
    let junk = "x".repeat(100);
    for body in [WELL, junk.as_str()] {
        let mut api = Api::new(closed);
        assert_eq!(api.ask("POST", "/api/v1/register", body).status, 403);
        // One that hangs up, and one that breaks off.
        drop(begin(&api, ("POST", "/api/v1/register"), body));
        // One with what is no token, and one that is sent elsewhere.
        let malformed = request("POST", "/api/v1/register", "Authorization: no\r\n", body);
        assert_eq!(api.send(malformed.as_bytes()).status, 401);
        assert_eq!(api.ask("POST", "/elsewhere/register", body).status, 404);
        let mut broken = connect(api.addr);
        broken.write_all(b"POST /api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n").unwrap();
        broken.write_all(junk.as_bytes()).unwrap();
        drop(broken);
        assert_eq!(api.ask("GET", "/api/v1/client", "").status, 200);
        api.stop();
        assert_eq!(api.end(), End::Stopped, "{body}");

        let mut api = Api::with(closed, Times { retire: Duration::from_millis(50), ..Times::default() });
        assert_eq!(api.ask("POST", "/api/v1/register", body).status, 403);
        assert_eq!(api.end(), End::Retired, "{body}");
    }
}

/// Before the vault has looked at who somebody is, it is anybody.
#[test]
fn a_registration_that_nobody_was_let_in_for_ends_the_api_only_later() {
    for refusal in [Refusal::NotReady("in trouble".into()), Refusal::Busy] {
        let answer = Answer::Refused(refusal.clone());
        let mut api = Api::new(move |ask| match ask {
            Call::Register(_) | Call::Enter(_) => Some(answer.clone()),
            other => registered(other),
        });
        for _ in 0..20 {
            assert_eq!(api.ask("POST", "/api/v1/register", WELL).status, 503, "{refusal:?}");
        }
        assert_eq!(api.ask("GET", "/api/v1/client", "").status, 200);
        api.stop();
        assert_eq!(api.end(), End::Stopped, "{refusal:?}");
    }
}

#[test]
fn a_client_that_hangs_up_during_its_registration_does_not_keep_the_api_from_ending() {
    let mut api = Api::new(|ask| if matches!(ask, Call::Register(_)) { None } else { registered(ask) });
    let stream = begin(&api, ("POST", "/api/v1/register"), WELL);
    assert!(matches!(api.vault.asked(), Call::Register(_)));
    drop(stream);
    assert_eq!(api.ask("GET", "/api/v1/client", "").status, 200, "not before the vault is done");
    api.vault.late(&Answer::Registered { agent_id: "5zPW".into() });
    assert_eq!(api.end(), End::Retired);
}

#[test]
fn what_is_under_way_is_finished_before_the_api_ends() {
    for stop in [true, false] {
        let mut api = Api::new(slow_approval);
        let mut approval = begin(&api, APPROVE, "");
        assert!(matches!(api.vault.asked(), Call::Decide { .. }));
        let mut idle = begin(&api, ("GET", "/api/v1/client"), "");
        assert_eq!(idle.read(&mut [0; 12]).unwrap(), 12);
        if stop {
            api.stop();
        } else {
            assert_eq!(api.ask("POST", "/api/v1/register", WELL).status, 200);
        }
        let _ = idle.read_to_end(&mut Vec::new());
        api.vault.late(&Answer::Decided { verb: Verb::Approve });
        let reply = Reply::read(&mut approval);
        assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("approved")));
        assert_eq!(api.end(), if stop { End::Stopped } else { End::Retired });
    }
}

#[test]
fn what_is_under_way_too_long_is_cut_off() {
    let times = Times { drain: Duration::from_millis(50), ..Times::default() };
    let mut api = Api::with(slow_approval, times);
    let _approval = begin(&api, APPROVE, "");
    assert!(matches!(api.vault.asked(), Call::Decide { .. }));
    api.stop();
    assert_eq!(api.end(), End::Stopped);
}

#[test]
fn when_the_lane_ends_who_waits_is_told_and_the_api_ends() {
    let mut api = Api::new(slow_approval);
    let mut approval = begin(&api, APPROVE, "");
    assert!(matches!(api.vault.asked(), Call::Decide { .. }));
    api.vault.hang_up();
    let (status, detail) = Reply::read(&mut approval).fault();
    assert_eq!(status, 503);
    assert!(detail.contains("whether it acted is not known"), "{detail}");
    assert_eq!(api.end(), End::LaneLost);
}

#[test]
fn connections_are_kept_for_the_next_request() {
    let api = Api::new(registered);
    let mut stream = begin(&api, ("GET", "/api/v1/healthcheck/version"), "");
    let mut seen = Vec::new();
    let deadline = std::time::Instant::now() + PATIENCE;
    while !seen.ends_with(b"}") {
        assert!(std::time::Instant::now() < deadline);
        let mut piece = [0; 1024];
        let n = stream.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..n]);
    }
    stream.write_all(b"GET /api/v1/client HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Reply::read(&mut stream).json()["agentID"], "5zPW");
}
