//! What the backend may do wrong, one thing at a time; each is over when the faults are cleared and the door is open.

use crate::random::Random;
use custody_simulator::Door;
use serde_json::{Value, json};
use signing_agent_tests::House;

/// What is no answer of a Partner API, and little of it HTTP.
fn gibberish(random: &Random) -> String {
    let all = [
        "\0\u{1}\u{2}garbage\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "HTTP/9.9 200 OK\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"messages\":[".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000),
        "X: y\r\n".repeat(10_000),
        String::new(),
    ];
    all[random.below(all.len())].clone()
}

/// Arms a fault at one of the endpoints; its name.
pub fn at_an_endpoint(house: &House, random: &Random) -> String {
    let endpoint = ["get", "put", "delete", "feed"][random.below(4)];
    let status = [500, 502, 503, 408, 401][random.below(5)];
    let (name, fault) = match random.below(11) {
        0 => ("an error", json!({"status": status, "body": "<html>no</html>"})),
        1 => ("later, please", json!({"status": 429, "retryAfter": random.below(10)})),
        2 => ("cut before", json!({"drop": true})),
        3 => ("cut after", json!({"dropAfter": true})),
        4 => ("late", json!({"delayMs": random.below(500)})),
        5 => ("never answered", json!({"delayMs": 60_000})),
        6 | 7 => ("gibberish", json!({"raw": gibberish(random)})),
        8 => ("100 MB", json!({"megabytes": 100, "chunked": random.once_in(2)})),
        9 => ("trickled", json!({"trickleMs": 1 + random.below(20)})),
        // What is done but answered with no JSON would be believed: a 200 is all that a PUT has.
        _ if endpoint == "get" || endpoint == "feed" => ("no JSON", json!({"garbage": true})),
        _ => ("cut before", json!({"drop": true})),
    };
    let rate = [1.0, 0.5, 0.1][random.below(3)];
    let order = json!({"endpoint": endpoint, "fault": fault, "rate": rate, "seed": random.next(), "times": 1 + random.below(20)});
    house.control("POST", "/faults", Some(order));
    format!("{endpoint} {name}")
}

/// Has the port meet whoever comes in another way.
pub fn at_the_door(house: &House, random: &Random) -> String {
    let (name, door) = match random.below(4) {
        0 => ("closed", Door::Closed),
        1 => ("slamming", Door::Slamming),
        2 => ("half-open", Door::Mute),
        _ => ("gibberish", Door::Saying(gibberish(random).into_bytes())),
    };
    house.simulator.stand(door).unwrap();
    format!("the port {name}")
}

/// Does something to the feed. `genuine` is one of the actions that are to be settled; what is said of it is nothing to act on.
pub fn on_the_feed(house: &House, random: &Random, agent: &str, genuine: &str) -> String {
    let event = |changes: Value| {
        let mut event = json!({
            "id": genuine, "coreClientID": agent, "type": "ApproveTransfer", "status": "pending",
            "timestamp": 1, "expireTime": 4_000_000_000u64,
        });
        event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"raw": event.to_string()})
    };
    let invented = format!("invented-{:x}", random.next());
    let stranger = "5zPWqLZaPqAaNewgqGZHsFcAMSWqDNRJj7iRd3MvLDYF";
    let status = ["approved", "rejected", "expired", "pending ", ""][random.below(5)];
    let time = [json!(0), json!(1), json!(-1), json!(1e300), json!(u64::MAX), json!("soon")][random.below(6)].clone();
    let (name, path, body) = match random.below(12) {
        0 => ("dropped", "/feed/drop", json!({})),
        1 => ("stalled", "/feed/stall", json!({})),
        2 => ("100 MB", "/feed", json!({"megabytes": 100})),
        3 => ("garbage", "/feed", json!({"raw": gibberish(random).chars().take(60_000).collect::<String>()})),
        4 => ("binary garbage", "/feed", json!({"raw": "00ff7b22", "binary": true})),
        5 => ("deep", "/feed", json!({"raw": "[".repeat(60_000)})),
        6 => ("another agent's event", "/feed", event(json!({"coreClientID": stranger}))),
        7 => (
            "another agent's event of an unknown id",
            "/feed",
            event(json!({"coreClientID": stranger, "id": invented})),
        ),
        8 => ("an event of an unknown id", "/feed", event(json!({"id": invented}))),
        9 => ("an event that is not pending", "/feed", event(json!({"status": status}))),
        10 => ("an event of another time", "/feed", event(json!({"expireTime": time}))),
        _ => ("an event with more in it", "/feed", event(json!({"more": {"a": [1, {"b": null}]}, "id": invented}))),
    };
    house.control("POST", path, Some(body));
    format!("feed {name}")
}
