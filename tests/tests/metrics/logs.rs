//! Logs as JSON: an action and a request can be followed through the rooms.

use crate::text;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings};
use std::collections::BTreeSet;

#[test]
fn an_action_and_a_request_are_followed_through_all_rooms() {
    let more = "format = \"json\"\n".to_owned();
    let house = House::registered(Settings { more, log_level: "info", ..Settings::default() });
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    house.logged(&[&id, "held"]);
    let client = house.settings.client.with_header("X-Request-Id", "order-7");
    let path = format!("/api/v1/client/action/{id}");
    let reply = house.ask_as(&client, "PUT", &path, "");
    assert_eq!((reply.status, reply.header("x-request-id")), (200, Some("order-7")), "{}", house.log());
    house.logged(&[&id, "settled"]);
    house.logged(&["\"room\":\"courier\"", "\"method\":\"Put\"", "\"status\":200"]);
    house.logged(&["\"room\":\"api\"", "order-7"]);
    // Who gives its request no name, or none that is one, finds ours in the answer and in the log.
    let odd = house.settings.client.with_header("X-Request-Id", "a \"b\"");
    let reply = house.ask_as(&odd, "GET", &path, "");
    let named = reply.header("x-request-id").unwrap().to_owned();
    assert!(named.len() == 16 && named.bytes().all(|b| b.is_ascii_hexdigit()), "{named}");
    house.logged(&["\"room\":\"api\"", &named]);

    let lines: Vec<Value> = house.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rooms = |key: &str, value: &str| -> BTreeSet<String> {
        lines.iter().filter(|line| line[key] == value).map(|line| text(&line["room"])).collect()
    };
    let all = |rooms: &[&str]| rooms.iter().map(|room| (*room).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(rooms("action", &id), all(&["api", "courier", "vault"]));
    assert_eq!(rooms("request", "order-7"), all(&["api", "vault"]));
    let both = |line: &&Value| line["action"] == id.as_str() && line["request"] == "order-7";
    assert!(lines.iter().filter(both).count() >= 2, "what ties a request to an action");
}
