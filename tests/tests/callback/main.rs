//! A second opinion: what the operator's endpoint is asked, and what its answers come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod answers;
mod people;
mod python;
mod reloads;
mod times;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{APPROVE_ALL, Callback, House, Reply, Settings};
use std::collections::HashSet;

/// A registered house that asks this callback.
fn house(callback: &Callback, policy: Option<&str>, lines: &str) -> House {
    house_with(callback, policy, lines, Vec::new())
}

/// The same, its clocks so many times faster.
fn hurried(callback: &Callback, policy: Option<&str>, lines: &str, speed: &str) -> House {
    house_with(callback, policy, lines, vec![("SIGNING_AGENT_TEST_SPEED", speed.into())])
}

fn house_with(
    callback: &Callback,
    policy: Option<&str>,
    lines: &str,
    environment: Vec<(&'static str, std::path::PathBuf)>,
) -> House {
    let settings = Settings {
        policy: policy.map(str::to_owned),
        more: callback.section(lines),
        environment,
        ..Settings::default()
    };
    House::registered(settings)
}

fn order_one(house: &House, order: Value) -> String {
    house.order(order).remove(0)
}

/// The backend took one approval of it.
fn approved_once(house: &House, id: &str) {
    let action = house.action(id);
    assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(1)), "{action}");
}

/// The backend never saw a signature for it, and it is as the status says.
fn unsigned(house: &House, id: &str, status: &str) {
    let action = house.action(id);
    let found = (&action["status"], &action["approvals"], &action["signatures"]);
    assert_eq!(found, (&json!(status), &json!(0), &json!([])), "{action}");
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["Detail"].as_str().unwrap_or_default().to_owned())
}

/// The audit log's decisions about an action.
fn decisions(house: &House, id: &str) -> Vec<Value> {
    let path = house.dir.path().join("export");
    let _ = std::fs::remove_file(&path);
    let exported = house.output(&["audit", "export", "--output", path.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = std::fs::read_to_string(&path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "decision" && record["action"] == id).collect()
}

/// SHA-256 over the SHA-256 digests of these messages (hex), hex.
fn messages_digest(action: &Value) -> String {
    let messages = action["messages"].as_array().unwrap();
    let each = messages.iter().map(|message| Sha256::digest(hex::decode(message.as_str().unwrap()).unwrap()));
    hex::encode(Sha256::digest(each.flatten().collect::<Vec<u8>>()))
}

#[test]
fn an_approval_goes_on_with_an_approve_of_the_callback_which_saw_what_is_signed() {
    let callback = Callback::start(|asked| asked.says("APPROVE"));
    let house = house(&callback, Some(APPROVE_ALL), "");
    let id = order_one(&house, json!({"kind": "withdraw", "messageCount": 2}));
    house.wait("approved=1");
    approved_once(&house, &id);
    let asked = callback.asked();
    assert_eq!(asked.len(), 1);
    let (asked, claims) = (&asked[0], &asked[0].claims);

    // The audit key signed it, as its octets stand.
    let pem = String::from_utf8(house.output(&["callback-key"]).stdout).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let spki = STANDARD.decode(body).unwrap();
    let point = &spki[spki.len() - 65..];
    let status: Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["fingerprints"]["audit (EC)"], hex::encode(Sha256::digest(point)));
    let key = VerifyingKey::from_sec1_bytes(point).unwrap();
    let (signed, signature) = asked.jwt.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
    let header = URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), r#"{"alg":"ES256","typ":"signing-agent-callback+jwt"}"#);

    // It says what is signed, and what was found.
    let action = house.action(&id);
    assert_eq!(claims["iss"], house.ask("GET", "/api/v1/client", "").json()["agentID"]);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 10);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 64);
    assert_eq!((&claims["action"]["id"], &claims["action"]["type"]), (&json!(id), &json!("ApproveWithdraw")));
    assert_eq!(claims["action"]["expires"], action["expireTime"]);
    assert_eq!(claims["messages"], messages_digest(&action));
    assert_eq!(
        (&claims["verdict"], &claims["rule"], &claims["by"]),
        (&json!("approve"), &json!("everything"), &json!("policy"))
    );
    assert_eq!(claims["policy"], hex::encode(Sha256::digest(APPROVE_ALL)));
    let facts = claims["facts"].as_array().unwrap();
    assert_eq!(facts.len(), 2);
    assert!(facts[0]["wallet"]["moves"][0]["amount"].is_string(), "{claims}");

    // Nothing goes there that belongs to the backend.
    let head = asked.head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /ask http/1.1\r\n") && head.contains("\r\ncontent-type: application/jwt\r\n"),
        "{head}"
    );
    for foreign in ["x-api", "x-sign", "authorization", "cookie"] {
        assert!(!head.contains(foreign), "{head}");
    }
    // What it said is on record.
    let decision = decisions(&house, &id).remove(0);
    assert_eq!((&decision["verdict"], &decision["callback"]["decision"]), (&json!("approve"), &json!("APPROVE")));
    assert_eq!(decision["callback"]["answer"].as_str().unwrap().len(), 64);
    assert!(status["callback"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{status}");
    house.assert_no_panic();
}

#[test]
fn five_hundred_actions_are_each_asked_about_once_with_a_nonce_of_its_own() {
    let callback = Callback::start(|asked| asked.says(if asked.number % 5 == 0 { "REJECT" } else { "APPROVE" }));
    let house = house(&callback, Some(APPROVE_ALL), "");
    let ids = house.order(json!({"count": 500}));
    house.wait("settled=500");
    let asked = callback.asked();
    let about: HashSet<&str> = asked.iter().map(|asked| asked.action()).collect();
    let nonces: HashSet<&str> = asked.iter().map(|asked| asked.claims["jti"].as_str().unwrap()).collect();
    assert_eq!((asked.len(), about.len(), nonces.len()), (500, 500, 500));
    assert!(ids.iter().all(|id| about.contains(id.as_str())));
    for asked in &asked {
        let wanted = if asked.number % 5 == 0 { "rejected" } else { "approved" };
        assert_eq!(house.action(asked.action())["status"], wanted, "{}", asked.number);
    }
    let stats = house.stats();
    assert_eq!((&stats["approved"], &stats["rejected"], &stats["refusals"]), (&json!(400), &json!(100), &json!([])));
    house.assert_no_panic();
}
