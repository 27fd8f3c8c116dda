//! A captured door and the second opinion: the courier carries question and answer and can make no approval of a no; the api
//! can ask for no approval that nobody is asked about.

use crate::door::{Captured, Door, house_stands, pid};
use crate::outside::{Courier, agent_id, asset, digest, replied, signed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipc::{ActionId, Answer, Ask, Errand, Method, Place, Refusal, Verb};
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};
use signing_agent_tests::{ANSWER, APPROVE_ALL, Callback, House, Settings, jwt};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is said in the place of a REJECT, which it gets with the question's claims.
type Lie<'a> = dyn Fn(&Value, &str) -> String + 'a;

/// The question about this action, which the courier is to carry.
fn question(courier: &mut Courier<'_>, id: &str) -> (Errand, Value) {
    match courier.door.ask(&Ask::NextErrand) {
        Answer::Errand(errand) => {
            assert_eq!((errand.place, errand.method, errand.tail.as_str()), (Place::Callback, Method::Post, ""));
            let names: Vec<&str> = errand.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["content-type", "accept"], "no pass goes there");
            let jwt = String::from_utf8(errand.body.clone()).unwrap();
            let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(claims["action"]["id"], id);
            (errand, claims)
        }
        other => panic!("{other:?}"),
    }
}

/// What the answerer says to it.
fn answer(claims: &Value, decision: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({"nonce": claims["jti"], "action": claims["action"]["id"], "messages": claims["messages"],
           "decision": decision, "iat": now})
}

#[test]
fn a_captured_courier_that_carries_the_answer_makes_no_approval_of_a_reject() {
    let callback = Callback::start(|asked| asked.says("REJECT"));
    let settings = Settings { more: callback.section("retries = 0"), ..Settings::with_policy(APPROVE_ALL) };
    let house = House::registered(settings);
    let vault = pid(&house, "vault");
    let messages: Vec<String> = (0..10).map(|_| asset(&house, "transfer")).collect();
    let agent = agent_id(&house);
    let captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    let says = |claims: &Value, decision: &str| jwt(&callback.key, ANSWER, &answer(claims, decision).to_string());

    // One honest approval: what it brought is kept for later.
    courier.announce("honest", "ApproveTransfer", &messages[0]);
    let (errand, claims) = question(&mut courier, "honest");
    let approve = says(&claims, "APPROVE");
    courier.reports(errand.id, replied(200, &approve));
    courier.approves("honest", &messages[0]);

    let own = SigningKey::from_slice(&[9; 32]).unwrap();
    let lies: [(&str, Box<Lie<'_>>); 7] = [
        ("forged", Box::new(|claims, _| jwt(&own, ANSWER, &answer(claims, "APPROVE").to_string()))),
        ("replayed", Box::new(|_, _| approve.clone())),
        (
            "bent",
            Box::new(|_, reject| {
                let parts: Vec<&str> = reject.split('.').collect();
                let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
                let payload = URL_SAFE_NO_PAD.encode(payload.replace("REJECT", "APPROVE"));
                format!("{}.{payload}.{}", parts[0], parts[2])
            }),
        ),
        (
            "unsigned",
            Box::new(|claims, _| {
                let header = URL_SAFE_NO_PAD.encode(ANSWER.replace("ES256", "none"));
                format!("{header}.{}.", URL_SAFE_NO_PAD.encode(answer(claims, "APPROVE").to_string()))
            }),
        ),
        ("garbage", Box::new(|_, _| json!({"decision": "APPROVE"}).to_string())),
        ("echoed", Box::new(|_, _| String::new())),
        (
            "spliced",
            Box::new(|_, reject| {
                let signature = approve.rsplit('.').next().unwrap();
                format!("{}.{signature}", reject.rsplit_once('.').unwrap().0)
            }),
        ),
    ];
    for (n, (id, lie)) in lies.iter().enumerate() {
        courier.announce(id, "ApproveTransfer", &messages[n + 1]);
        let (errand, claims) = question(&mut courier, id);
        let said = if *id == "echoed" {
            String::from_utf8(errand.body.clone()).unwrap()
        } else {
            lie(&claims, &says(&claims, "REJECT"))
        };
        courier.reports(errand.id, replied(200, &said));
        // Once it has answered for it nothing more counts.
        courier.reports(errand.id, replied(200, &says(&claims, "APPROVE")));
        house.logged(&["held: no second opinion", id]);
    }
    // An answer to one question, brought as the answer to another that is out.
    courier.announce("swapped-a", "ApproveTransfer", &messages[8]);
    let (first, asked_first) = question(&mut courier, "swapped-a");
    courier.announce("swapped-b", "ApproveTransfer", &messages[9]);
    let (second, asked_second) = question(&mut courier, "swapped-b");
    courier.reports(second.id, replied(200, &says(&asked_first, "APPROVE")));
    house.logged(&["held: no second opinion", "swapped-b"]);
    courier.reports(first.id, replied(200, &says(&asked_second, "REJECT")));
    house.logged(&["held: no second opinion", "swapped-a"]);
    courier.until_stands(json!({"approved": 1, "held": 9}));
    assert_eq!(signed(&house), [("honest".to_owned(), digest(&messages[0]))]);
    drop((courier, captured));
    house_stands_ready(&house, vault);
}

/// The house is ready again when the callback is not complained of any more; what it is now asked about it rejects.
fn house_stands_ready(house: &House, vault: u32) {
    let id = house.order(json!({"kind": "transfer"})).remove(0);
    house.wait("rejected=1");
    assert_eq!(house.action(&id)["approvals"], 0);
    house_stands(house, vault);
}

#[test]
fn a_captured_api_gets_nothing_approved_that_the_callback_does_not_second() {
    let callback = Callback::start(|asked| asked.says(if asked.action() == "unsure" { "IGNORE" } else { "REJECT" }));
    let house = House::registered(Settings { more: callback.section(""), ..Settings::default() });
    let vault = pid(&house, "vault");
    for id in ["unsure", "bad"] {
        house.order(json!({"id": id}));
        house.logged(&["held: ", id]);
    }
    house.order(json!({"id": "silent", "announce": false}));
    let captured = Captured::room(&house, "api");
    let mut api = Door::connect(&house, "api.sock");
    let mut approve = |id: &str| {
        let action = ActionId::try_from(id.to_owned()).unwrap();
        api.ask(&Ask::from(ipc::Call::Decide { action, verb: Verb::Approve, statements: Vec::new() }))
    };
    for _ in 0..3 {
        let told = approve("unsure");
        assert!(matches!(&told, Answer::Refused(Refusal::NoSecondOpinion(why)) if why.contains("IGNORE")), "{told:?}");
        for id in ["bad", "silent"] {
            let told = approve(id);
            assert!(matches!(&told, Answer::Refused(Refusal::Denied(why)) if why.contains("REJECT")), "{told:?}");
        }
    }
    house.wait("rejected=2");
    assert_eq!(signed(&house), []);
    drop((api, captured));
    house_stands(&house, vault);
}
