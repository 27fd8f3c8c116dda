//! Answers that do not come, come late, or come again.

use super::{approved_once, house, house_with, hurried, order_one, told, unsigned};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, Answered, Callback, House, until};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn nonces(callback: &Callback, id: &str) -> HashSet<String> {
    callback.asked_about(id).iter().map(|asked| asked.claims["jti"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_retry_and_a_lost_connection_are_asked_again_with_a_new_nonce_as_often_as_configured() {
    let callback = Callback::start(|asked| match (asked.action(), asked.number) {
        ("retry-then-approve", 0 | 1) => asked.says("RETRY"),
        ("never", _) => asked.says("RETRY"),
        ("lost-then-approve", n) if n % 2 == 0 => Answered::Cut,
        ("away", _) => Answered::Status(503),
        _ => asked.says("APPROVE"),
    });
    let house = house(&callback, Some(APPROVE_ALL), "retries = 2");
    house.order(json!({"id": "retry-then-approve"}));
    house.wait("approved=1");
    assert_eq!((callback.asked().len(), nonces(&callback, "retry-then-approve").len()), (3, 3));
    house.order(json!({"id": "padding"}));
    house.wait("approved=2");
    house.order(json!({"id": "lost-then-approve"}));
    house.wait("approved=3");
    assert_eq!(nonces(&callback, "lost-then-approve").len(), 2);
    for (id, words) in [("never", "the callback says RETRY"), ("away", "the callback answered 503")] {
        house.order(json!({"id": id}));
        house.logged(&["held: no second opinion", id, words]);
        assert_eq!((callback.asked_about(id).len(), nonces(&callback, id).len()), (3, 3), "{id}");
        unsigned(&house, id, "pending");
    }
    house.assert_no_panic();
}

#[test]
fn silence_is_no_approval_and_the_partner_app_is_told() {
    let callback = Callback::start(|_| Answered::Silence);
    let house = house(&callback, Some(APPROVE_ALL), "timeout_seconds = 1");
    let id = order_one(&house, json!({}));
    house.logged(&["held: no second opinion", &id, "did not answer within 1 s"]);
    assert_eq!(told(&house.approve(&id)), (503, "it is held: the callback did not answer within 1 s".into()));
    unsigned(&house, &id, "pending");
    let health = house.ask("GET", "/api/v1/healthcheck/status", "").json();
    assert_eq!(health["Ready"], false, "{health}");
    assert!(health["Reasons"].to_string().contains("the callback did not answer"), "{health}");
    house.assert_no_panic();
}

#[test]
fn an_approve_that_comes_after_its_time_is_none() {
    let callback = Callback::start(|asked| {
        // Longer than is waited for; how much longer does not matter.
        std::thread::sleep(std::time::Duration::from_secs(2));
        asked.says("APPROVE")
    });
    let house = house(&callback, Some(APPROVE_ALL), "timeout_seconds = 1");
    let id = order_one(&house, json!({}));
    house.logged(&["held: no second opinion", &id, "did not answer within 1 s"]);
    assert_eq!(house.approve(&id).status, 503);
    unsigned(&house, &id, "pending");
    house.assert_no_panic();
}

#[test]
fn what_nobody_answered_for_is_asked_about_again_and_goes_when_the_callback_is_back_also_after_a_restart() {
    let back = Arc::new(AtomicBool::new(false));
    let here = back.clone();
    let callback =
        Callback::start(move |asked| if here.load(Ordering::SeqCst) { asked.says("APPROVE") } else { Answered::Cut });
    let mut house = hurried(&callback, Some(APPROVE_ALL), "retries = 0", "20");
    let ids = house.order(json!({"count": 12}));
    for id in &ids {
        house.logged(&["held: no second opinion", id, "not reached"]);
    }
    assert_eq!(house.stop().code(), Some(0));
    house.run_unready();
    back.store(true, Ordering::SeqCst);
    house.wait("approved=12");
    ids.iter().for_each(|id| approved_once(&house, id));
    let ready = || house.ask("GET", "/api/v1/healthcheck/status", "").json()["Ready"] == true;
    until("the house is ready again", ready, || house.log());
    house.assert_no_panic();
}

#[test]
fn an_action_whose_time_is_over_while_the_callback_thinks_expires_unsigned() {
    let callback = Callback::start(|asked| asked.says("RETRY"));
    let house = house(&callback, Some(APPROVE_ALL), "retries = 20");
    let id = order_one(&house, json!({"expiresIn": 4}));
    house.logged(&["settled: expired", &id]);
    let asked = callback.asked_about(&id).len();
    assert!((1..=5).contains(&asked), "{asked}");
    assert_eq!(house.stats()["puts"], 0);
    assert_eq!(house.approve(&id).status, 409);
    house.assert_no_panic();
}

#[test]
fn a_callback_that_hangs_holds_up_nothing_that_needs_none() {
    let callback = Callback::start(|_| Answered::Silence);
    let deny = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let house = house(&callback, Some(&format!("{APPROVE_ALL}{deny}")), "timeout_seconds = 60");
    house.order(json!({"count": 100}));
    until("as many questions are out as may be", || callback.asked().len() == 16, || house.log());
    let denied: Vec<String> = house.order(json!({"kind": "withdraw", "count": 20}));
    house.wait("rejected=20");
    assert_eq!((callback.asked().len(), denied.len()), (16, 20));
    house.assert_no_panic();
}

#[test]
fn a_key_that_is_none_or_missing_keeps_the_agent_from_starting() {
    let callback = Callback::start(|asked| asked.says("APPROVE"));
    let file = callback.key_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let settings = signing_agent_tests::Settings { more: callback.section(""), ..Default::default() };
    let house = House::empty(settings);
    let off_the_curve = good.replace('A', "B");
    for bad in ["", "garbage", &good.replace("PUBLIC", "PRIVATE"), &good[..100], &off_the_curve] {
        std::fs::write(&file, bad).unwrap();
        let output = house.output(&["init"]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{bad:?}: {words}");
        assert!(words.contains("[callback] public_key_file") && words.contains("P-256"), "{words}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(house.output(&["init"]).status.code(), Some(78));
    std::fs::write(&file, &good).unwrap();
    assert_eq!(house.output(&["init"]).status.code(), Some(0));
}

#[test]
fn while_the_wall_clock_is_not_believed_nobody_is_asked_and_what_waited_for_it_is_asked_about_then() {
    let callback = Callback::start(|asked| asked.says("APPROVE"));
    let clocks = tempfile::NamedTempFile::new().unwrap();
    let environment =
        vec![("SIGNING_AGENT_TEST_SPEED", "10".into()), ("SIGNING_AGENT_TEST_CLOCKS", clocks.path().to_path_buf())];
    let house = house_with(&callback, Some(APPROVE_ALL), "", environment);
    std::fs::write(clocks.path(), "120 0\n").unwrap();
    let id = order_one(&house, json!({"expiresIn": 86_400}));
    house.logged(&["held: ", &id, "the wall clock jumped"]);
    let (status, detail) = told(&house.approve(&id));
    assert!(status == 503 && detail.contains("confirm-clock"), "{status} {detail}");
    assert!(callback.asked().is_empty());
    std::fs::write(clocks.path(), "0 0\n").unwrap();
    assert!(house.output(&["confirm-clock"]).status.success());
    house.wait("approved=1");
    assert_eq!(callback.asked_about(&id).len(), 1);
    house.assert_no_panic();
}

#[test]
fn an_approve_counts_by_the_time_at_which_it_comes() {
    let policy = format!("{APPROVE_ALL}min_time_to_expiry = \"3580s\"\n");
    let dir = tempfile::tempdir().unwrap();
    let clocks = dir.path().join("clocks");
    let later = clocks.clone();
    let callback = Callback::start(move |asked| {
        if asked.action() == "late" {
            // Not a jump, and time all the same.
            std::fs::write(&later, "40 0").unwrap();
        }
        asked.says("APPROVE")
    });
    let house = house_with(&callback, Some(&policy), "", vec![("SIGNING_AGENT_TEST_CLOCKS", clocks)]);
    house.order(json!({"id": "soon", "expiresIn": 3600}));
    house.wait("approved=1");
    house.order(json!({"id": "late", "expiresIn": 3600}));
    house.logged(&["held: no rule approves it", "late"]);
    unsigned(&house, "late", "pending");
    house.assert_no_panic();
}
