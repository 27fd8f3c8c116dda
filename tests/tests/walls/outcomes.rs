//! A captured courier reports what it likes of what it was sent for, says it again, and serves again what was refused: what
//! was recorded stays, and nothing is signed but what was.

use crate::courier::NO_WITHDRAWALS;
use crate::door::{Captured, house_stands, pid, status};
use crate::outside::{Courier, agent_id, asset, delete, digest, put, records, replied, signed, signs};
use ipc::{Errand, Failure, Method, Outcome};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, Signal, signal, until};
use std::collections::BTreeSet;

/// Retries come quickly.
fn settings(policy: &str) -> Settings {
    let environment = vec![(config_speed(), "50".into())];
    Settings { environment, ..Settings::with_policy(policy) }
}

fn config_speed() -> &'static str {
    "SIGNING_AGENT_TEST_SPEED"
}

/// What is reported, one after the other, and the state that comes of it.
fn lies() -> Vec<(&'static str, Vec<Outcome>, &'static str)> {
    let transport = || Outcome::Failed(Failure::Transport("no route".into()));
    let signature = json!({ "signatures": ["02".repeat(49)], "messages": ["00"] }).to_string();
    vec![
        ("not-found", vec![replied(404, "")], "failed"),
        ("conflict", vec![replied(409, "somebody else did it")], "failed"),
        ("redirect", vec![replied(302, "")], "failed"),
        ("accepted-with-garbage", vec![replied(200, "garbage")], "approved"),
        ("accepted-with-other-signatures", vec![replied(200, &signature)], "approved"),
        ("error-then-not-found", vec![replied(500, ""), replied(404, "")], "unknown"),
        ("lost-then-accepted", vec![transport(), transport(), replied(204, "")], "approved"),
        ("late-then-conflict", vec![Outcome::Failed(Failure::Timeout), replied(409, "")], "unknown"),
        ("unbelieved-then-gone", vec![replied(401, ""), replied(410, "")], "failed"),
    ]
}

/// Reported again and announced again, with other bytes; the app asks again: nothing of it is a new errand.
fn replays(courier: &mut Courier<'_>, id: &str, finished: &[Errand], message: &str, other: &str) {
    for errand in finished {
        courier.serve(errand, other);
        courier.reports(errand.id, replied(200, "{}"));
        courier.reports(errand.id, replied(404, "no such action"));
        courier.reports(errand.id, Outcome::Failed(Failure::Timeout));
    }
    for claim in ["ApproveTransfer", "ApproveWithdraw", "ApproveAnything"] {
        let event = courier.event(id, claim).to_string();
        courier.feed(&event);
        courier.feed(&event);
    }
    // An errand would be this one's, not that of an action that is announced after all of it.
    let probe = format!("{id}-probe");
    courier.announce(&probe, "ApproveTransfer", message);
    let verdict = courier.next_of(&probe);
    courier.reports(verdict.id, replied(404, ""));
}

#[test]
fn no_report_on_a_submission_gets_another_signature_or_opens_the_action_again() {
    let house = House::registered(settings(APPROVE_ALL));
    let vault = pid(&house, "vault");
    let agent = agent_id(&house);
    let other = asset(&house, "transfer");
    let cases: Vec<_> = lies().into_iter().map(|lie| (lie, asset(&house, "transfer"))).collect();
    let captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    for ((id, outcomes, end), message) in &cases {
        let event = courier.event(id, "ApproveTransfer").to_string();
        courier.feed(&event);
        let get = courier.next(Method::Get, id);
        courier.serve(&get, message);
        let mut finished = vec![get];
        let mut passes = BTreeSet::new();
        for outcome in outcomes {
            let put = courier.next(Method::Put, id);
            signs(&house, &put, message);
            assert!(finished[1..].iter().all(|before| before.body == put.body), "{id}: the same signature each time");
            assert!(passes.insert(put.headers[0].1.expose().to_owned()), "{id}: one pass an attempt");
            courier.reports(put.id, outcome.clone());
            finished.push(put);
        }
        let ended = || records(&house, "settled").iter().any(|end| end["action"] == *id);
        until("it is settled", ended, || house.log());
        replays(&mut courier, id, &finished, message, &other);
        let approve = put(&house, id).join().unwrap();
        let reject = delete(&house, id).join().unwrap();
        assert_eq!((approve == 200, reject), (*end == "approved", 409), "{id}: {approve}");
    }
    let settled = records(&house, "settled");
    for ((id, _, end), message) in &cases {
        let ends: Vec<&Value> = settled.iter().filter(|record| record["action"] == *id).map(|r| &r["end"]).collect();
        assert_eq!(ends, [end], "{id}");
        let of: Vec<_> = signed(&house).into_iter().filter(|(action, _)| action == id).collect();
        assert_eq!(of, [((*id).to_owned(), digest(message))], "signed once, and nothing else");
    }
    assert!(
        signed(&house).iter().all(|(_, message)| *message != digest(&other)),
        "what was only slipped in is unsigned"
    );
    drop((courier, captured));
    house_stands(&house, vault);
}

#[test]
fn no_report_on_a_rejection_makes_it_an_approval_and_denied_bytes_are_signed_under_no_id() {
    let house = House::registered(settings(&format!("{NO_WITHDRAWALS}{APPROVE_ALL}")));
    let agent = agent_id(&house);
    let (bad, good) = (asset(&house, "transfer"), asset(&house, "transfer"));
    let captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    // Policy denies the bytes for what the feed calls them, and each time another thing is said to have become of it.
    let reports = [replied(200, "{}"), replied(404, ""), replied(409, "it is approved"), replied(302, "")];
    for (n, outcome) in reports.into_iter().enumerate() {
        let id = format!("denied-{n}");
        courier.announce(&id, "ApproveWithdraw", &bad);
        let delete = courier.next(Method::Delete, &id);
        courier.reports(delete.id, outcome.clone());
        courier.reports(delete.id, replied(200, &json!({ "messages": [good] }).to_string()));
        let ended = || records(&house, "settled").iter().any(|end| end["action"] == id);
        until("it is settled", ended, || house.log());
        courier.feed(&courier.event(&id, "ApproveTransfer").to_string());
        let approved = put(&house, &id).join().unwrap();
        assert!([403, 409].contains(&approved), "{id}: {approved}");
    }
    let mut held = 0;
    let mut serves = |courier: &mut Courier<'_>, id: &str, claim: &str, messages: &[&str]| {
        courier.feed(&courier.event(id, claim).to_string());
        let get = courier.next(Method::Get, id);
        courier.done(get.id, json!({ "messages": messages }));
        held += 1;
        let stands = || status(&house)["actions"]["held"] == held;
        until("it is held", stands, || house.log());
    };
    for (n, claim) in ["ApproveTransfer", "", "ApproveAnything"].into_iter().enumerate() {
        for (m, messages) in [&[&*bad][..], &[&bad, &good], &[&good, &bad], &[&bad, &bad]].into_iter().enumerate() {
            serves(&mut courier, &format!("again-{n}-{m}"), claim, messages);
        }
    }
    // A vault that was killed and started anew remembers what it refused.
    drop(courier);
    let before = pid(&house, "vault");
    signal(before, Signal::KILL);
    drop(captured);
    let anew = || house.rooms().iter().any(|(name, pid)| name == "vault" && *pid != before);
    until("the vault is back", anew, || house.log());
    house_stands(&house, pid(&house, "vault"));
    let captured = Captured::room(&house, "courier");
    let mut courier = Courier::connect(&house, &agent);
    serves(&mut courier, "after-a-restart", "ApproveTransfer", &[&bad]);
    assert_eq!(signed(&house), []);
    // What was never refused is signed, so that this test would see a signature.
    courier.announce("honest", "ApproveTransfer", &good);
    courier.approves("honest", &good);
    assert_eq!(signed(&house), [("honest".to_owned(), digest(&good))]);
    drop((courier, captured));
}
