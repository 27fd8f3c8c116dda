//! A captured api is the partner app, to the vault, whoever that is: it releases what policy holds, and that is all.

#[path = "../secrets/search.rs"]
mod search;

use crate::courier::NO_WITHDRAWALS;
use crate::door::{Captured, Door, house_stands, pid};
use crate::outside::{digest, records, signed};
use age::x25519::Identity;
use ipc::{ActionEnd, ActionId, Answer, Ask, Call, Refusal, Registration, Verb};
use search::Search;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::fs;

fn decide(id: &str, verb: Verb) -> Ask {
    Ask::from(Call::Decide { action: ActionId::try_from(id.to_owned()).unwrap(), verb, statements: Vec::new() })
}

fn order(house: &House, kind: &str, announce: bool) -> (String, String) {
    let made = house.control("POST", "/actions", Some(json!({ "kind": kind, "announce": announce })));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["actions"][0]["id"]), text(&made["actions"][0]["messages"][0]))
}

/// How often the courier was sent out for this action.
fn errands(house: &House, id: &str) -> usize {
    records(house, "errand").iter().filter(|errand| errand["path"] == format!("action/{id}")).count()
}

#[test]
fn a_captured_api_releases_what_is_held_and_neither_what_is_denied_nor_what_nobody_asks() {
    let house = House::registered(Settings::with_policy(NO_WITHDRAWALS));
    let vault = pid(&house, "vault");
    let (held, held_message) = order(&house, "transfer", true);
    let (denied, _) = order(&house, "withdraw", true);
    let (unannounced, _) = order(&house, "withdraw", false);
    house.wait("rejected=1");
    let (iddoc, _) = order(&house, "iddoc", false);
    let captured = Captured::room(&house, "api");
    let mut api = Door::connect(&house, "api.sock");
    for id in [&denied, &unannounced, &iddoc] {
        let answer = api.ask(&decide(id, Verb::Approve));
        assert!(matches!(answer, Answer::Refused(Refusal::Denied(_))), "{id}: {answer:?}");
        // It is told before the rejection is at the backend, which may be asked once more.
        for _ in 0..3 {
            let answer = api.ask(&decide(id, Verb::Approve));
            assert!(matches!(answer, Answer::Refused(_)), "{id}: {answer:?}");
        }
    }
    // An id is all that it can say: under another one there is nothing that could be signed.
    for other in ["never-announced", &format!("{held}-2"), &held.to_lowercase(), &held[..held.len() - 1]] {
        let answer = api.ask(&decide(other, Verb::Approve));
        assert_eq!(answer, Answer::Refused(Refusal::UnknownAction), "{other}");
    }
    assert_eq!(signed(&house), []);

    assert_eq!(api.ask(&decide(&held, Verb::Approve)), Answer::Decided { verb: Verb::Approve });
    assert_eq!(signed(&house), [(held.clone(), digest(&held_message))]);
    house.wait("rejected=3");
    drop((api, captured));
    house_stands(&house, vault);
    let stands = [&held, &denied, &unannounced, &iddoc].map(|id| house.action(id)["status"].clone());
    assert_eq!(stands, ["approved", "rejected", "rejected", "rejected"]);
}

#[test]
fn a_decision_that_is_said_again_is_one_decision_and_one_submission() {
    const AGAIN: usize = 200;
    let house = House::registered(Settings::default());
    let vault = pid(&house, "vault");
    let (yes, _) = order(&house, "transfer", true);
    let (no, _) = order(&house, "transfer", true);
    until("both are held", || records(&house, "decision").len() == 2, || house.log());
    let captured = Captured::room(&house, "api");
    let mut api = Door::connect(&house, "api.sock");
    // The same octets, request id and all, before and after the first is answered.
    for (id, verb) in [(&yes, Verb::Approve), (&no, Verb::Reject)] {
        let frame = ipc::encode(7, &decide(id, verb)).unwrap();
        let opposite = if verb == Verb::Approve { Verb::Reject } else { Verb::Approve };
        api.send(&frame.repeat(AGAIN / 2));
        let answered = api.hear().unwrap();
        assert_eq!((answered.id, answered.what), (7, Answer::Decided { verb }));
        api.send(&frame.repeat(AGAIN / 2));
        for _ in 1..AGAIN {
            assert_eq!(api.hear().unwrap().what, Answer::Decided { verb });
        }
        let end = if verb == Verb::Approve { ActionEnd::Approved } else { ActionEnd::Rejected };
        for _ in 0..3 {
            assert_eq!(api.ask(&decide(id, opposite)), Answer::Refused(Refusal::Contradiction(end)));
        }
    }
    // Fetched for the feed, and decided once.
    assert_eq!((errands(&house, &yes), errands(&house, &no)), (2, 2));
    assert_eq!(signed(&house).len(), 1);
    let stats = house.stats();
    assert_eq!(
        (&stats["puts"], &stats["deletes"], &stats["passesReplayed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{stats}"
    );
    drop((api, captured));
    house_stands(&house, vault);
}

/// What a door must not be told, whatever it asks.
fn secrets(house: &House, recovery: &Identity) -> Search {
    let mut search = Search::default();
    for (what, file) in [("the BLS key", "bls.age"), ("the M-Pin token", "mpin.age")] {
        let secret = age::decrypt(recovery, &fs::read(house.state().join(file)).unwrap()).unwrap();
        search.add(what, &secret[secret.len() - 32..]);
    }
    search.add("the token's PIN", fs::read_to_string(&house.token.pin_file).unwrap().trim().as_bytes());
    search
}

#[test]
fn neither_door_is_told_a_key_and_a_registered_agent_is_not_registered_again() {
    let recovery = Identity::generate();
    let recipient = recovery.to_public().to_string();
    let mut house = House::registered(Settings { recovery: vec![recipient], ..Settings::default() });
    let (vault, partner) = (pid(&house, "vault"), house.partner());
    let search = secrets(&house, &recovery);
    let (id, _) = order(&house, "transfer", true);
    until("it is held", || records(&house, "decision").len() == 1, || house.log());
    let captured = ["api", "courier"].map(|room| Captured::room(&house, room));

    let mut api = Door::connect(&house, "api.sock");
    let text = |name: &str| partner[name].as_str().unwrap().to_owned();
    let registration = Registration::new("another", &text("apiKey"), &text("base64PrivateKey")).unwrap();
    let asks =
        [Call::Client, Call::Health, Call::Register(registration.clone()), Call::Register(registration)].map(Ask::from);
    let mut told: Vec<Answer> = asks.iter().map(|ask| api.ask(ask)).collect();
    assert_eq!(told[2..], [(); 2].map(|()| Answer::Refused(Refusal::AlreadyRegistered)));
    let access = api.access();
    for sequence in [0, u64::MAX] {
        api.tell(&Ask::FeedAfter { sequence, access });
    }
    api.tell(&decide(&id, Verb::Approve));

    let mut courier = Door::connect(&house, "courier.sock");
    told.push(courier.ask(&Ask::FeedTicket));
    assert!(matches!(told.last(), Some(Answer::FeedTicket { .. })), "{told:?}");
    told.push(courier.ask(&Ask::FeedMessage("what the feed said".into())));
    told.push(courier.ask(&Ask::NextErrand));
    let Some(Answer::Errand(put)) = told.last() else { panic!("{told:?}") };
    // A pass is what leaves, and signatures; both are made of the secrets and show nothing of them.
    assert!(put.tail.ends_with(&id) && String::from_utf8_lossy(&put.body).contains("signatures"), "{put:?}");
    let outcome = crate::outside::replied(200, "{}");
    told.push(courier.ask(&Ask::ErrandDone { errand: put.id, outcome }));
    told.extend([api.hear(), api.hear(), api.hear()].map(|answer| answer.unwrap().what));
    for answer in &told {
        let octets = ipc::encode(1, answer).unwrap();
        let found: [&str; 0] = [];
        assert_eq!(search.find(&octets), found, "{answer:?}");
    }
    // This search would find one.
    let spoiled = fs::read(&house.token.pin_file).unwrap();
    assert_eq!(search.find(&[&b"....pin: "[..], &spoiled].concat()), ["the token's PIN"]);
    assert_eq!(house.stats()["initOk"], 1, "nothing was sent for a second registration");
    drop((api, courier, captured));
    house_stands(&house, vault);
}
