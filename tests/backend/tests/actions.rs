#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Agent, Control, start};
use custody_simulator::call;
use serde_json::{Value, json};

#[test]
fn an_action_is_approved_by_signatures_over_its_messages_and_once() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    let id = control.action(json!({"kind": "withdraw", "messageCount": 3}));
    let signatures = agent.signatures(&id);
    assert_eq!(signatures.len(), 3);
    assert_eq!(agent.put(&id, &signatures).status, 200);
    assert_eq!(agent.put(&id, &signatures).status, 200, "the same PUT again finds out what became of the first");
    assert_eq!(agent.put(&id, &signatures[..1]).status, 409);
    assert_eq!(agent.delete(&id).status, 409);
    let action = control.get(&format!("/actions/{id}"));
    assert_eq!(
        (&action["status"], &action["approvals"], &action["refused"]),
        (&json!("approved"), &json!(2), &json!(2))
    );
    assert_eq!((&action["type"], &action["settledOrder"]), (&json!("ApproveWithdraw"), &json!(1)));
    assert_eq!(action["signatures"], json!(signatures));
    let stats = control.get("/wait?settled=1");
    assert_eq!((&stats["approved"], &stats["repeatedPuts"]), (&json!(1), &json!(1)));
}

#[test]
fn a_put_is_refused_unless_every_signature_is_right() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (other, agent) = (Agent::registered(&simulator), Agent::registered(&simulator));
    let id = control.action(json!({"messageCount": 2}));
    let good = agent.signatures(&id);
    let messages = agent.get(&id).json()["messages"].as_array().unwrap().clone();
    let others =
        messages.iter().map(|m| hex::encode(other.bls.sign(&hex::decode(m.as_str().unwrap()).unwrap()).to_bytes()));
    let over_hex = messages.iter().map(|m| hex::encode(agent.bls.sign(m.as_str().unwrap().as_bytes()).to_bytes()));
    let cases = [
        (vec![], "0 signatures for 2"),
        (good[..1].to_vec(), "1 signatures for 2"),
        ([good.clone(), good.clone()].concat(), "4 signatures for 2"),
        (vec![good[1].clone(), good[0].clone()], "signature 0"),
        (vec![good[0].clone(), good[0].clone()], "signature 1"),
        (others.collect(), "signature 0: the signature is not this key's"),
        (over_hex.collect(), "signature 0: the signature is not this key's"),
        (vec![good[0].clone(), "zz".into()], "lower-case hex"),
        (vec![good[0].to_uppercase(), good[1].clone()], "lower-case hex"),
        (vec![good[0].clone(), "02".into()], "signature 1"),
    ];
    for (signatures, words) in cases {
        assert_eq!(agent.put(&id, &signatures).status, 400, "{words}");
        control.refused("put", words);
    }
    for body in ["", "{}", "[]", "{\"signatures\":[1,2]}"] {
        assert_eq!(agent.action("PUT", &id, &agent.pass(), body).unwrap().status, 400);
        control.refused("put", "body is not");
    }
    assert_eq!(control.get(&format!("/actions/{id}"))["status"], "pending");
    assert_eq!(agent.put(&id, &good).status, 200);
}

#[test]
fn unknown_foreign_expired_and_settled_actions_are_refused_each_with_its_status() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (other, agent) = (Agent::registered(&simulator), Agent::registered(&simulator));
    let id = |order: Value| control.action(order);
    let put = |id: &str| agent.put(id, &agent.signatures(id)).status;
    assert_eq!((agent.get("none").status, agent.delete("none").status, agent.put("none", &[]).status), (404, 404, 404));
    let foreign = id(json!({"coreClientID": other.account, "agent": agent.account}));
    assert_eq!((agent.get(&foreign).status, agent.delete(&foreign).status), (404, 404));
    control.refused("delete", "another agent");
    let late = id(json!({"expiresIn": -1}));
    assert_eq!((put(&late), agent.delete(&late).status), (410, 410));
    assert_eq!(control.get(&format!("/actions/{late}"))["status"], "expired");
    for status in ["approved", "rejected"] {
        let settled = id(json!({"status": status}));
        assert_eq!((put(&settled), agent.delete(&settled).status), (409, 409));
    }
    let rejected = id(json!({}));
    assert_eq!((agent.delete(&rejected).status, put(&rejected)), (200, 409));
    let stats = control.get("/stats");
    assert_eq!((&stats["approved"], &stats["rejected"], &stats["settled"]), (&json!(0), &json!(1), &json!(1)));
}

#[test]
fn what_cannot_be_signed_is_served_as_ordered_and_never_approved() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    for messages in [json!([]), json!([""]), json!(["0800", ""]), json!(["no hex"])] {
        let id = control.action(json!({"messages": messages}));
        assert_eq!(agent.get(&id).json(), json!({"messages": messages}));
        assert_eq!(agent.put(&id, &[]).status, 400);
        control.refused("put", "no message that could be signed");
    }
}

#[test]
fn every_kind_of_message_can_be_ordered_and_control_refuses_what_it_does_not_know() {
    let simulator = start();
    let control = Control::of(&simulator);
    let url = format!("{}/actions", simulator.control());
    assert_eq!(call("POST", &url, &[], b"{}").unwrap().status, 400, "no agent yet");
    let agent = Agent::registered(&simulator);
    for kind in ["transfer", "withdraw", "iddoc", "group", "underlying", "keyvalue", "mpc", "opaque", "junk"] {
        let made = control.post("/actions", json!({"kind": kind, "count": 2, "id": kind}));
        assert_eq!((&made["actions"][0]["id"], &made["actions"][1]["id"]), (&json!(kind), &json!(format!("{kind}-1"))));
        assert_eq!(agent.put(kind, &agent.signatures(kind)).status, 200);
    }
    assert_eq!(control.get("/actions?brief=true")["actions"].as_array().unwrap().len(), 18);
    for (path, body) in [
        ("/actions", "{\"kind\":\"unheard\"}"),
        ("/actions", "{\"knid\":\"transfer\"}"),
        ("/actions", "{\"count\":0}"),
        ("/actions", "{\"id\":\"transfer\"}"),
        ("/faults", "{\"endpoint\":\"put\",\"fault\":{\"staus\":500}}"),
        ("/partners", "{\"apiKey\":\"k\",\"publicKeyPem\":\"none\"}"),
    ] {
        let reply = call("POST", &format!("{}{path}", simulator.control()), &[], body.as_bytes()).unwrap();
        assert_eq!(reply.status, 400, "{body}");
    }
    assert_eq!(call("GET", &format!("{}/wait?setled=1", simulator.control()), &[], b"").unwrap().status, 400);
    assert_eq!(
        call("GET", &format!("{}/wait?settled=99&timeoutMs=10", simulator.control()), &[], b"").unwrap().status,
        408
    );
}

#[test]
fn faults_happen_as_often_as_ordered_and_spend_the_pass() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    let id = control.action(json!({}));
    let signatures = agent.signatures(&id);
    control.fault("get", json!({"status": 503, "body": "later", "retryAfter": 7}));
    let pass = agent.pass();
    let reply = agent.action("GET", &id, &pass, "").unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (503, b"later".as_slice()));
    assert!(reply.head.to_lowercase().contains("retry-after: 7"));
    assert_eq!(agent.action("GET", &id, &pass, "").unwrap().status, 401, "spent by the attempt that failed");
    control.fault("get", json!({"garbage": true}));
    let reply = agent.get(&id);
    assert_eq!((reply.status, reply.json()), (200, Value::Null));

    let body = json!({"signatures": signatures}).to_string();
    control.fault("put", json!({"drop": true}));
    assert!(agent.action("PUT", &id, &agent.pass(), &body).is_err());
    assert_eq!(control.get(&format!("/actions/{id}"))["status"], "pending");
    control.fault("put", json!({"dropAfter": true}));
    assert!(agent.action("PUT", &id, &agent.pass(), &body).is_err());
    assert_eq!(control.get(&format!("/actions/{id}"))["status"], "approved");
    assert_eq!(agent.put(&id, &signatures).status, 200);
    assert_eq!(control.get("/stats")["faultsFired"], 4);

    let fault = |rate: f64| json!({"endpoint": "get", "fault": {"status": 500}, "rate": rate, "seed": 5});
    control.post("/faults", fault(0.5));
    let failed = (0..40).filter(|_| agent.get(&id).status == 500).count();
    assert!((8..=32).contains(&failed), "{failed} of 40");
    assert_eq!(call("DELETE", &format!("{}/faults", simulator.control()), &[], b"").unwrap().status, 200);
    assert_eq!(agent.get(&id).status, 200);
}
