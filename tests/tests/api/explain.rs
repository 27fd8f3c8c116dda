//! What the policy says of an action, to those who ask by HTTP: as the operator's command tells it, and windows as they are.

use super::get;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};

const POLICY: &str = "[[window]]\nname = \"few\"\nperiod = \"24h\"\nmax_count = 2\n\
                      [[rule]]\nname = \"inside\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n";

fn explain(house: &House, body: &Value) -> Value {
    let reply = house.ask("POST", "/api/v1/policy/explain", &body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.json());
    reply.json()
}

/// As the command prints it, without what it does not measure.
fn by_command(house: &House, arguments: &[&str]) -> Value {
    let output = house.output(&[&["policy", "explain", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn unmeasured(mut told: Value) -> Value {
    for window in told["windows"].as_array_mut().unwrap() {
        window.as_object_mut().unwrap().retain(|name, _| name != "used" && name != "fits");
    }
    told
}

#[test]
fn an_explanation_is_the_commands_and_says_what_of_a_window_is_used_and_nothing_comes_of_it() {
    let house = House::registered(Settings::with_policy(POLICY));
    let first = house.order(json!({"kind": "transfer"})).remove(0);
    house.wait("approved=1");
    let message = house.action(&first)["messages"][0].as_str().unwrap().to_owned();
    let records = || {
        let status: Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
        status["audit"]["records"].clone()
    };
    until(
        "it is settled",
        || get(&house, &format!("/api/v1/client/action/{first}"))["status"] == "approved",
        || house.log(),
    );
    let before = records();
    let asked = json!({ "messages": [message], "type": "ApproveTransfer" });
    let told = explain(&house, &asked);
    assert_eq!((&told["verdict"], &told["rule"]), (&json!("approve"), &json!("inside")));
    let window = &told["windows"][0];
    assert_eq!((&window["used"]["count"], &window["fits"]), (&json!(1), &json!(true)), "{told}");
    let mut command = by_command(&house, &["--message", &message, "--type", "ApproveTransfer"]);
    let at = told["at"].as_u64().unwrap();
    assert!(command["at"].as_u64().unwrap() >= at);
    command["at"] = json!(at);
    assert_eq!(unmeasured(told), command);
    // What was decided: as of when it was first seen, and no window is measured.
    let told = explain(&house, &json!({ "actionID": first }));
    assert_eq!(told, by_command(&house, &[&first]));
    assert_eq!((&told["at"], told["windows"][0].get("used")), (&told["then"]["seen"], None));
    assert_eq!(records(), before, "nothing of it is on record");
    // Full is full, for whoever asks.
    house.order(json!({"kind": "transfer"}));
    house.wait("approved=2");
    assert_eq!(explain(&house, &asked)["windows"][0]["fits"], false);
    assert_eq!(house.stats()["puts"], 2, "and nothing was signed for it");
    house.assert_no_panic();
}

#[test]
fn what_cannot_be_explained_says_why() {
    let house = House::registered(Settings::with_policy(POLICY));
    let ask = |body: &str| {
        let reply = house.ask("POST", "/api/v1/policy/explain", body);
        (reply.status, reply.json()["Reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(r#"{"actionID":"nothing"}"#), (404, "action-unknown".into()));
    assert_eq!(ask(r#"{"messages":["0"]}"#), (400, "body-invalid".into()));
    let long = format!(r#"{{"messages":["{}"]}}"#, "00".repeat(40 << 10));
    assert_eq!(ask(&long), (413, "body-too-long".into()));
    house.fault("get", json!({"status": 503}), 1_000);
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    let seen = || house.ask("GET", &format!("/api/v1/client/action/{id}"), "").status == 200;
    until("it was seen", seen, || house.log());
    assert_eq!(ask(&json!({ "actionID": id }).to_string()), (409, "not-explained".into()));
    house.assert_no_panic();
}
