#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Agent, Control, Partner, ec_public_key, init_body, now, random, start};
use custody_simulator::call;
use milagro::SecretKey;
use milagro::mpin::{one_pass, vectors::one_pass_with_x};
use serde_json::json;

#[test]
fn an_agent_registers_and_one_id_is_in_all_four_places() {
    let simulator = start();
    let partner = Partner::new(&Control::of(&simulator), "pkcs8");
    let bls = SecretKey::from_entropy(&random()).unwrap();
    let reply = partner.init(&simulator, init_body(&bls).to_string().as_bytes()).json();
    let identity = hex::decode(reply["clientID"].as_str().unwrap()).unwrap();
    let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
    let iddoc = hex::decode(reply["idDoc"].as_str().unwrap()).unwrap();
    assert_eq!(reply["id"], reply["accountCode"]);
    assert_eq!(reply["id"], identity["id"]);
    assert_eq!(reply["id"], bs58::encode(&iddoc[4..36]).into_string());
    assert!(iddoc.windows(192).any(|part| part == bls.public_key().to_bytes()));
    assert_eq!(hex::decode(reply["clientSecret"].as_str().unwrap()).unwrap().len(), 97);

    let agent = Agent::init(&simulator);
    let signature = agent.bls.sign(&agent.iddoc).to_bytes();
    let first = agent.finish(&signature);
    assert_eq!((first.status, first.json()), (200, json!({"feed": simulator.feed_url()})));
    assert_eq!(agent.finish(&signature).status, 200, "the same finish again is no error");
    let stats = Control::of(&simulator).get("/stats");
    assert_eq!((&stats["initOk"], &stats["finishOk"], &stats["refusalsTotal"]), (&json!(2), &json!(1), &json!(0)));
}

#[test]
fn init_is_refused_unless_the_partner_signed_this_request_just_now() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (partner, other) = (Partner::new(&control, "pkcs1"), Partner::new(&control, "pkcs1"));
    let body = init_body(&SecretKey::from_entropy(&random()).unwrap()).to_string();
    let url = format!("{}/client/init", simulator.url());
    let (fresh, old, early) = (now().to_string(), (now() - 120).to_string(), (now() + 120).to_string());
    let good = partner.sign(&fresh, &url, body.as_bytes());
    let key = partner.api_key.as_str();
    let cases = [
        ("unknown", &*fresh, good.clone(), 401, "unknown"),
        (key, &*old, partner.sign(&old, &url, body.as_bytes()), 401, "more than 60"),
        (key, &*early, partner.sign(&early, &url, body.as_bytes()), 401, "more than 60"),
        (key, "soon", partner.sign("soon", &url, body.as_bytes()), 400, "decimal"),
        (key, &*fresh, other.sign(&fresh, &url, body.as_bytes()), 401, "x-sign is not the API key's"),
        (key, &*fresh, partner.sign(&fresh, "http://elsewhere/client/init", body.as_bytes()), 401, "x-sign is not"),
        (key, &*fresh, partner.sign(&fresh, &url, b"{}"), 401, "x-sign is not"),
        (key, &*fresh, format!("{good}=="), 400, "without padding"),
    ];
    for (key, time, sign, status, words) in cases {
        let headers = [("x-api-key", key), ("x-timestamp", time), ("x-sign", &sign)];
        let reply = call("POST", &url, &headers, body.as_bytes()).unwrap();
        assert_eq!(reply.status, status, "{words}");
        control.refused("init", words);
    }
    let missing = call("POST", &url, &[("x-api-key", key), ("x-timestamp", &fresh)], body.as_bytes()).unwrap();
    assert_eq!(missing.status, 400);
    control.refused("init", "x-sign is missing");
    assert_eq!(control.get("/stats")["initOk"], 0);
    let headers = [("x-api-key", key), ("x-timestamp", &*fresh), ("x-sign", &good)];
    assert_eq!(call("POST", &url, &headers, body.as_bytes()).unwrap().status, 200);
}

#[test]
fn init_is_refused_with_keys_that_are_none() {
    let simulator = start();
    let control = Control::of(&simulator);
    let partner = Partner::new(&control, "pkcs1");
    let good = init_body(&SecretKey::from_entropy(&random()).unwrap());
    let with = |field: &str, value: String| {
        let mut body = good.clone();
        body[field] = value.into();
        body
    };
    let mut off_curve = ec_public_key();
    off_curve[64] ^= 1;
    let cases = [
        (with("name", " ".into()), "name must"),
        (with("blsPublicKey", "zz".into()), "lower-case hex"),
        (with("blsPublicKey", good["blsPublicKey"].as_str().unwrap().to_uppercase()), "lower-case hex"),
        (with("blsPublicKey", "00".repeat(192)), "blsPublicKey"),
        (with("blsPublicKey", "ff".repeat(192)), "blsPublicKey"),
        (with("blsPublicKey", "01".repeat(191)), "blsPublicKey"),
        (with("ecPublicKey", hex::encode(off_curve)), "ecPublicKey"),
        (with("ecPublicKey", hex::encode(&ec_public_key()[..64])), "ecPublicKey"),
        (with("extra", "field".into()), "unknown field"),
        (json!([]), "body is not"),
        (json!({"name": "an agent"}), "missing field"),
    ];
    for (body, words) in cases {
        assert_eq!(partner.init(&simulator, body.to_string().as_bytes()).status, 400, "{body}");
        control.refused("init", words);
    }
    assert_eq!(control.get("/stats")["initOk"], 0);
    assert_eq!(partner.init(&simulator, good.to_string().as_bytes()).status, 200);
}

#[test]
fn finish_is_refused_unless_this_key_signed_this_iddoc() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::init(&simulator);
    let other = SecretKey::from_entropy(&random()).unwrap();
    for signature in [other.sign(&agent.iddoc), agent.bls.sign(b"something else")] {
        assert_eq!(agent.finish(&signature.to_bytes()).status, 400);
        control.refused("finish", "not this key's over this message");
    }
    assert_eq!(agent.finish(&[2; 48]).status, 400);
    assert_eq!(agent.get("any").status, 403, "not registered until finish is accepted");
    control.refused("get", "no finish");
    assert_eq!(control.get("/stats")["finishOk"], 0);
}

#[test]
fn a_pass_is_refused_unless_it_is_fresh_its_owners_and_new() {
    let simulator = start();
    let control = Control::of(&simulator);
    let (agent, other) = (Agent::registered(&simulator), Agent::registered(&simulator));
    let id = control.action(json!({"agent": agent.account}));
    let used = agent.pass();
    assert_eq!(agent.action("GET", &id, &used, "").unwrap().status, 200);
    let foreign = one_pass(&agent.identity, &other.token, 0, now(), &random()).unwrap().header();
    let stranger = one_pass(b"nobody", &agent.token, 0, now(), &random()).unwrap().header();
    let cases = [
        (used.clone(), "used before"),
        (agent.pass_at(now() - 120), "more than 60"),
        (agent.pass_at(now() + 120), "more than 60"),
        (foreign, "proves nothing"),
        (stranger, "never given out"),
        (one_pass(&agent.identity, &agent.token, 1, now(), &random()).unwrap().header(), "proves nothing"),
        (used.to_uppercase(), "cannot be read"),
        ("7b7d".into(), "cannot be read"),
    ];
    for (pass, words) in cases {
        assert_eq!(agent.action("GET", &id, &pass, "").unwrap().status, 401, "{words}");
        control.refused("get", words);
    }
    assert_eq!(call("GET", &format!("{}/action/{id}", agent.base), &[], b"").unwrap().status, 400);
    control.refused("get", "x-api-zkp is missing");
    let stats = control.get("/stats");
    assert_eq!((&stats["passesReplayed"], &stats["gets"]), (&json!(1), &json!(1)));
}

#[test]
fn an_x_that_comes_twice_is_found_out() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    let mut x = [0; 48];
    x[47] = 7;
    let pass = |time| one_pass_with_x(&agent.identity, &agent.token, 0, time, &x).unwrap().header();
    assert_eq!(agent.action("GET", "none", &pass(now()), "").unwrap().status, 404);
    assert_eq!(agent.action("GET", "none", &pass(now() - 9), "").unwrap().status, 401);
    control.refused("get", "x was repeated");
    assert_eq!(control.get("/stats")["noncesReused"], 1);
}

#[test]
fn iddocs_and_replies_can_be_spoilt_each_in_its_way() {
    let simulator = start();
    let control = Control::of(&simulator);
    let partner = Partner::new(&control, "pkcs1");
    let body = init_body(&SecretKey::from_entropy(&random()).unwrap()).to_string();
    let init = || partner.init(&simulator, body.as_bytes()).json();
    let right = init()["idDoc"].as_str().unwrap().len();
    for (fault, grows) in [("other-key", 0), ("other-identity", 0), ("wrong-type", 0), ("unknown-field", 40)] {
        control.fault("init", json!({"iddoc": fault}));
        assert_eq!(init()["idDoc"].as_str().unwrap().len(), right + grows, "{fault}");
    }
    control.fault("init", json!({"iddoc": "other-name"}));
    assert!(init()["idDoc"].as_str().unwrap().contains(&hex::encode("somebody else")));
    control.fault("init", json!({"iddoc": "not-hex"}));
    assert!(hex::decode(init()["idDoc"].as_str().unwrap()).is_err());
    control.fault("init", json!({"reply": "missing-field"}));
    assert_eq!(init().get("idDoc"), None);
    control.fault("init", json!({"reply": "mismatched-ids"}));
    let reply = init();
    assert_ne!(reply["id"], reply["accountCode"]);
    control.fault("init", json!({"reply": "bad-client-secret"}));
    let secret = hex::decode(init()["clientSecret"].as_str().unwrap()).unwrap();
    assert!(milagro::mpin::ClientSecret::from_bytes(&secret).is_err());
    let reply = init();
    assert_eq!(reply["id"], reply["accountCode"], "each fault was for one request");
}
