//! Who is not let in is counted, and on record in bounded space.

use crate::desk::{Desk, by, fault, from};
use crate::door::house_stands;
use ipc::{AccessFault, Answer, Ask, Call, Scope, TurnedAway};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const READ: &[&str] = &["--scope", "read"];

fn count(desk: &Desk, cause: &str) -> u64 {
    desk.status().refused.into_iter().find(|(code, _)| code == cause).map_or(0, |(_, times)| times)
}

fn times(records: &[Value]) -> u64 {
    records.iter().map(|record| record["times"].as_u64().unwrap()).sum()
}

#[test]
fn ten_thousand_wrong_tokens_are_a_handful_of_records_and_the_right_one_is_let_in_meanwhile() {
    const WRONG: u64 = 10_000;
    let mut desk = Desk::of("auth = \"token\"", "");
    let right = desk.token("right", READ);
    let (mut door, mut longest) = (desk.door(), Duration::ZERO);
    for n in 0..WRONG {
        door.tell(&by(&format!("signing-agent-{n}"), Call::Client));
        if n % 500 == 499 {
            for _ in 0..500 {
                assert_eq!(fault(&door.hear().unwrap().what), Some(AccessFault::TokenUnknown));
            }
            let asked = Instant::now();
            let answer = door.ask(&from([192, 0, 2, 9], &right, Call::Client));
            longest = longest.max(asked.elapsed());
            assert_eq!(answer, Answer::Client { agent_id: None });
        }
    }
    println!("the right token waited {longest:?} at most");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert_eq!(count(&desk, "token-unknown"), WRONG);
    let during = desk.records("access");
    assert!((1..=4).contains(&during.len()), "{during:?}");
    let first = &during[0];
    let wanted = json!(["token-unknown", "192.0.2.1", null, "vault", 1, null]);
    let said: Vec<&Value> =
        ["cause", "address", "who", "by", "times", "within"].iter().map(|name| &first[name]).collect();
    assert_eq!(json!(said), wanted);
    // What was counted and not said yet is said at the end.
    drop(door);
    desk.stop();
    desk.run();
    let after = desk.records("access");
    assert!(after.len() <= 5 && times(&after) == WRONG, "{after:?}");
    assert_eq!(count(&desk, "token-unknown"), 0, "since the start");
}

#[test]
fn a_record_says_the_cause_the_address_and_whose_it_was_and_never_the_token() {
    let desk = Desk::of("auth = \"token\"", "");
    let seer = desk.token("seer", &["--scope", "read", "--per-minute", "1"]);
    let mut door = desk.door();
    let wrong = "signing-agent-which-nobody-made";
    for _ in 0..2 {
        for (token, scope) in [("", Scope::Read), (wrong, Scope::Read), (&seer, Scope::Decide), (&seer, Scope::Metrics)]
        {
            assert!(fault(&door.ask(&from([198, 51, 100, 7], token, Call::Enter(scope)))).is_some());
        }
    }
    assert_eq!(door.ask(&by(&seer, Call::Enter(Scope::Read))), Answer::Noted);
    assert!(matches!(fault(&door.ask(&by(&seer, Call::Enter(Scope::Read)))), Some(AccessFault::TokenLimit(_))));
    let records = desk.records("access");
    let said = |name: &str| records.iter().map(|record| record[name].clone()).collect::<Vec<_>>();
    assert_eq!(said("cause"), ["token-missing", "token-unknown", "token-scope", "token-scope", "token-limit"]);
    let who = json!("token seer");
    assert_eq!(said("who"), [Value::Null, Value::Null, who.clone(), who.clone(), who]);
    assert_eq!(said("scope"), [Value::Null, Value::Null, json!("decide"), json!("metrics"), Value::Null]);
    let there = json!("198.51.100.7");
    assert_eq!(said("address"), [there.clone(), there.clone(), there.clone(), there, json!("192.0.2.1")]);
    let export = String::from_utf8(desk.house.output(&["audit", "export"]).stdout).unwrap();
    for token in [&seer, wrong] {
        assert!(!export.contains(token) && !desk.house.log().contains(token), "{token}");
    }
}

#[test]
fn what_a_captured_api_says_of_callers_fills_no_ledger() {
    let mut desk = Desk::of("auth = \"token\"", "");
    let right = desk.token("right", READ);
    let away = |n: u32, times: u32| TurnedAway {
        address: Some(IpAddr::from(n.to_be_bytes())),
        fault: [AccessFault::TokenMalformed, AccessFault::CertificateRefused, AccessFault::ForeignPage][n as usize % 3],
        times,
    };
    let mut door = desk.door();
    // Of each only the first 64 are looked at.
    assert_eq!(door.ask(&Ask::TurnedAway((0..10_000).map(|n| away(n * 3, 2)).collect())), Answer::Noted);
    assert_eq!(count(&desk, "token-malformed"), 128);
    for n in 0..200 {
        let all = (0..64).map(|m| away(n * 64 + m, u32::MAX)).collect();
        assert_eq!(door.ask(&Ask::TurnedAway(all)), Answer::Noted);
        for m in 0..64 {
            let address = (n * 64 + m).to_be_bytes();
            assert!(fault(&door.ask(&from(address, "wrong", Call::Client))).is_some());
        }
    }
    let records = desk.records("access");
    assert!(records.len() <= 128 + 8, "{} records", records.len());
    assert!(records.iter().any(|record| record["address"] == "others"), "{records:?}");
    let mut doors: Vec<&Value> = records.iter().filter(|r| r["by"] == "api").map(|record| &record["cause"]).collect();
    doors.dedup();
    assert!(!doors.contains(&&json!("token-unknown")), "its word and the vault's are told apart: {doors:?}");
    assert_eq!(door.ask(&from([192, 0, 2, 9], &right, Call::Client)), Answer::Client { agent_id: None });
    drop(door);
    let vault = desk.vault;
    desk.house.settings.api = "auth = \"none\"".into();
    desk.stop();
    desk.house.write_config();
    desk.run();
    assert_ne!(desk.vault, vault);
    let vault = desk.vault;
    desk.release();
    house_stands(&desk.house, vault);
}
