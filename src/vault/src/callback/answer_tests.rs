use super::*;
use crate::callback::question::Question;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;
const HEADER: &str = r#"{"alg":"ES256","typ":"signing-agent-callback-answer+jwt"}"#;

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn point(key: &SigningKey) -> [u8; 65] {
    key.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap()
}

fn messages() -> Vec<Vec<u8>> {
    vec![b"one".to_vec(), b"two".to_vec()]
}

fn action() -> ActionId {
    ActionId::try_from("w1".to_owned()).unwrap()
}

fn question() -> Question {
    Question { action: action(), nonce: "ab".repeat(32), messages: messages_digest(&messages()) }
}

fn claims(decision: &str) -> Value {
    let messages = hex::encode(messages_digest(&messages()));
    json!({ "nonce": "ab".repeat(32), "action": "w1", "messages": messages, "decision": decision, "iat": NOW })
}

fn with(field: &str, value: Value) -> String {
    let mut claims = claims("APPROVE");
    claims[field] = value;
    claims.to_string()
}

fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
    let signature: Signature = key.sign(format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn read_answer(answer: impl AsRef<[u8]>) -> Result<Said, Invalid> {
    read(question(), answer.as_ref(), &point(&key()), NOW)
}

fn invalid(answer: impl AsRef<[u8]>) -> Invalid {
    match read_answer(&answer) {
        Err(invalid) => invalid,
        Ok(said) => panic!("{said:?}: {}", String::from_utf8_lossy(answer.as_ref())),
    }
}

#[test]
fn only_an_approve_is_a_proof_and_only_for_the_action_and_messages_that_were_asked_about() {
    let Ok(Said::Approve(seconded, heard)) = read_answer(signed(&key(), HEADER, &claims("APPROVE").to_string())) else {
        panic!("a good answer")
    };
    assert!(seconded.is_about(&action(), &messages()));
    assert!(!seconded.is_about(&ActionId::try_from("w2".to_owned()).unwrap(), &messages()));
    for others in [vec![], vec![b"one".to_vec()], vec![b"two".to_vec(), b"one".to_vec()], vec![b"onetwo".to_vec()]] {
        assert!(!seconded.is_about(&action(), &others), "{others:?}");
    }
    assert_eq!(heard.decision, Decision::Approve);
    let said = |decision: &str| read_answer(signed(&key(), HEADER, &claims(decision).to_string()));
    assert!(matches!(said("REJECT"), Ok(Said::Reject(..))));
    assert!(matches!(said("RETRY"), Ok(Said::Retry(..))));
    assert!(matches!(said("IGNORE"), Ok(Said::Ignore(..))));
    for none in ["approve", "Approve", "APPROVED", "", "YES"] {
        assert!(matches!(said(none), Err(Invalid::Claims)), "{none}");
    }
}

#[test]
fn the_header_is_a_closed_set_in_any_order() {
    let claims = claims("APPROVE").to_string();
    for good in [
        r#"{"typ":"signing-agent-callback-answer+jwt","alg":"ES256"}"#,
        r#"{ "kid": "2026", "typ": "signing-agent-callback-answer+jwt", "alg": "ES256" }"#,
    ] {
        assert!(matches!(read_answer(signed(&key(), good, &claims)), Ok(Said::Approve(..))), "{good}");
    }
    for bad in [
        r#"{"alg":"none","typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"HS256","typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"ES384","typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"es256","typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","typ":"JWT"}"#,
        r#"{"alg":"ES256","typ":"signing-agent-callback+jwt"}"#,
        r#"{"typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"ES256","alg":"ES256","typ":"signing-agent-callback-answer+jwt"}"#,
        r#"{"alg":"ES256","typ":"signing-agent-callback-answer+jwt","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","typ":"signing-agent-callback-answer+jwt","jwk":{}}"#,
        r#"["ES256","signing-agent-callback-answer+jwt"]"#,
        "",
        "garbage",
    ] {
        assert_eq!(invalid(signed(&key(), bad, &claims)), Invalid::Header, "{bad}");
    }
}

#[test]
fn the_claims_are_a_closed_bounded_set_and_ours() {
    for (field, value, fault) in [
        ("nonce", json!("cd".repeat(32)), Invalid::Nonce),
        ("nonce", json!("AB".repeat(32)), Invalid::Nonce),
        ("nonce", json!(""), Invalid::Nonce),
        ("action", json!("w2"), Invalid::Action),
        ("messages", json!(hex::encode([0; 32])), Invalid::Messages),
        ("iat", json!(NOW - 61), Invalid::Time),
        ("iat", json!(NOW + 61), Invalid::Time),
        ("iat", json!(0), Invalid::Time),
        ("iat", json!(u64::MAX), Invalid::Time),
        ("iat", json!(1.7e9), Invalid::Claims),
        ("iat", json!("now"), Invalid::Claims),
        ("reason", json!(7), Invalid::Claims),
        ("exp", json!(NOW), Invalid::Claims),
        ("decision", json!(["APPROVE"]), Invalid::Claims),
        ("decision", json!(null), Invalid::Claims),
    ] {
        assert_eq!(invalid(signed(&key(), HEADER, &with(field, value.clone()))), fault, "{field} {value}");
    }
    for field in ["nonce", "action", "messages", "decision", "iat"] {
        let mut claims = claims("APPROVE");
        claims.as_object_mut().unwrap().remove(field);
        assert_eq!(invalid(signed(&key(), HEADER, &claims.to_string())), Invalid::Claims, "without {field}");
    }
    let twice = claims("REJECT").to_string().replacen('{', r#"{"decision":"APPROVE","#, 1);
    assert_eq!(invalid(signed(&key(), HEADER, &twice)), Invalid::Claims);
    for iat in [NOW - 60, NOW + 60] {
        assert!(read_answer(signed(&key(), HEADER, &with("iat", json!(iat)))).is_ok(), "{iat}");
    }
}

#[test]
fn what_the_key_did_not_sign_is_not_read() {
    let good = signed(&key(), HEADER, &claims("APPROVE").to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let reject = URL_SAFE_NO_PAD.encode(claims("REJECT").to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"signing-agent-callback-answer+jwt"}"#);
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    for bad in [
        String::new(),
        "garbage".into(),
        "..".into(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{reject}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{good}."),
        format!("{good}.{}", parts[2]),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        signed(&other, HEADER, &claims("APPROVE").to_string()),
    ] {
        assert_eq!(invalid(&bad), Invalid::Signature, "{bad}");
    }
    // Each bit of it counts.
    for n in 0..good.len() {
        let mut bent = good.clone().into_bytes();
        bent[n] ^= 1;
        assert!(read_answer(&bent).is_err(), "octet {n}");
    }
    assert_eq!(invalid([0xff; 8]), Invalid::Signature);
    assert!(read_answer(format!("{good}\n")).is_ok(), "a line's end is no harm");
}

#[test]
fn an_answer_is_bounded_and_its_reason_is_plain() {
    let long = "x".repeat(2500);
    let good = signed(&key(), HEADER, &with("reason", json!(long)));
    assert!(good.len() <= LONGEST && read_answer(&good).is_ok());
    let padded = format!("{good}{}", " ".repeat(LONGEST));
    assert_eq!(invalid(padded), Invalid::TooLong);
    let mut claims = claims("REJECT");
    claims["reason"] = json!("\u{1b}[2Jno\n\u{202e}£");
    let Ok(Said::Reject(reason, _)) = read_answer(signed(&key(), HEADER, &claims.to_string())) else { panic!() };
    assert_eq!(reason, r"\u{1b}[2Jno\u{a}\u{202e}\u{a3}");
    claims["reason"] = json!("y".repeat(1000));
    let Ok(Said::Reject(reason, _)) = read_answer(signed(&key(), HEADER, &claims.to_string())) else { panic!() };
    assert_eq!(reason, "y".repeat(MOST_REASON));
}
