//! Nobody holds up the others: not by connections, nor by asks, nor by sending or reading slowly.

use crate::feed::{clients, listen_with};
use crate::support::{Api, PATIENCE, Reply, connect, connect_from, once, registered, request, until};
use ipc::{Answer, Call, Verb};
use signing_agent_api::{Limits, Times};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const OTHER: &str = "127.0.0.2";
const CLIENT: &str = "/api/v1/client";

fn few() -> Limits {
    Limits { connections: 6, connections_each: 4, feeds: 3, feeds_each: 2, asks: 4, asks_each: 2, delayed: 2 }
}

fn is_well(api: &Api, from: &str) {
    assert_eq!(once(&mut connect_from(from, api.addr), "GET", CLIENT, "").status, 200);
}

/// Connections that say half a head.
fn dribbling(api: &Api, count: usize) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = connect(api.addr);
        stream.write_all(b"GET /api/v1/client HTTP/1.1\r\nHost: a\r\n").unwrap();
        stream
    };
    (0..count).map(begin).collect()
}

#[test]
fn who_takes_too_many_connections_is_turned_away_and_others_are_served_at_once() {
    let api = Api::set(registered, |settings| settings.limits = few());
    let held = dribbling(&api, 4);
    until(|| {
        let mut more = connect(api.addr);
        let mut heard = Vec::new();
        let _ = more.write_all(request("GET", CLIENT, "Connection: close\r\n", "").as_bytes());
        let _ = more.read_to_end(&mut heard);
        heard.is_empty() || heard.starts_with(b"HTTP/1.1 503 ")
    });
    let begun = Instant::now();
    is_well(&api, OTHER);
    assert!(begun.elapsed() < Duration::from_secs(5), "it did not wait for those who dribble");
    drop(held);
    until(|| connect(api.addr).write_all(b"x").is_ok());
}

#[test]
fn who_sends_its_head_too_slowly_is_not_waited_for() {
    let times = Times { head: Duration::from_millis(300), crowded: Duration::from_millis(50), ..Times::default() };
    let api = Api::set(registered, |settings| (settings.limits, settings.times) = (few(), times));
    let begun = Instant::now();
    for mut stream in dribbling(&api, 4) {
        // A little more now and then does not help.
        while begun.elapsed() < PATIENCE && stream.write_all(b"X").is_ok() {
            std::thread::yield_now();
        }
        assert!(begun.elapsed() < PATIENCE, "it was let go");
    }
    is_well(&api, "127.0.0.1");
}

#[test]
fn who_reads_no_answers_is_let_go() {
    let times = Times { write: Duration::from_millis(300), ..Times::default() };
    let api = Api::with(registered, times);
    let mut stream = connect(api.addr);
    let many = request("GET", "/api/v1/healthcheck/config", "", "").repeat(100);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && stream.write_all(many.as_bytes()).is_ok() {}
    assert!(begun.elapsed() < PATIENCE, "it was let go");
    is_well(&api, OTHER);
}

#[test]
fn a_caller_has_its_share_of_the_vault_and_waits_behind_itself() {
    let slow = |call: &Call| if matches!(call, Call::Decide { .. }) { None } else { registered(call) };
    let api = Api::set(slow, |settings| {
        settings.limits = Limits { connections: 16, connections_each: 12, ..few() };
        settings.times.turn = Duration::from_secs(1);
    });
    let greedy = |n: u32| {
        let mut stream = connect(api.addr);
        let headers = "Authorization: Bearer greedy\r\nConnection: close\r\n";
        stream.write_all(request("PUT", &format!("/api/v1/client/action/w{n}"), headers, "").as_bytes()).unwrap();
        stream
    };
    let mut open: Vec<TcpStream> = (0..3).map(greedy).collect();
    for _ in 0..2 {
        assert!(matches!(api.vault.asked(), Call::Decide { .. }));
    }
    // Another token, and another address without one.
    assert_eq!(once(&mut connect(api.addr), "GET", CLIENT, "Authorization: Bearer other\r\n").status, 200);
    is_well(&api, OTHER);
    // The third of the greedy one's calls has had no turn; it hears so.
    let statuses: Vec<u16> = {
        let mut late = open.remove(2);
        let mut heard = vec![Reply::read(&mut late).status];
        api.vault.late(&Answer::Decided { verb: Verb::Approve });
        api.vault.late(&Answer::Decided { verb: Verb::Approve });
        heard.extend(open.iter_mut().map(|stream| Reply::read(stream).status));
        heard
    };
    assert_eq!(statuses, [503, 200, 200]);
}

#[test]
fn feed_clients_of_one_address_do_not_take_all_places_and_take_none_of_the_connections() {
    let api = Api::set(registered, |settings| settings.limits = few());
    let _first = [listen_with(api.addr, &[]).unwrap(), listen_with(api.addr, &[]).unwrap()];
    match *listen_with(api.addr, &[]).unwrap_err() {
        tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status(), 503),
        other => panic!("{other}"),
    }
    let url = format!("ws://{}/api/v1/client/feed", api.addr);
    let other = tokio_tungstenite::tungstenite::client(url, connect_from(OTHER, api.addr));
    assert!(other.is_ok());
    until(|| clients(&api) == 3);
    let held = dribbling(&api, 3);
    is_well(&api, "127.0.0.1");
    drop(held);
}
