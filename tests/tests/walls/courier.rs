//! A captured courier is the backend, to the vault: it may say what it likes, and gets no signature that nobody approved.

use crate::door::{Captured, house_stands, pid};
use crate::outside::{Courier, agent_id, asset, delete, put, signs};
use ipc::{Answer, Ask, MAX_FEED_MESSAGE, Method, Refusal};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings};

pub const NO_WITHDRAWALS: &str =
    "[[rule]]\nname = \"no withdrawals\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";

#[test]
fn a_captured_courier_gets_no_signature_over_bytes_that_policy_does_not_approve() {
    let house = House::registered(Settings::with_policy(&format!("{NO_WITHDRAWALS}{APPROVE_ALL}")));
    let vault = pid(&house, "vault");
    let [iddoc, withdrawal, transfer, refused] =
        ["iddoc", "withdraw", "transfer", "transfer"].map(|k| asset(&house, k));
    let agent = agent_id(&house);
    let captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);

    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(MAX_FEED_MESSAGE));
    assert!(matches!(courier.feed(&long), Answer::Refused(Refusal::Malformed(_))));
    let mut idle: Vec<Value> = vec![json!("garbage"), json!([]), json!({}), json!(null)];
    for (field, value) in [
        ("coreClientID", json!("somebody-else")),
        ("status", json!("approved")),
        ("expireTime", json!(1)),
        ("expireTime", json!(u64::MAX)),
        ("id", json!("../init")),
        ("id", json!("a?b")),
        ("id", json!("x".repeat(129))),
    ] {
        let mut event = courier.event("idle", "ApproveTransfer");
        event[field] = value;
        idle.push(event);
    }
    for message in idle {
        assert_eq!(courier.feed(&message.to_string()), Answer::Noted, "{message}");
    }

    for (id, claim, message) in [
        ("iddoc", "ApproveTransfer", &iddoc),
        ("withdrawal", "ApproveWithdraw", &withdrawal),
        ("withdrawal-called-transfer", "ApproveTransfer", &withdrawal),
        ("withdrawal-called-nothing-known", "ApproveAnything", &withdrawal),
        ("transfer-called-withdrawal", "ApproveWithdraw", &refused),
    ] {
        courier.announce(id, claim, message);
        courier.rejects(id);
    }
    courier.announce("denied-before", "ApproveTransfer", &refused);
    courier.until_stands(json!({"held": 1, "rejected": 5}));
    // The same lane, told the truth, gets its signature: what came before was refused, not broken.
    courier.announce("honest", "ApproveTransfer", &transfer);
    courier.approves("honest", &transfer);
    courier.until_stands(json!({"approved": 1, "held": 1, "rejected": 5}));
    drop((courier, captured));
    house_stands(&house, vault);
}

#[test]
fn bytes_that_the_partner_app_rejected_are_held_under_another_id() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let (message, agent) = (asset(&house, "transfer"), agent_id(&house));
    let _captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    let app = delete(&house, "first");
    let get = courier.next(Method::Get, "first");
    courier.serve(&get, &message);
    courier.rejects("first");
    assert_eq!(app.join().unwrap(), 200);
    courier.announce("second", "ApproveTransfer", &message);
    courier.until_stands(json!({"held": 1, "rejected": 1}));
}

#[test]
fn once_a_new_courier_is_heard_nothing_is_handed_to_the_one_before() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let (message, agent) = (asset(&house, "transfer"), agent_id(&house));
    let _captured = Captured::room(&house, "courier");
    let mut couriers = vec![Courier::connect(&house, &agent)];
    for round in 0..40 {
        // The one before has asked for more than there is.
        for _ in 0..4 {
            couriers[round].door.tell(&Ask::NextErrand);
        }
        couriers.push(Courier::connect(&house, &agent));
        let id = format!("round-{round}");
        let app = delete(&house, &id);
        let courier = &mut couriers[round + 1];
        let get = courier.next(Method::Get, &id);
        courier.serve(&get, &message);
        courier.rejects(&id);
        assert_eq!(app.join().unwrap(), 200);
    }
}

#[test]
fn of_two_messages_for_one_id_only_the_first_recorded_is_ever_signed() {
    let house = House::registered(Settings::default());
    let [first, other, next] = ["transfer", "transfer", "transfer"].map(|kind| asset(&house, kind));
    let agent = agent_id(&house);
    let _captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    // Two fetches of one action are out: the feed's, and the partner app's.
    let event = courier.event("twice", "ApproveTransfer").to_string();
    assert_eq!(courier.feed(&event), Answer::Noted);
    let by_feed = courier.next(Method::Get, "twice");
    let app = put(&house, "twice");
    let by_app = courier.next(Method::Get, "twice");
    courier.serve(&by_app, &first);
    let approval = courier.next(Method::Put, "twice");
    signs(&house, &approval, &first);
    courier.serve(&by_feed, &other);
    courier.done(approval.id, json!({}));
    assert_eq!(app.join().unwrap(), 200);
    // Known already: it is not fetched again, so the next errand is the next action's.
    assert_eq!(courier.feed(&event), Answer::Noted);
    courier.announce("next", "ApproveTransfer", &next);
    courier.until_stands(json!({"approved": 1, "held": 1}));
    let app = put(&house, "next");
    courier.approves("next", &next);
    assert_eq!(app.join().unwrap(), 200);
    courier.until_stands(json!({"approved": 2}));
}

#[test]
fn an_outcome_of_an_errand_that_is_not_out_or_is_another_connections_changes_nothing() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let [right, wrong] = ["transfer", "transfer"].map(|kind| asset(&house, kind));
    let agent = agent_id(&house);
    let _captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    for id in (0..64).chain([u64::MAX]) {
        courier.done(id, json!({ "messages": [wrong] }));
    }
    let event = courier.event("w1", "ApproveTransfer").to_string();
    assert_eq!(courier.feed(&event), Answer::Noted);
    let lost = courier.next(Method::Get, "w1");
    courier.until_stands(json!({"seen": 1}));

    let mut courier = Courier::connect(&house, &agent);
    courier.done(lost.id, json!({ "messages": [wrong] }));
    let get = courier.next(Method::Get, "w1");
    assert_ne!(get.id, lost.id, "an errand that is handed out again is another");
    let passes = [&lost, &get].map(|errand| errand.headers.clone());
    assert_eq!(passes.each_ref().map(|headers| headers.len()), [1, 1], "a pass and nothing else");
    assert_ne!(passes[0], passes[1], "one pass an attempt");
    courier.serve(&get, &right);
    courier.approves("w1", &right);
    courier.until_stands(json!({"approved": 1}));
}
