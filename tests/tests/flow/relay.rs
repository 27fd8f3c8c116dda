//! The local feed: what partner apps hear.

use serde_json::json;
use signing_agent_tests::{House, Settings, until};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::{Message, WebSocket};

struct Listener(WebSocket<TcpStream>);

impl Listener {
    fn new(house: &House) -> Self {
        let url = house.url("/api/v1/client/feed").replacen("http", "ws", 1);
        let address = url.trim_start_matches("ws://").split('/').next().unwrap().to_owned();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(tungstenite::client(url, stream).unwrap().0)
    }

    fn next(&mut self) -> String {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn clients(house: &House, count: u64) {
    let connected =
        || house.ask("GET", "/api/v1/healthcheck/status", "").json()["WebSocket"]["ConnectedClients"].clone();
    until("the clients are counted", || connected() == count, || connected().to_string());
}

#[test]
fn every_local_client_hears_what_the_backend_said_octet_for_octet() {
    let house = House::registered(Settings::default());
    let (mut one, mut two) = (Listener::new(&house), Listener::new(&house));
    clients(&house, 2);
    let said = [
        "{ \"id\" :\t\"a\",\r\n \"z\": 1.50e+01, \"id\": \"b\" }".to_owned(),
        "no JSON at all".to_owned(),
        String::new(),
        "\"\\u00e9 is not é, and \\/ is not /\" 🦀\u{0}".to_owned(),
        "x".repeat(60_000),
    ];
    for raw in &said {
        house.control("POST", "/feed", Some(json!({"raw": raw})));
    }
    for raw in &said {
        assert_eq!((&one.next(), &two.next()), (raw, raw));
    }
    let ids = house.order(json!({"count": 50}));
    for id in &ids {
        let (first, second) = (one.next(), two.next());
        assert_eq!(first, second);
        let event: serde_json::Value = serde_json::from_str(&first).unwrap();
        let known = house.action(id);
        for field in ["id", "coreClientID", "type", "status", "timestamp", "expireTime"] {
            assert_eq!(event[field], known[field], "{field} of {first}");
        }
        assert_eq!(event.as_object().unwrap().len(), 6, "{first}");
    }
    // One goes; the other hears on, and who comes later hears what comes later.
    drop(one);
    clients(&house, 1);
    let mut three = Listener::new(&house);
    clients(&house, 2);
    house.control("POST", "/feed", Some(json!({"raw": "later"})));
    assert_eq!((two.next(), three.next()), ("later".to_owned(), "later".to_owned()));
    house.assert_no_panic();
}

#[test]
fn what_a_local_client_says_changes_nothing() {
    let house = House::registered(Settings::default());
    let (mut loud, mut quiet) = (Listener::new(&house), Listener::new(&house));
    clients(&house, 2);
    loud.0.send(Message::text("{\"id\":\"a\",\"status\":\"approved\"}")).unwrap();
    loud.0.send(Message::binary(vec![0xff; 100])).unwrap();
    house.control("POST", "/feed", Some(json!({"raw": "heard"})));
    assert_eq!((loud.next(), quiet.next()), ("heard".to_owned(), "heard".to_owned()));
    // Too long for one who has nothing to say: it is sent away, the other stays.
    let _ = loud.0.send(Message::text("x".repeat(100_000)));
    clients(&house, 1);
    house.control("POST", "/feed", Some(json!({"raw": "heard again"})));
    assert_eq!(quiet.next(), "heard again");
    house.assert_no_panic();
}
