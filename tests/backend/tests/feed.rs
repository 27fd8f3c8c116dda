#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::TcpStream;
use std::time::Duration;

use common::{Agent, Control, start};
use custody_simulator::{Options, Simulator, call};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

type Feed = WebSocket<TcpStream>;

fn open(simulator: &Simulator, pass: &str) -> Result<Feed, Error> {
    let url = simulator.feed_url();
    let mut request = url.as_str().into_client_request()?;
    request.headers_mut().insert("x-api-zkp", pass.parse().unwrap());
    let stream = TcpStream::connect(request.uri().authority().unwrap().as_str())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    client(request, stream).map(|(feed, _)| feed).map_err(|error| match error {
        HandshakeError::Failure(error) => error,
        HandshakeError::Interrupted(_) => panic!("no answer"),
    })
}

fn next(feed: &mut Feed) -> Value {
    loop {
        if let Message::Text(text) = feed.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[test]
fn a_feed_hears_what_is_pending_and_then_what_is_new() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (other, agent) = (Agent::registered(&simulator), Agent::registered(&simulator));
    let pending = control.action(json!({}));
    for unheard in [json!({"agent": other.account}), json!({"announce": false}), json!({"expiresIn": -1})] {
        control.action(unheard);
    }
    let mut feed = open(&simulator, &agent.pass()).unwrap();
    let event = next(&mut feed);
    assert_eq!(event["id"], pending);
    control.get("/wait?feeds=1");
    let new = control.action(json!({"kind": "withdraw", "announceTimes": 2, "coreClientID": "somebody"}));
    let events = [next(&mut feed), next(&mut feed)];
    assert_eq!(events[0], events[1]);
    let timestamp = events[0]["timestamp"].as_i64().unwrap();
    assert_eq!(
        events[0],
        json!({"id": new, "coreClientID": "somebody", "type": "ApproveWithdraw", "status": "pending",
            "timestamp": timestamp, "expireTime": timestamp + 3600})
    );
    control.post("/feed", json!({"raw": "no JSON"}));
    assert_eq!(feed.read().unwrap(), Message::text("no JSON"));
    control.post("/feed", json!({"raw": "00ff", "binary": true}));
    assert_eq!(feed.read().unwrap(), Message::binary([0, 255].as_slice()));
}

#[test]
fn a_feed_that_is_dropped_ends_without_a_closing_handshake_and_can_be_opened_again() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    let mut feed = open(&simulator, &agent.pass()).unwrap();
    control.get("/wait?feeds=1");
    assert_eq!(control.post("/feed/drop", json!({})), json!({"feeds": 1}));
    assert!(matches!(feed.read(), Err(Error::Protocol(_) | Error::Io(_))));
    control.get("/wait?feedsAtMost=0");
    let _again = open(&simulator, &agent.pass()).unwrap();
    assert_eq!(control.get("/wait?feeds=1")["feedConnections"], 2);
}

#[test]
fn a_feed_is_refused_without_a_fresh_pass_of_a_registered_agent() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (halfway, agent) = (Agent::init(&simulator), Agent::registered(&simulator));
    let used = agent.pass();
    let _feed = open(&simulator, &used).unwrap();
    let old = agent.pass_at(common::now() - 120);
    for (pass, status, words) in
        [(used, 401, "used before"), (old, 401, "more than 60"), (halfway.pass(), 403, "no finish")]
    {
        assert!(matches!(open(&simulator, &pass), Err(Error::Http(reply)) if reply.status() == status), "{words}");
        control.refused("feed", words);
    }
    let http = simulator.feed_url().replace("ws://", "http://");
    assert_eq!(call("GET", &http, &[("x-api-zkp", &agent.pass())], b"").unwrap().status, 400);
    control.refused("feed", "upgrades only");
}

#[test]
fn feeds_are_pinged_and_fail_as_ordered() {
    let options = Options { ping_every: Duration::from_millis(20), replay_pending: false, ..Options::default() };
    let simulator = Simulator::start(options).unwrap();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    control.action(json!({}));
    let mut feed = open(&simulator, &agent.pass()).unwrap();
    assert!(matches!(feed.read().unwrap(), Message::Ping(_)), "no replay");
    // Reading again sends the pong.
    assert!(matches!(feed.read().unwrap(), Message::Ping(_)));
    feed.send(Message::Ping(Default::default())).unwrap();
    let stats = control.get("/wait?feedPongs=1&feedPings=1");
    assert_eq!(stats["feeds"], 1);

    control.fault("feed", json!({"status": 502}));
    assert!(matches!(open(&simulator, &agent.pass()), Err(Error::Http(reply)) if reply.status() == 502));
    control.fault("feed", json!({"drop": true}));
    assert!(open(&simulator, &agent.pass()).is_err());
    control.fault("feed", json!({"dropAfter": true}));
    assert!(open(&simulator, &agent.pass()).unwrap().read().is_err());
    control.fault("feed", json!({"garbage": true}));
    let mut feed = open(&simulator, &agent.pass()).unwrap();
    let Message::Text(text) = feed.read().unwrap() else { panic!("no text") };
    assert!(serde_json::from_str::<Value>(&text).is_err());
}
