//! Decisions as they come on the feed, and decisions that are asked for twice.

use super::get;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, call, until};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

fn listen(house: &House, query: &str) -> WebSocket<TcpStream> {
    let url = house.url("/api/v1/client/feed").replace("http://", "ws://") + query;
    let request = url.into_client_request().unwrap();
    let stream = TcpStream::connect(house.url("").strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    tungstenite::client(request, stream).unwrap().0
}

/// The next text; pings are passed over.
fn text(socket: &mut WebSocket<TcpStream>) -> String {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return text.to_string(),
            Ok(_) => {}
            Err(tungstenite::Error::Io(e)) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn who_asks_for_decisions_hears_them_in_order_and_who_does_not_hears_the_backend_to_the_octet() {
    let policy =
        format!("{APPROVE_ALL}[[rule]]\nname = \"out\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\n");
    let house = House::registered(Settings::with_policy(&policy));
    let (mut wants, mut plain) = (listen(&house, "?events=decisions"), listen(&house, ""));
    let there = || get(&house, "/api/v1/healthcheck/status")["WebSocket"]["ConnectedClients"] == 2;
    until("both are there", there, || house.log());
    let approved = house.order(json!({"kind": "transfer"})).remove(0);
    house.wait("approved=1");
    let held = house.order(json!({"kind": "withdraw"})).remove(0);
    let mut heard: Vec<Value> = Vec::new();
    let mut raw: Vec<String> = Vec::new();
    let until_status = |wants: &mut WebSocket<TcpStream>,
                        id: &str,
                        status: &str,
                        heard: &mut Vec<Value>,
                        raw: &mut Vec<String>| loop {
        let text = text(wants);
        let event: Value = serde_json::from_str(&text).unwrap();
        if event["event"] != "decision" {
            raw.push(text);
            continue;
        }
        heard.push(event.clone());
        if event["actionID"] == id && event["status"] == status {
            return;
        }
    };
    until_status(&mut wants, &held, "held", &mut heard, &mut raw);
    assert_eq!(house.reject(&held).status, 200);
    until_status(&mut wants, &held, "rejected", &mut heard, &mut raw);
    let of = |id: &str| -> Vec<Value> {
        let of_it = heard.iter().filter(|event| event["actionID"] == id);
        of_it.map(|event| json!([event["status"], event["verdict"], event["rule"], event["decidedBy"]])).collect()
    };
    assert_eq!(
        of(&approved),
        [
            json!(["approving", "approve", "everything", "policy"]),
            json!(["approved", "approve", "everything", "policy"])
        ]
    );
    let [first, second, third] = &of(&held)[..] else { panic!("{heard:?}") };
    assert_eq!(*first, json!(["held", "hold", "out", null]));
    assert_eq!((&second[0], &third[0]), (&json!("rejecting"), &json!("rejected")));
    assert!(third[3].as_str().unwrap().starts_with("client") && second[3] == third[3], "{third}");
    assert!(heard.iter().all(|event| event["at"].is_u64() && event.as_object().unwrap().len() == 7), "{heard:?}");
    // The backend's messages are the same for both, and nothing else comes to who did not ask.
    for message in &raw {
        assert_eq!(text(&mut plain), *message);
    }
    let last = house.order(json!({"kind": "transfer"})).remove(0);
    assert!(text(&mut plain).contains(&last));
    assert_eq!(raw.len(), 2, "{raw:?}");
    house.assert_no_panic();
}

/// A lost answer, a restart, two at once: the same word has the same answer, and one signature leaves.
#[test]
fn a_decision_that_is_said_again_is_answered_again_and_signed_once() {
    let mut house = House::registered(Settings::default());
    let ids = house.order(json!({"kind": "transfer", "count": 2}));
    let (approved, rejected) = (&ids[0], &ids[1]);
    house.logged(&["held: ", approved]);
    house.logged(&["held: ", rejected]);
    // While it is on its way: the backend takes its time with the PUT, and the others come meanwhile.
    house.fault("put", json!({"delayMs": 1500}), 1);
    let url = house.url(&format!("/api/v1/client/action/{approved}"));
    let begun = Instant::now();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let ask = || call("PUT", &url, &[], b"").unwrap();
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(begun.elapsed() > Duration::from_secs(1), "it was on its way for a while");
    for reply in &replies {
        assert_eq!((reply.status, reply.json()), (200, json!({ "actionID": approved, "status": "approved" })));
    }
    assert_eq!(house.reject(rejected).status, 200);
    for round in 0..2 {
        for _ in 0..2 {
            let told = json!({ "actionID": approved, "status": "approved" });
            assert_eq!((house.approve(approved).status, house.approve(approved).json()), (200, told));
            assert_eq!(house.reject(rejected).json(), json!({ "actionID": rejected, "status": "rejected" }));
            let against = house.reject(approved);
            assert_eq!((against.status, &against.json()["Reason"]), (409, &json!("action-approved")));
            let against = house.approve(rejected);
            assert_eq!((against.status, &against.json()["Reason"]), (409, &json!("action-rejected")));
        }
        if round == 0 {
            house.kill();
            house.run();
        }
    }
    let story = get(&house, &format!("/api/v1/client/action/{approved}"));
    let signed = story["timeline"].as_array().unwrap().iter().filter(|entry| entry["what"] == "signed").count();
    assert_eq!((signed, &house.action(approved)["approvals"]), (1, &json!(1)), "{story}");
    house.assert_no_panic();
}
