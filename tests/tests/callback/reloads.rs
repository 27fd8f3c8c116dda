//! Another policy comes into force while the callback thinks, or is away; and who asked may have gone meanwhile.

use super::people::Thinking;
use super::{approved_once, hurried, order_one, told, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, Answered, Callback, House, Signal, signal, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const DENY: &str = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\nkinds = [\"wallet\"]\n";
const HOLD: &str = "[[rule]]\nname = \"look\"\nverdict = \"hold\"\nkinds = [\"wallet\"]\n";

fn reload(house: &House, policy: &str) {
    house.put_policy(policy);
    let output = house.output(&["policy", "reload"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_another_policy_denies_meanwhile_is_denied_by_a_late_approve_too_and_who_waits_is_told() {
    let (thinking, callback) = Thinking::start();
    let house = super::house(&callback, Some(APPROVE_ALL), "timeout_seconds = 60");
    // One that policy approves and nobody waits for, one that a client waits for too, and one that only a client speaks of.
    let alone = order_one(&house, json!({"id": "alone"}));
    let joined = order_one(&house, json!({"id": "joined"}));
    until("both are asked about", || callback.asked().len() == 2, || house.log());
    house.order(json!({"id": "silent", "announce": false}));
    thread::scope(|scope| {
        let waits = [&joined, "silent"].map(|id| {
            let house = &house;
            scope.spawn(move || told(&house.approve(id)))
        });
        house.logged(&["it is asked about already", "joined"]);
        until("the client's own is asked about", || callback.asked().len() == 3, || house.log());
        reload(&house, DENY);
        thinking.end();
        for told in waits.map(|wait| wait.join().unwrap()) {
            assert_eq!(told.0, 403, "{told:?}");
            assert!(told.1.contains("none"), "the rule that denies it: {told:?}");
        }
    });
    house.wait("rejected=3");
    for id in [&alone, &joined, "silent"] {
        unsigned(&house, id, "rejected");
        assert_eq!(callback.asked_about(id).len(), 1);
    }
    house.assert_no_panic();
}

#[test]
fn what_nobody_answered_for_and_another_policy_holds_is_not_asked_about_again() {
    let back = Arc::new(AtomicBool::new(false));
    let here = back.clone();
    let callback =
        Callback::start(move |asked| if here.load(Ordering::SeqCst) { asked.says("APPROVE") } else { Answered::Cut });
    let house = hurried(&callback, Some(APPROVE_ALL), "retries = 0", "20");
    let before = order_one(&house, json!({"id": "before", "kind": "withdraw"}));
    house.logged(&["held: no second opinion", &before]);
    reload(
        &house,
        &format!("{APPROVE_ALL}{}", HOLD.replace("kinds = [\"wallet\"]", "action_types = [\"ApproveWithdraw\"]")),
    );
    house.logged(&["held: ", &before, "look"]);
    let asked = callback.asked_about(&before).len();
    // What policy goes on to approve is asked about in the same rounds, later than what was asked about before.
    let after = order_one(&house, json!({}));
    house.logged(&["held: no second opinion", &after]);
    back.store(true, Ordering::SeqCst);
    house.wait("approved=1");
    approved_once(&house, &after);
    assert_eq!(callback.asked_about(&before).len(), asked);
    unsigned(&house, &before, "pending");
    assert_eq!(house.approve(&before).status, 200, "it waits for a client, and is asked about then");
    approved_once(&house, &before);
    assert_eq!(callback.asked_about(&before).len(), asked + 1);
    house.assert_no_panic();
}

#[test]
fn what_another_policy_approves_while_the_callback_is_away_goes_when_it_is_back() {
    let back = Arc::new(AtomicBool::new(false));
    let here = back.clone();
    let callback =
        Callback::start(move |asked| if here.load(Ordering::SeqCst) { asked.says("APPROVE") } else { Answered::Cut });
    let house = hurried(&callback, Some(HOLD), "retries = 0", "20");
    let ids = house.order(json!({"count": 3}));
    ids.iter().for_each(|id| house.logged(&["held: ", id, "look"]));
    assert!(callback.asked().is_empty());
    reload(&house, APPROVE_ALL);
    ids.iter().for_each(|id| house.logged(&["no second opinion: ", id]));
    back.store(true, Ordering::SeqCst);
    house.wait("approved=3");
    ids.iter().for_each(|id| approved_once(&house, id));
    house.assert_no_panic();
}

#[test]
fn who_has_gone_when_the_approve_comes_approves_nothing() {
    let (thinking, callback) = Thinking::start();
    let house = super::house(&callback, None, "timeout_seconds = 60");
    let id = order_one(&house, json!({}));
    house.logged(&["held: ", &id]);
    thread::scope(|scope| {
        let url = house.url(&format!("/api/v1/client/action/{id}"));
        let gone = scope.spawn(move || signing_agent_tests::call("PUT", &url, &[], b"").is_ok());
        until("it is asked", || callback.asked().len() == 1, || house.log());
        let api = house.rooms().into_iter().find(|(name, _)| name == "api").unwrap().1;
        signal(api, Signal::KILL);
        assert!(!gone.join().unwrap(), "its answer was lost with the api");
    });
    let answers = || signing_agent_tests::call("GET", &house.url("/api/v1/client"), &[], b"").is_ok();
    until("another api is there", answers, || house.log());
    thinking.end();
    house.logged(&["the callback says APPROVE", &id]);
    // Who comes again is asked about again: the first approve was for nobody.
    assert_eq!(house.approve(&id).status, 200);
    approved_once(&house, &id);
    assert_eq!(callback.asked_about(&id).len(), 2);
    house.assert_no_panic();
}
