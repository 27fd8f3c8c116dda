//! A vault that is not at work, and what is not trouble yet.

use crate::desk::{by, fault};
use crate::door::{Captured, Door, status};
use ipc::{AccessFault, Answer, Ask, Call, DoorState, Refusal};
use signing_agent_tests::{House, Settings, until};
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn while_the_vault_is_in_trouble_a_token_is_not_taken_and_a_stranger_is_not_told_why() {
    for auth in ["none", "token"] {
        let mut house = House::empty(Settings { api: format!("auth = \"{auth}\""), ..Settings::default() });
        house.run_unready();
        until("the api is up", || status(&house)["doors"]["api"] == true, || house.log());
        let captured = Captured::room(&house, "api");
        let mut door = Door::connect(&house, "api.sock");
        let answer = door.ask(&by("a-token", Call::Health));
        let without = door.ask(&by("", Call::Health));
        if auth == "none" {
            let Answer::Health(health) = answer else { panic!("{answer:?}") };
            assert!(!health.ready && health.reasons[0].contains("not initialised"), "{health:?}");
        } else {
            let Answer::Refused(Refusal::NotReady(words)) = &answer else { panic!("{answer:?}") };
            assert!(words.contains("signing-agent status") && !words.contains("initialised"), "{words}");
            assert_eq!(fault(&without), Some(AccessFault::TokenMissing));
        }
        drop((door, captured));
    }
}

#[test]
fn what_will_be_trouble_is_a_warning_in_health_and_status_and_keeps_nothing_from_being_ready() {
    let house = House::start(Settings::default());
    let captured = Captured::room(&house, "api");
    let mut door = Door::connect(&house, "api.sock");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut warnings = |certificate_expires, said: &[&str]| {
        let warnings = said.iter().map(|words| (*words).to_owned()).collect();
        let state = DoorState { certificate_expires, warnings, connections: 1, feed_clients: 0 };
        assert_eq!(door.ask(&Ask::DoorState(state)), Answer::Noted);
        let Answer::Health(health) = door.ask(&by("", Call::Health)) else { panic!("no health") };
        let answer = Door::connect(&house, "admin.sock").ask(&Ask::Status);
        let Answer::Status(status) = answer else { panic!("{answer:?}") };
        assert!(health.ready, "{health:?}");
        assert_eq!(health.warnings, status.warnings);
        health.warnings
    };
    assert_eq!(warnings(Some(now + 15 * 86_400), &[]), [""; 0]);
    let near = warnings(Some(now + 13 * 86_400), &["the api's own word"]);
    assert!(near.len() == 2 && near[0].contains("certificate") && near[1] == "the api's own word", "{near:?}");
    assert!(warnings(Some(now - 1), &[])[0].contains("expired on"));
    for (name, time) in [("soon", "13d"), ("later", "15d")] {
        assert!(house.output(&["token", "add", name, "--scope", "read", "--expires", time]).status.success());
    }
    let tokens = warnings(None, &[]);
    assert!(tokens.len() == 1 && tokens[0].contains("token soon expires on"), "{tokens:?}");
    drop((door, captured));
}
