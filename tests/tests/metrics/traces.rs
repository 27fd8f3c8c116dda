//! Traces: one of one approval shows every room, and a collector that does not take them is nobody's trouble.

use crate::text;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{APPROVE_ALL, Answered, Callback, House, Settings, until};
use std::collections::BTreeSet;

/// A house whose traces go to this collector.
fn house(collector: &Callback, policy: Option<&str>) -> House {
    let more = format!("[telemetry]\ntraces_url = \"http://127.0.0.1:{}/v1/traces\"\n", collector.port);
    House::registered(Settings { policy: policy.map(str::to_owned), more, ..Settings::default() })
}

/// The spans of an action's trace that the collector has, with their rooms.
fn spans(collector: &Callback, action: &str) -> Vec<(String, Value)> {
    let trace = &hex::encode(Sha256::digest(action))[..32];
    let mut all = Vec::new();
    for asked in collector.asked() {
        assert!(asked.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", asked.head);
        assert!(asked.head.contains("content-type: application/json\r\n"), "{}", asked.head);
        let body: Value = serde_json::from_str(&asked.jwt).unwrap();
        for of_a_room in body["resourceSpans"].as_array().unwrap() {
            let attributes = of_a_room["resource"]["attributes"].as_array().unwrap();
            let name = attributes.iter().find(|attribute| attribute["key"] == "service.name").unwrap();
            let room = text(&name["value"]["stringValue"]);
            let spans = of_a_room["scopeSpans"][0]["spans"].as_array().unwrap();
            let own = spans.iter().filter(|span| span["traceId"] == trace);
            all.extend(own.map(|span| (room.clone(), span.clone())));
        }
    }
    all
}

fn attribute(span: &Value, key: &str) -> String {
    let all = span["attributes"].as_array().unwrap();
    all.iter().find(|one| one["key"] == key).map(|one| text(&one["value"]["stringValue"])).unwrap_or_default()
}

fn nanos(span: &Value, key: &str) -> u64 {
    text(&span[key]).parse().unwrap()
}

#[test]
fn a_trace_of_one_approval_shows_every_room() {
    let collector = Callback::start(|_| Answered::Status(200));
    let mut house = house(&collector, None);
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    house.logged(&[&id, "held"]);
    let client = house.settings.client.with_header("X-Request-Id", "order-7");
    let reply = house.ask_as(&client, "PUT", &format!("/api/v1/client/action/{id}"), "");
    assert_eq!(reply.status, 200, "{}", house.log());
    let wanted = ["api", "courier", "vault"].map(|room| format!("signing-agent-{room}"));
    let has = |name: &str| spans(&collector, &id).iter().any(|(_, span)| span["name"] == name);
    until("every room has told", || has("action") && has("PUT /api/v1/client/action/{id}"), || house.log());
    until("the courier has told of the submission", || has("PUT action/{id}"), || house.log());

    let all = spans(&collector, &id);
    let rooms: BTreeSet<&str> = all.iter().map(|(room, _)| room.as_str()).collect();
    assert_eq!(rooms.into_iter().collect::<Vec<_>>(), wanted);
    let whole = &all.iter().find(|(_, span)| span["parentSpanId"] == "").unwrap().1;
    assert_eq!(whole["name"], "action");
    assert_eq!(attribute(whole, "signing_agent.action.outcome"), "approved");
    assert_eq!(attribute(whole, "signing_agent.action.type"), "ApproveTransfer");
    let names: BTreeSet<String> = all.iter().map(|(_, span)| text(&span["name"])).collect();
    let steps = ["judged", "held", "waited", "signed", "settled", "GET action/{id}", "PUT action/{id}"];
    assert!(steps.iter().all(|step| names.contains(*step)), "{names:?}");
    let mut ids = BTreeSet::new();
    for (room, span) in &all {
        assert!(span == whole || span["parentSpanId"] == whole["spanId"], "{span:#}");
        assert!(ids.insert(text(&span["spanId"])), "{span:#}");
        assert_eq!(attribute(span, "signing_agent.action.id"), id);
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"), "{span:#}");
        assert!(nanos(span, "startTimeUnixNano") >= nanos(whole, "startTimeUnixNano"), "{span:#}");
        let kinds = [("signing-agent-api", 2), ("signing-agent-courier", 3), ("signing-agent-vault", 1)];
        assert!(kinds.iter().any(|(name, kind)| name == room && span["kind"] == *kind), "{room} {span:#}");
    }
    let (_, asked) = all.iter().find(|(room, _)| room.ends_with("api")).unwrap();
    assert_eq!(attribute(asked, "signing_agent.request.id"), "order-7");
    assert_eq!(attribute(asked, "http.response.status_code"), "200");
    assert!(house.metrics()["signing_agent_trace_spans_total{fate=\"taken\"}"] >= 8.0);

    // What goes there is no place for keys.
    let partner = house.partner();
    let told: String = collector.asked().iter().map(|asked| asked.jwt.clone() + &asked.head).collect();
    assert!(["apiKey", "base64PrivateKey"].iter().all(|key| !told.contains(partner[*key].as_str().unwrap())));
    house.assert_no_panic();
}

#[test]
fn a_collector_that_takes_nothing_or_hangs_delays_no_approval() {
    for answered in [|| Answered::Status(503), || Answered::Silence] {
        let collector = Callback::start(move |_| answered());
        let house = house(&collector, Some(APPROVE_ALL));
        house.order(json!({"kind": "transfer"}));
        house.wait("approved=1");
        until("it was asked", || !collector.asked().is_empty(), || house.log());
        // More than 64 errands at once would get done within the house's patience, if each waited for a collector that hangs.
        house.order(json!({"kind": "transfer", "count": 400}));
        house.wait("approved=401");
        if let Answered::Status(_) = answered() {
            house.logged(&["the collector does not take traces"]);
            let lost = || house.metrics()["signing_agent_trace_spans_total{fate=\"lost\"}"] > 0.0;
            until("what it did not take is counted", lost, || house.log());
        }
        assert_eq!(house.ask("GET", "/readyz", "").status, 200, "{}", house.log());
        house.assert_no_panic();
    }
}

#[test]
fn without_a_collector_nobody_tells_anything() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    house.order(json!({"kind": "transfer"}));
    house.wait("approved=1");
    for fate in ["taken", "dropped", "lost"] {
        assert_eq!(house.metrics()[&format!("signing_agent_trace_spans_total{{fate=\"{fate}\"}}")], 0.0);
    }
}
