//! Errands: what the vault wants done goes out as it is, and what came of it comes home, bounded.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::backend::{Backend, Heard, answer};
use house::courier::Courier;
use house::{Vault, errand, failure, reply, secret, unsent};
use ipc::{Answer, Errand, Failure, MAX_REPLY, Method, Outcome, Place};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

fn rooms(backend: &Backend) -> (Vault, Courier) {
    let vault = Vault::new();
    let courier = Courier::start(&vault, &backend.config());
    (vault, courier)
}

#[test]
fn a_request_is_sent_as_the_vault_made_it() {
    let (tell, heard) = mpsc::channel::<Heard>();
    let tell = Mutex::new(tell);
    let backend = Backend::http(move |h| {
        tell.lock().unwrap().send(h).unwrap();
        answer("201 Created", "", b"\x00\xff{\"id\":1}")
    });
    let (vault, _courier) = rooms(&backend);
    let body = b"{ \"a\" :\t1,\r\n \"b\":\"\xc3\xa4\\u0000\" } ".to_vec();
    let headers = vec![secret("x-api-key", "the key"), secret("x-sign", "AbC_-=="), secret("x-timestamp", "1")];
    let id = vault.send(Errand { headers, body: body.clone(), ..errand(7, Method::Post, "init") });
    assert_eq!(reply(vault.outcome(id)), (201, b"\x00\xff{\"id\":1}".to_vec(), None));
    let heard = heard.recv_timeout(house::PATIENCE).unwrap();
    assert_eq!(heard.line(), "POST /api/v1/p/client/init HTTP/1.1");
    assert_eq!(heard.body, body);
    assert_eq!(heard.header("x-api-key"), ["the key"]);
    assert_eq!(heard.header("x-sign"), ["AbC_-=="]);
    assert_eq!(heard.header("x-timestamp"), ["1"]);
    assert_eq!(heard.header("content-type"), ["application/json"]);
    assert_eq!(heard.header("host"), [format!("127.0.0.1:{}", backend.port)]);
    for absent in ["accept-encoding", "cookie", "user-agent", "referer", "transfer-encoding"] {
        assert!(heard.header(absent).is_empty(), "{absent}");
    }
}

#[test]
fn a_question_goes_to_the_callbacks_own_url_as_it_is_and_nowhere_else() {
    let (tell, heard) = mpsc::channel::<Heard>();
    let tell = Mutex::new(tell);
    let callback = Backend::http(move |h| {
        tell.lock().unwrap().send(h).unwrap();
        answer("307 Moved", "Location: /elsewhere\r\n", b"an answer")
    });
    let backend = Backend::http(|_| answer("200 OK", "", b"the backend"));
    let vault = Vault::new();
    let callback = format!("[callback]\nurl = \"http://127.0.0.1:{}/ask/me\"\npublic_key_file = \"k\"", callback.port);
    let _courier = Courier::start(&vault, &format!("{}\n{callback}", backend.config()));
    let headers = vec![secret("content-type", "application/jwt")];
    let question = Errand { headers, body: b"a.b.c".to_vec(), ..errand(1, Method::Post, "") };
    vault.send(Errand { place: Place::Callback, ..question });
    assert_eq!(reply(vault.outcome(1)), (307, b"an answer".to_vec(), None));
    let heard_once = heard.recv_timeout(house::PATIENCE).unwrap();
    assert_eq!((heard_once.line(), heard_once.body.as_slice()), ("POST /ask/me HTTP/1.1", &b"a.b.c"[..]));
    let names: Vec<&str> = heard_once.head.lines().skip(1).filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(names, ["content-type", "accept", "host", "content-length", ""]);
    // An errand to the backend does not go there.
    vault.send(errand(2, Method::Get, "action/w1"));
    assert_eq!(reply(vault.outcome(2)).1, b"the backend");
    assert!(heard.try_recv().is_err());
}

#[test]
fn a_courier_without_a_callback_asks_nobody() {
    let backend = Backend::http(|_| answer("200 OK", "", b""));
    let (vault, _courier) = rooms(&backend);
    vault.send(Errand { place: Place::Callback, ..errand(1, Method::Post, "") });
    assert_eq!(unsent(vault.outcome(1)), "the configuration names no callback");
}

#[test]
fn every_method_arrives_and_a_body_is_not_invented() {
    let (tell, heard) = mpsc::channel::<Heard>();
    let tell = Mutex::new(tell);
    let backend = Backend::http(move |h| {
        tell.lock().unwrap().send(h).unwrap();
        answer("200 OK", "", b"")
    });
    let (vault, _courier) = rooms(&backend);
    for (id, method, word) in [(1, Method::Get, "GET"), (2, Method::Put, "PUT"), (3, Method::Delete, "DELETE")] {
        vault.send(errand(id, method, "action/a:b.c"));
        assert_eq!(reply(vault.outcome(id)).0, 200);
        let heard = heard.recv_timeout(house::PATIENCE).unwrap();
        assert_eq!(heard.line(), format!("{word} /api/v1/p/client/action/a:b.c HTTP/1.1"));
        assert!(heard.body.is_empty() && heard.header("content-type").is_empty());
    }
}

#[test]
fn no_redirect_is_followed_and_no_cookie_kept() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let backend = Backend::http(move |heard| {
        assert!(heard.header("cookie").is_empty());
        count.fetch_add(1, Ordering::SeqCst);
        answer("307 Temporary Redirect", "Location: /elsewhere\r\nSet-Cookie: a=b\r\n", b"go")
    });
    let (vault, _courier) = rooms(&backend);
    for id in 1..=2 {
        vault.send(Errand { body: b"{}".to_vec(), ..errand(id, Method::Put, "action/w1") });
        assert_eq!(reply(vault.outcome(id)), (307, b"go".to_vec(), None));
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn a_reply_of_the_greatest_length_comes_home_and_a_longer_one_does_not() {
    let backend = Backend::http(|heard| match heard.line().split(' ').nth(1).unwrap() {
        "/api/v1/p/client/most" => answer("200 OK", "", &vec![b'm'; MAX_REPLY]),
        "/api/v1/p/client/more" => answer("200 OK", "", &vec![b'm'; MAX_REPLY + 1]),
        _ => {
            let piece = [b"8000\r\n".as_slice(), &[b'c'; 0x8000], b"\r\n"].concat();
            let pieces = piece.repeat(MAX_REPLY / 0x8000 + 1);
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &pieces, b"0\r\n\r\n"].concat()
        }
    });
    let (vault, _courier) = rooms(&backend);
    for (id, tail) in [(1, "most"), (2, "more"), (3, "chunked")] {
        vault.send(errand(id, Method::Get, tail));
    }
    assert_eq!(reply(vault.outcome(1)).1, vec![b'm'; MAX_REPLY]);
    assert!(failure(vault.outcome(2)).contains("too long"));
    assert!(failure(vault.outcome(3)).contains("too long"));
}

#[test]
fn the_time_of_a_reply_is_told_where_it_is_one() {
    let backend = Backend::http(|heard| match heard.line().contains("/good ") {
        true => answer("200 OK", "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\n", b""),
        false => answer("200 OK", "Date: yesterday\r\n", b""),
    });
    let (vault, _courier) = rooms(&backend);
    for (id, tail, expected) in [(1, "good", Some(1_445_412_480)), (2, "bad", None)] {
        vault.send(errand(id, Method::Get, tail));
        let outcome = vault.outcome(id);
        assert!(matches!(&outcome, ipc::Outcome::Reply { date, .. } if *date == expected), "{tail}: {outcome:?}");
    }
}

#[test]
fn retry_after_is_told_in_seconds_also_where_it_is_a_date() {
    let backend = Backend::http(|heard| {
        let value = match heard.line().split('/').nth(5).unwrap().split(' ').next().unwrap() {
            "a" => "17",
            "b" => "Wed, 21 Oct 2015 07:28:00 GMT",
            "c" => "-1",
            "d" => "99999999999999999999",
            "f" => &httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100)),
            _ => "",
        };
        answer("503 Service Unavailable", &format!("Retry-After: {value}\r\n"), b"busy")
    });
    let (vault, _courier) = rooms(&backend);
    vault.send(errand(9, Method::Get, "f"));
    let wait = reply(vault.outcome(9)).2.unwrap();
    assert!((90..=100).contains(&wait), "{wait} s");
    for (id, tail, expected) in [(1, "a", Some(17)), (2, "b", Some(0)), (3, "c", None), (4, "d", None), (5, "e", None)]
    {
        vault.send(errand(id, Method::Get, tail));
        assert_eq!(reply(vault.outcome(id)), (503, b"busy".to_vec(), expected), "{tail}");
    }
}

#[test]
fn silence_is_a_timeout_whether_before_the_head_or_within_the_body() {
    let backend = Backend::new(|number, mut stream| {
        let mut octets = [0; 4096];
        let _ = stream.read(&mut octets).unwrap();
        if number == 1 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
        }
        let _ = stream.read(&mut octets); // until the courier gives up
    });
    let (vault, _courier) = rooms(&backend);
    for id in 0..2 {
        vault.send(Errand { timeout_ms: 300, ..errand(id, Method::Get, "action/w1") });
        assert_eq!(vault.outcome(id), Outcome::Failed(Failure::Timeout));
    }
}

#[test]
fn broken_connections_and_garbage_are_transport_failures_and_the_room_lives_on() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let backend = Backend::new(move |number, mut stream: TcpStream| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut octets = [0; 4096];
        let _ = stream.read(&mut octets).unwrap();
        let reply: &[u8] = match number {
            0 => b"",
            1 => b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            2 => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            3 => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            4 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            _ => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        };
        stream.write_all(reply).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let (vault, _courier) = rooms(&backend);
    for id in 0..5 {
        let headers = vec![secret("x-api-key", "very-secret-key")];
        vault.send(Errand { headers, body: b"{}".to_vec(), ..errand(id, Method::Put, "action/w1") });
        let words = failure(vault.outcome(id));
        assert!(!words.is_empty() && words.len() <= ipc::MAX_WORDS && !words.contains("very-secret"), "{words}");
    }
    vault.send(errand(5, Method::Get, "action/w1"));
    assert_eq!(reply(vault.outcome(5)), (200, b"ok".to_vec(), None));
    assert_eq!(tries.load(Ordering::SeqCst), 6, "each errand is gone on once");
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let vault = Vault::new();
    let _courier = Courier::start(&vault, &format!("url = \"http://127.0.0.1:{port}/p\""));
    vault.send(errand(1, Method::Get, "action/w1"));
    let words = unsent(vault.outcome(1));
    assert!(words.contains("refused") && !words.contains("action/w1"), "{words}");
}

#[test]
fn an_errand_out_of_its_place_or_with_a_torn_header_is_not_gone_on() {
    let backend = Backend::new(|_, _| panic!("somebody came"));
    let (vault, _courier) = rooms(&backend);
    for (id, tail) in ["../../admin", "action/..", "a?b", "a#b", "a%2fb", "//elsewhere/x", ""].iter().enumerate() {
        vault.send(errand(id as u64, Method::Get, tail));
        assert!(unsent(vault.outcome(id as u64)).contains("tail"), "{tail}");
    }
    let headers = vec![secret("x-api-key", "key\r\nx-other: smuggled")];
    vault.send(Errand { headers, ..errand(100, Method::Get, "init") });
    assert_eq!(unsent(vault.outcome(100)), "a header's value cannot be sent");
    vault.send(Errand { headers: vec![secret("x api", "v")], ..errand(101, Method::Get, "init") });
    assert_eq!(unsent(vault.outcome(101)), "a header's name cannot be sent");
}

#[test]
fn sixty_four_errands_are_under_way_at_once_and_no_more() {
    let (backend, arrived, go) = slow();
    let (vault, _courier) = rooms(&backend);
    for id in 0..64 {
        vault.send(errand(id, Method::Get, "action/w1"));
    }
    // All 64 are held by the backend. An ask for the 65th would have been made before the 64th went out.
    for _ in 0..64 {
        arrived.recv_timeout(house::PATIENCE).unwrap();
    }
    assert_eq!(vault.wait("asks", |seen| Some(seen.errands_asked)), 64);
    go.send(()).unwrap();
    vault.wait("the next ask", |seen| (seen.errands_asked == 65).then_some(()));
    (1..64).for_each(|_| go.send(()).unwrap());
    for id in 0..64 {
        assert_eq!(reply(vault.outcome(id)).0, 200);
    }
}

#[test]
fn connections_are_used_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let backend = Backend::new(move |_, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        house::backend::serve(stream, &|_| answer("200 OK", "", b"x"));
    });
    let (vault, _courier) = rooms(&backend);
    for id in 0..20 {
        vault.send(errand(id, Method::Get, "action/w1"));
        vault.outcome(id);
    }
    assert!(connections.load(Ordering::SeqCst) <= 2);
}

/// A backend that holds its reply back until the test lets it go.
fn slow() -> (Backend, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (came, arrived) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (came, gone) = (Mutex::new(came), Mutex::new(gone));
    let backend = Backend::http(move |_| {
        came.lock().unwrap().send(()).unwrap();
        gone.lock().unwrap().recv().unwrap();
        answer("200 OK", "", b"late")
    });
    (backend, arrived, go)
}

#[test]
fn retired_it_finishes_what_is_under_way_and_exits_with_ten() {
    let (backend, arrived, go) = slow();
    let (vault, mut courier) = rooms(&backend);
    vault.send(errand(1, Method::Post, "finish"));
    arrived.recv_timeout(house::PATIENCE).unwrap();
    vault.give(Answer::Retire);
    courier.wait_for_log("no new errands");
    assert!(courier.running());
    go.send(()).unwrap();
    assert_eq!(reply(vault.outcome(1)), (200, b"late".to_vec(), None));
    assert_eq!(courier.code(), i32::from(ipc::EXIT_RETIRED));
    vault.wait("the lane's end", |seen| (seen.ended && seen.errands_asked == 2).then_some(()));
}

#[test]
fn on_sigterm_it_finishes_what_is_under_way_and_exits_with_zero() {
    let (backend, arrived, go) = slow();
    let (vault, mut courier) = rooms(&backend);
    vault.send(errand(1, Method::Post, "finish"));
    arrived.recv_timeout(house::PATIENCE).unwrap();
    courier.terminate();
    courier.wait_for_log("no new errands");
    go.send(()).unwrap();
    assert_eq!(reply(vault.outcome(1)), (200, b"late".to_vec(), None));
    assert_eq!(courier.code(), 0);
}

#[test]
fn a_lost_lane_is_exit_code_eleven() {
    let backend = Backend::new(|_, _| {});
    let (vault, mut courier) = rooms(&backend);
    vault.hang_up();
    assert_eq!(courier.code(), i32::from(ipc::EXIT_LANE_LOST));

    let nobody = Vault::new();
    std::fs::remove_file(nobody.lane()).unwrap();
    let mut courier = Courier::start(&nobody, &backend.config());
    assert_eq!(courier.code(), i32::from(ipc::EXIT_LANE_LOST));
    assert!(courier.log().contains("is the vault running?"));
}

#[test]
fn a_vault_that_gives_no_errand_is_asked_again() {
    let backend = Backend::http(|_| answer("200 OK", "", b""));
    let (vault, _courier) = rooms(&backend);
    vault.give(Answer::Refused(ipc::Refusal::NotReady("no token".into())));
    vault.send(errand(1, Method::Get, "action/w1"));
    assert_eq!(reply(vault.outcome(1)).0, 200);
}
