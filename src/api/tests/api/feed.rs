//! The feed: who may hear it, that it is passed on unchanged, and that nobody holds up the others.

use crate::support::{Api, PATIENCE, connect, registered, request, until};
use ipc::Answer;
use signing_agent_api::{End, Times};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client::IntoClientRequest};

pub fn listen(addr: SocketAddr) -> WebSocket<TcpStream> {
    listen_with(addr, &[]).unwrap().0
}

fn listen_to(addr: SocketAddr, query: &str) -> WebSocket<TcpStream> {
    let request = format!("ws://{addr}/api/v1/client/feed{query}").into_client_request().unwrap();
    tokio_tungstenite::tungstenite::client(request, connect(addr)).unwrap().0
}

pub fn listen_with(
    addr: SocketAddr,
    headers: &[(&'static str, &str)],
) -> Result<(WebSocket<TcpStream>, Response), Box<Error>> {
    let mut request = format!("ws://{addr}/api/v1/client/feed").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    tokio_tungstenite::tungstenite::client(request, connect(addr)).map_err(|e| match e {
        tokio_tungstenite::tungstenite::HandshakeError::Failure(error) => Box::new(error),
        other => panic!("{other}"),
    })
}

/// A read with a timeout is not begun again by the kernel after a signal, such as a child's end (signal(7)).
fn hear(socket: &mut WebSocket<impl Read + Write>) -> Message {
    loop {
        match socket.read() {
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            heard => return heard.unwrap(),
        }
    }
}

pub fn text(socket: &mut WebSocket<impl Read + Write>) -> String {
    match hear(socket) {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Reads up to the close.
pub fn close(socket: &mut WebSocket<impl Read + Write>) -> CloseFrame {
    loop {
        if let Message::Close(frame) = hear(socket) {
            return frame.unwrap();
        }
    }
}

pub fn clients(api: &Api) -> u64 {
    let status = api.ask("GET", "/api/v1/healthcheck/status", "").json();
    status["WebSocket"]["ConnectedClients"].as_u64().unwrap()
}

#[test]
fn before_registration_there_is_no_feed() {
    let api = Api::new(|_| Some(Answer::Client { agent_id: None }));
    let plain = api.ask("GET", "/api/v1/client/feed", "").fault();
    assert_eq!(plain, (409, "the agent is not registered: it has no feed yet".to_owned()));
    match *listen_with(api.addr, &[]).unwrap_err() {
        Error::Http(response) => assert_eq!(response.status(), 409),
        other => panic!("{other}"),
    }
}

#[test]
fn a_request_for_the_feed_that_is_no_websocket_is_told_so() {
    let api = Api::new(registered);
    let reply = api.ask("GET", "/api/v1/client/feed", "");
    assert_eq!(reply.fault().0, 426);
    assert_eq!(reply.header("upgrade"), Some("websocket"));
    let old = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: eA==\r\n";
    let reply = api.send(request("GET", "/api/v1/client/feed", old, "").as_bytes());
    assert_eq!((reply.fault().0, reply.header("sec-websocket-version")), (426, Some("13")));
}

#[test]
fn a_foreign_page_does_not_hear_the_feed() {
    let api = Api::new(registered);
    match *listen_with(api.addr, &[("origin", "http://evil.example")]).unwrap_err() {
        Error::Http(response) => assert_eq!(response.status(), 403),
        other => panic!("{other}"),
    }
    let home = format!("http://{}", api.addr);
    assert!(listen_with(api.addr, &[("origin", home.as_str())]).is_ok());
}

#[test]
fn every_client_hears_the_same_octets_in_order() {
    let api = Api::new(registered);
    let (mut first, answer) =
        listen_with(api.addr, &[("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]).unwrap();
    assert_eq!(answer.headers().get("sec-websocket-extensions"), None, "compression is not negotiated");
    assert_eq!(answer.headers().get("x-content-type-options").unwrap(), "nosniff");
    let mut second = listen(api.addr);
    assert_eq!(clients(&api), 2);
    let odd = [
        "{\"id\": \"w1\",\t\"x\":1.0e0 }\n",
        "no json",
        "",
        " ",
        "\u{0}\u{feff}ä𝄞",
        "{\"id\":\"w1\"}",
        "{\"id\":\"w1\"}",
    ];
    api.vault.feed(&odd[..3]);
    api.vault.feed(&[]);
    api.vault.feed(&odd[3..]);
    for socket in [&mut first, &mut second] {
        for message in odd {
            assert_eq!(text(socket), message);
        }
    }
    first.close(None).unwrap();
    until(|| clients(&api) == 1);
    api.vault.feed(&["after"]);
    assert_eq!(text(&mut second), "after");
}

#[test]
fn a_burst_reaches_every_client_whole() {
    let api = Api::new(registered);
    let mut sockets = [listen(api.addr), listen(api.addr)];
    let burst: Vec<String> =
        (0..2_000).map(|n| format!("{{\"id\":\"w{n}\",\"pad\":\"{}\"}}", "x".repeat(200))).collect();
    api.vault.feed(&burst.iter().map(String::as_str).collect::<Vec<_>>());
    for socket in &mut sockets {
        for message in &burst {
            assert_eq!(&text(socket), message);
        }
    }
}

#[test]
fn a_client_that_does_not_read_is_sent_away_and_the_others_hear_on() {
    let times = Times { send: Duration::from_millis(200), goodbye: Duration::from_millis(100), ..Times::default() };
    let api = Api::with(registered, times);
    let slow = listen(api.addr);
    let mut quick = listen(api.addr);
    assert_eq!(clients(&api), 2);
    let long = "x".repeat(ipc::MAX_FEED_MESSAGE);
    // More than the sockets' buffers and the queue take.
    for _ in 0..20 {
        api.vault.feed(&[long.as_str(); 15]);
        for _ in 0..15 {
            assert_eq!(text(&mut quick).len(), long.len());
        }
    }
    until(|| clients(&api) == 1);
    api.vault.feed(&["after"]);
    assert_eq!(text(&mut quick), "after");
    drop(slow);
}

#[test]
fn who_does_not_answer_pings_is_sent_away() {
    let times = Times { ping: Duration::from_secs(1), goodbye: Duration::from_millis(100), ..Times::default() };
    let api = Api::with(registered, times);
    // A raw socket, which answers nothing.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut deaf = connect(api.addr);
    std::io::Write::write_all(&mut deaf, request("GET", "/api/v1/client/feed", upgrade, "").as_bytes()).unwrap();
    let mut lively = listen(api.addr);
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut octets = Vec::new();
        std::io::Read::read_to_end(&mut deaf, &mut octets).unwrap();
        tell.send(octets)
    });
    // tungstenite answers pings while it reads.
    for _ in 0..3 {
        assert!(matches!(hear(&mut lively), Message::Ping(_)));
    }
    let heard = heard.recv_timeout(PATIENCE).expect("the deaf client is sent away");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.1 101") && heard.ends_with("pings were not answered"), "{heard}");
    assert_eq!(clients(&api), 1);
}

#[test]
fn what_clients_say_is_thrown_away_and_too_much_of_it_ends_them() {
    let api = Api::new(registered);
    let (mut chatty, mut other) = (listen(api.addr), listen(api.addr));
    chatty.send(Message::text("{\"id\":\"w1\",\"status\":\"approved\"}")).unwrap();
    chatty.send(Message::binary(vec![0; 4096])).unwrap();
    api.vault.feed(&["one"]);
    assert_eq!(text(&mut chatty), "one");
    chatty.send(Message::text("x".repeat(4097))).unwrap();
    assert_eq!(u16::from(close(&mut chatty).code), 1009);
    assert_eq!(text(&mut other), "one");
    api.vault.feed(&["two"]);
    assert_eq!(text(&mut other), "two");
}

#[test]
fn when_the_api_ends_feed_clients_are_told() {
    let mut api = Api::new(registered);
    let mut socket = listen(api.addr);
    assert_eq!(api.ask("POST", "/api/v1/register", crate::support::WELL).status, 200);
    assert_eq!(u16::from(close(&mut socket).code), 1012);
    drop(socket);
    assert_eq!(api.end(), End::Retired);

    let mut api = Api::new(registered);
    let mut socket = listen(api.addr);
    api.stop();
    assert_eq!(u16::from(close(&mut socket).code), 1001);
    assert_eq!(api.end(), End::Stopped);
}

#[test]
fn decisions_are_heard_by_who_asks_for_them_and_the_others_hear_the_backend_alone() {
    let api = Api::new(registered);
    let plain = ["", "?events=", "?other=decisions"].map(|query| match query {
        "?events=" => None,
        query => Some(listen_to(api.addr, query)),
    });
    let mut wants = listen_to(api.addr, "?events=decisions&x=1");
    until(|| clients(&api) == 3);
    let decision = r#"{"event":"decision","actionID":"w1"}"#;
    api.vault.feed_items(vec![
        ipc::FeedItem::Raw("one".into()),
        ipc::FeedItem::Decision(decision.into()),
        ipc::FeedItem::Raw(decision.into()),
        ipc::FeedItem::Raw("two".into()),
    ]);
    for expected in ["one", decision, decision, "two"] {
        assert_eq!(text(&mut wants), expected);
    }
    for mut socket in plain.into_iter().flatten() {
        for expected in ["one", decision, "two"] {
            assert_eq!(text(&mut socket), expected, "the backend's words are passed on whatever they look like");
        }
    }
    for query in ["?events=", "?events=all", "?events=decisions&events=x"] {
        let reply = api.ask("GET", &format!("/api/v1/client/feed{query}"), "");
        assert_eq!((reply.status, &reply.json()["Reason"]), (400, &serde_json::json!("query-invalid")), "{query}");
    }
}
