//! What a partner app decides is asked about too, and nothing that it says goes round the callback.

use super::{approved_once, decisions, house, order_one, told, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, Callback, until};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[test]
fn a_release_by_the_partner_app_is_asked_about_and_goes_with_an_approve_alone() {
    let callback = Callback::start(|asked| match asked.action() {
        "good" | "silent" => asked.says("APPROVE"),
        "unsure" => asked.says("IGNORE"),
        _ => asked.says("REJECT"),
    });
    let house = house(&callback, None, "");
    for id in ["good", "bad", "unsure"] {
        house.order(json!({"id": id}));
        house.logged(&["held: ", id]);
    }
    assert!(callback.asked().is_empty(), "what is held for a person is nobody else's yet");
    assert_eq!(house.approve("good").status, 200);
    approved_once(&house, "good");
    assert_eq!(told(&house.approve("bad")), (403, "the callback says REJECT: it gives no reason".into()));
    house.wait("rejected=1");
    unsigned(&house, "bad", "rejected");
    let before = decisions(&house, "unsure").len();
    for _ in 0..3 {
        assert_eq!(house.approve("unsure").status, 503);
    }
    assert_eq!(callback.asked_about("unsure").len(), 3, "each time anew");
    assert_eq!(decisions(&house, "unsure").len(), before, "who asks in a loop adds no record");
    assert_eq!(house.reject("unsure").status, 200, "a rejection needs nobody else");
    // The feed says nothing of this one.
    house.order(json!({"id": "silent", "announce": false}));
    assert_eq!(house.approve("silent").status, 200);
    let by: Vec<_> = callback.asked().iter().map(|asked| asked.claims["by"].clone()).collect();
    assert!(by.iter().all(|by| by == "client"), "{by:?}");
    let held = callback.asked_about("good")[0].claims.clone();
    assert_eq!((&held["verdict"], &held["rule"]), (&json!("hold"), &json!(null)), "{held}");
    house.assert_no_panic();
}

#[test]
fn what_policy_denies_is_nobodys_to_approve_and_is_not_asked_about() {
    let deny = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let callback = Callback::start(|asked| asked.says("APPROVE"));
    let house = house(&callback, Some(&format!("{APPROVE_ALL}{deny}")), "");
    let id = order_one(&house, json!({"kind": "withdraw"}));
    house.wait("rejected=1");
    assert_eq!(house.approve(&id).status, 403);
    house.order(json!({"id": "silent", "kind": "withdraw", "announce": false}));
    assert_eq!(house.approve("silent").status, 403);
    house.wait("rejected=2");
    assert!(callback.asked().is_empty());
    house.assert_no_panic();
}

/// It thinks until it is told otherwise, and says APPROVE then.
pub struct Thinking(Arc<(Mutex<bool>, Condvar)>);

impl Thinking {
    pub fn start() -> (Self, Callback) {
        let thinking = Arc::new((Mutex::new(true), Condvar::new()));
        let done = thinking.clone();
        let callback = Callback::start(move |asked| {
            let (thinks, changed) = &*thinking;
            drop(changed.wait_while(thinks.lock().unwrap(), |thinks| *thinks).unwrap());
            asked.says("APPROVE")
        });
        (Self(done), callback)
    }

    pub fn end(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }
}

#[test]
fn a_rejection_while_the_callback_thinks_wins_over_its_approve() {
    let (thinking, callback) = Thinking::start();
    let house = house(&callback, Some(APPROVE_ALL), "timeout_seconds = 60");
    let id = order_one(&house, json!({}));
    until("it is asked", || callback.asked().len() == 1, || house.log());
    assert_eq!(house.reject(&id).status, 200, "at once");
    thinking.end();
    assert_eq!(house.approve(&id).status, 409);
    unsigned(&house, &id, "rejected");
    assert_eq!(callback.asked().len(), 1);
    house.assert_no_panic();
}

#[test]
fn a_rejection_that_comes_after_an_approval_that_is_asked_about_wins_too() {
    let (thinking, callback) = Thinking::start();
    let house = house(&callback, None, "timeout_seconds = 60");
    let id = order_one(&house, json!({}));
    house.logged(&["held: ", &id]);
    let told = thread::scope(|scope| {
        let approved = scope.spawn(|| house.approve(&id).status);
        until("it is asked", || callback.asked().len() == 1, || house.log());
        assert_eq!(house.reject(&id).status, 200, "at once");
        thinking.end();
        approved.join().unwrap()
    });
    assert_eq!(told, 409);
    unsigned(&house, &id, "rejected");
    let decision = decisions(&house, &id).pop().unwrap();
    assert_eq!((&decision["verdict"], &decision["by"]), (&json!("reject"), &json!("client")), "{decision}");
    house.assert_no_panic();
}

#[test]
fn of_many_who_approve_all_join_one_question() {
    let (thinking, callback) = Thinking::start();
    let house = house(&callback, None, "timeout_seconds = 60");
    let id = order_one(&house, json!({}));
    house.logged(&["held: ", &id]);
    let told: Vec<u16> = thread::scope(|scope| {
        let ask = || scope.spawn(|| house.approve(&id).status);
        let mut all = vec![ask()];
        until("it is asked", || callback.asked().len() == 1, || house.log());
        for others in 1..5 {
            all.push(ask());
            let joined = || house.log().matches("it is asked about already").count() == others;
            until("one more joins", joined, || house.log());
        }
        thinking.end();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(told, [200; 5]);
    approved_once(&house, &id);
    assert_eq!(callback.asked().len(), 1);
    house.assert_no_panic();
}

#[test]
fn what_the_feed_announces_while_a_client_is_asked_about_is_not_forgotten() {
    let thinking = Arc::new((Mutex::new(true), Condvar::new()));
    let done = Thinking(thinking.clone());
    let callback = Callback::start(move |asked| {
        let (thinks, changed) = &*thinking;
        drop(changed.wait_while(thinks.lock().unwrap(), |thinks| *thinks).unwrap());
        asked.says(if asked.number == 0 { "IGNORE" } else { "APPROVE" })
    });
    let house = house(&callback, Some(APPROVE_ALL), "timeout_seconds = 60");
    house.order(json!({"id": "early", "announce": false}));
    let told = thread::scope(|scope| {
        let early = scope.spawn(|| house.approve("early").status);
        until("it is asked", || callback.asked().len() == 1, || house.log());
        house.control("POST", "/actions/early/announce", None);
        house.logged(&["it is asked about already", "early"]);
        done.end();
        early.join().unwrap()
    });
    assert_eq!(told, 503);
    house.wait("approved=1");
    approved_once(&house, "early");
    house.assert_no_panic();
}
