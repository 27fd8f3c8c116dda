//! What each answer comes to: nothing but a valid APPROVE lets anything go.

use super::{approved_once, decisions, house, order_one, told, unsigned};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::SigningKey;
use serde_json::json;
use signing_agent_tests::{ANSWER, APPROVE_ALL, Answered, Asked, Callback, House, jwt};
use std::sync::Mutex;

/// It is held, for this reason; the partner app that would approve it is told the same, and nothing was signed.
fn held(house: &House, id: &str, words: &str) {
    house.logged(&["held: no second opinion", id, words]);
    unsigned(house, id, "pending");
    let (status, detail) = told(&house.approve(id));
    assert!(status == 503 && detail.starts_with("it is held: ") && detail.contains(words), "{status} {detail}");
    unsigned(house, id, "pending");
}

#[test]
fn a_reject_is_rejected_at_the_backend_for_its_reason_and_its_bytes_go_under_no_other_id() {
    let callback = Callback::start(|asked| {
        let mut claims = asked.answer(if asked.number == 0 { "REJECT" } else { "APPROVE" });
        claims["reason"] = json!("not on my watch\u{1b}[2J");
        asked.signed(&claims)
    });
    let house = house(&callback, Some(APPROVE_ALL), "");
    let id = order_one(&house, json!({}));
    house.wait("rejected=1");
    unsigned(&house, &id, "rejected");
    let (status, detail) = told(&house.approve(&id));
    let words = r"the callback says REJECT: not on my watch\u{1b}[2J";
    assert_eq!((status, detail.as_str()), (403, words));
    let decision = decisions(&house, &id).remove(0);
    assert_eq!(
        (&decision["verdict"], &decision["by"], &decision["why"]),
        (&json!("deny"), &json!("callback"), &json!(words))
    );
    assert_eq!(decision["callback"]["decision"], "REJECT");
    // The callback would approve the same bytes now; they are held all the same.
    let again = order_one(&house, json!({"messages": house.action(&id)["messages"]}));
    house.logged(&["held: ", &again, "another id"]);
    unsigned(&house, &again, "pending");
    house.assert_no_panic();
}

#[test]
fn nothing_but_an_answer_of_the_pinned_key_to_this_very_question_approves() {
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    let answer = move |asked: &Asked| -> Answered {
        let good = asked.answer("APPROVE");
        let with = |field: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[field] = value;
            asked.signed(&claims)
        };
        let Answered::Jwt(valid) = asked.says("APPROVE") else { unreachable!() };
        let parts: Vec<&str> = valid.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(ANSWER.replace("ES256", "none"));
        match asked.action() {
            "ignore" => asked.says("IGNORE"),
            "garbage" => Answered::Jwt("<html>\u{7}hello</html>".into()),
            "empty" => Answered::Jwt(String::new()),
            "other-key" => Answered::Jwt(jwt(&other, ANSWER, &good.to_string())),
            "alg-none" => Answered::Jwt(format!("{none}.{}.", parts[1])),
            "alg-none-signed" => asked.under(&ANSWER.replace("ES256", "none"), &good),
            "alg-other" => asked.under(&ANSWER.replace("ES256", "HS256"), &good),
            "typ-other" => asked.under(r#"{"alg":"ES256","typ":"JWT"}"#, &good),
            "tampered" => {
                let said = URL_SAFE_NO_PAD.encode(asked.answer("REJECT").to_string().replace("REJECT", "APPROVE"));
                let Answered::Jwt(reject) = asked.says("REJECT") else { unreachable!() };
                let reject: Vec<&str> = reject.split('.').collect();
                Answered::Jwt(format!("{}.{said}.{}", reject[0], reject[2]))
            }
            "echo" => Answered::Jwt(asked.jwt.clone()),
            "oversized" => with("reason", json!("x".repeat(8000))),
            "endless" => with("reason", json!("x".repeat(2 << 20))),
            "action" => with("action", json!("another")),
            "messages" => with("messages", json!("00".repeat(32))),
            "nonce" => with("nonce", json!("00".repeat(32))),
            "late" => with("iat", json!(good["iat"].as_u64().unwrap() - 120)),
            "more" => with("amount", json!(1)),
            "created" => Answered::Status(201),
            "refused" => Answered::Status(404),
            "elsewhere" => Answered::Elsewhere(format!("http://127.0.0.1:{}/good", asked.head.len())),
            _ => Answered::Jwt(valid),
        }
    };
    let callback = Callback::start(answer);
    let house = house(&callback, Some(APPROVE_ALL), "retries = 0");
    let table = [
        ("ignore", "the callback says IGNORE: it gives no reason"),
        ("garbage", "no JWT signed by the callback's key"),
        ("empty", "no JWT signed by the callback's key"),
        ("other-key", "no JWT signed by the callback's key"),
        ("alg-none", "no JWT signed by the callback's key"),
        ("alg-none-signed", "whose header is not"),
        ("alg-other", "whose header is not"),
        ("typ-other", "whose header is not"),
        ("tampered", "no JWT signed by the callback's key"),
        ("echo", "no JWT signed by the callback's key"),
        ("oversized", "more than 4096 octets"),
        ("endless", "too long"),
        ("action", "about another action"),
        ("messages", "about other messages"),
        ("nonce", "to another question"),
        ("late", "whose iat is more than 60 s"),
        ("more", "whose claims are not"),
        ("created", "the callback answered 201"),
        ("refused", "the callback answered 404"),
        ("elsewhere", "the callback answered 307"),
    ];
    for (id, words) in table {
        house.order(json!({"id": id}));
        held(&house, id, words);
    }
    let stats = house.stats();
    assert_eq!((&stats["puts"], &stats["deletes"]), (&json!(0), &json!(0)), "{stats}");
    assert!(callback.asked().iter().all(|asked| asked.head.starts_with("POST /ask ")));
    // It is the answers that were wanting.
    let good = order_one(&house, json!({"id": "good"}));
    house.wait("approved=1");
    approved_once(&house, &good);
    let decision = decisions(&house, "ignore").remove(0);
    assert_eq!((&decision["verdict"], &decision["callback"]["decision"]), (&json!("hold"), &json!("IGNORE")));
    assert_eq!(decisions(&house, "garbage").remove(0)["callback"], json!(null));
    house.assert_no_panic();
}

#[test]
fn an_old_approve_is_good_for_no_other_question_not_even_about_the_same_action() {
    let old = Mutex::new(None::<String>);
    let callback = Callback::start(move |asked| {
        let mut old = old.lock().unwrap();
        match (&*old, asked.says("APPROVE")) {
            (None, Answered::Jwt(answer)) => {
                *old = Some(answer);
                asked.says("IGNORE")
            }
            (Some(old), _) => Answered::Jwt(old.clone()),
            _ => unreachable!(),
        }
    });
    let house = house(&callback, Some(APPROVE_ALL), "");
    let first = order_one(&house, json!({}));
    house.logged(&["held: no second opinion", &first, "IGNORE"]);
    let (status, detail) = told(&house.approve(&first));
    assert!(status == 503 && detail.contains("an old one, replayed"), "{status} {detail}");
    unsigned(&house, &first, "pending");
    let second = order_one(&house, json!({}));
    held(&house, &second, "an old one, replayed");
    let alarms = String::from_utf8(house.output(&["status", "--json"]).stdout).unwrap();
    assert!(alarms.contains("who answers for the callback gave an answer to another question"), "{alarms}");
    house.assert_no_panic();
}
