//! What a partner app decides.

use super::{alarms, approved_once, order_one, story, told, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::thread;

#[test]
fn without_a_policy_everything_is_held_until_the_partner_app_decides() {
    let house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 3}));
    for id in &ids {
        house.logged(&["held: ", id]);
        assert_eq!(unsigned(&house, id)["status"], "pending");
    }
    let reply = house.approve(&ids[0]);
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(reply.body, json!({"actionID": ids[0], "status": "approved"}).to_string().as_bytes());
    approved_once(&house, &ids[0]);

    let reply = house.reject(&ids[1]);
    assert_eq!((reply.status, reply.json()), (200, json!({"actionID": ids[1], "status": "rejected"})));
    let action = unsigned(&house, &ids[1]);
    assert_eq!((&action["status"], &action["deletes"]), (&json!("rejected"), &json!(1)), "{action}");

    assert_eq!(unsigned(&house, &ids[2])["status"], "pending");
    house.assert_no_panic();
}

#[test]
fn a_decision_repeated_is_answered_again_and_made_once_and_the_other_is_refused() {
    let house = House::registered(Settings::default());
    let ids = house.order(json!({"count": 2}));
    for _ in 0..3 {
        let reply = house.approve(&ids[0]);
        assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("approved")));
        let reply = house.reject(&ids[1]);
        assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("rejected")));
    }
    assert_eq!(told(&house.reject(&ids[0])), (409, "action is already approved".into()));
    assert_eq!(told(&house.approve(&ids[1])), (409, "action is already rejected".into()));
    approved_once(&house, &ids[0]);
    let action = unsigned(&house, &ids[1]);
    assert_eq!((&action["deletes"], &action["refused"]), (&json!(1), &json!(0)), "{action}");
    let stats = house.stats();
    assert_eq!((&stats["puts"], &stats["refusals"]), (&json!(1), &json!([])), "{stats}");
    house.assert_no_panic();
}

#[test]
fn a_word_against_what_stands_is_refused_on_record_once_and_alarmed() {
    let deny = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let house = House::registered(Settings::with_policy(deny));
    let mut ids = house.order(json!({"count": 2}));
    ids.extend(house.order(json!({"kind": "withdraw"})));
    ids[..2].iter().for_each(|id| house.logged(&["held: ", id]));
    assert_eq!((house.approve(&ids[0]).status, house.reject(&ids[1]).status), (200, 200));
    house.wait("rejected=2");
    for _ in 0..3 {
        assert_eq!((house.reject(&ids[0]).status, house.approve(&ids[1]).status), (409, 409));
        assert_ne!(house.approve(&ids[2]).status, 200);
    }
    for (id, end) in ids.iter().zip(["approved", "rejected", "rejected"]) {
        let mut kinds = story(&house, id);
        kinds.retain(|kind| kind != "decision" && kind != "signed");
        assert_eq!(kinds, [&format!("settled {end}"), "contradiction", "alarm"], "{id}");
        assert!(alarms(&house).contains(id), "{}", alarms(&house));
    }
    house.assert_no_panic();
}

#[test]
fn what_the_feed_calls_otherwise_than_its_bytes_say_is_alarmed_and_on_record_once() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    // What it says is a transfer inside leaves the house: nobody's to release. The other way round somebody may look.
    let mut ids = house.order(json!({"kind": "withdraw", "type": "ApproveTransfer"}));
    ids.extend(house.order(json!({"kind": "transfer", "type": "ApproveWithdraw"})));
    house.wait("rejected=1");
    house.logged(&["held: ", &ids[1]]);
    assert_eq!(house.approve(&ids[1]).status, 200);
    for id in &ids {
        let count = |wanted: &str| story(&house, id).iter().filter(|kind| *kind == wanted).count();
        assert_eq!((count("contradiction"), count("alarm")), (1, 1), "{id}");
        assert!(alarms(&house).contains(id), "{}", alarms(&house));
    }
    assert_eq!(house.approve(&ids[0]).status, 403);
    house.assert_no_panic();
}

#[test]
fn of_many_who_decide_at_once_all_are_told_the_same_end() {
    let house = House::registered(Settings::default());
    for id in house.order(json!({"count": 8})) {
        let (approvals, rejections) = thread::scope(|scope| {
            let puts: Vec<_> = (0..3).map(|_| scope.spawn(|| house.approve(&id).status)).collect();
            let deletes: Vec<_> = (0..3).map(|_| scope.spawn(|| house.reject(&id).status)).collect();
            let statuses = |all: Vec<thread::ScopedJoinHandle<'_, u16>>| -> Vec<u16> {
                all.into_iter().map(|one| one.join().unwrap()).collect()
            };
            (statuses(puts), statuses(deletes))
        });
        let action = house.action(&id);
        let (yes, no) = match action["status"].as_str() {
            Some("approved") => (200, 409),
            Some("rejected") => (409, 200),
            other => panic!("{other:?}: PUT {approvals:?}, DELETE {rejections:?}"),
        };
        assert_eq!((approvals, rejections), (vec![yes; 3], vec![no; 3]), "{action}");
        assert_eq!(action["refused"], 0, "the backend heard one decision: {action}");
    }
    house.assert_no_panic();
}

#[test]
fn an_unknown_action_is_not_found_and_one_that_the_feed_did_not_name_is_decided() {
    let house = House::registered(Settings::default());
    for _ in 0..2 {
        assert_eq!(house.approve("nobody-knows-it").status, 404);
        assert_eq!(house.reject("nobody-knows-it").status, 404);
    }
    let ids = house.order(json!({"count": 2, "announce": false}));
    assert_eq!(house.approve(&ids[0]).status, 200);
    approved_once(&house, &ids[0]);
    assert_eq!(house.reject(&ids[1]).status, 200);
    assert_eq!(unsigned(&house, &ids[1])["status"], "rejected");

    // A no is not remembered against an id that comes into being later.
    let later = order_one(&house, json!({"id": "nobody-knows-it", "announce": false}));
    assert_eq!(house.approve(&later).status, 200, "{}", house.log());
    approved_once(&house, &later);
    house.assert_no_panic();
}
