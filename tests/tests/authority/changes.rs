//! Nothing that gives power is done on fewer words than the deed wants.

use crate::board::{Board, NAMESPACE, said, with};
use crate::door::Door;
use ipc::{ActionId, Answer, Ask, Change, Refusal, Scope};
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings};
use std::process::Command;

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_change_is_refused_on_fewer_signatures_than_the_deed_wants_and_on_any_that_is_not_good() {
    let mut board = Board::new();
    assert!(board.says(&["freeze"]).status.success(), "one person stops everything");
    let frozen = |board: &Board| board.status()["audit"]["frozen"] == true;
    let unfreeze = &["unfreeze"][..];
    let text = board.draft(unfreeze);
    let sign = |name: &str, text: &str| board.person(name).sign(NAMESPACE, text.as_bytes());
    for names in [&[][..], &["alice"], &["carol"]] {
        let (code, words) = board.signed(unfreeze, &text, names);
        let came = format!("{} came with it", names.len());
        assert!(code == 4 && words.contains("2 of [alice, bob, carol]") && words.contains(&came), "{code} {words}");
    }
    let add = ["token", "add", "desk", "--scope", "read"];
    let token = board.draft(&add);
    let action = board.person("alice").sign("signing-agent", text.as_bytes());
    let good = || (text.as_str(), sign("bob", &text));
    let of = |fault: &str, name: &str, text: &str| (fault.to_owned(), text.to_owned(), sign(name, text));
    let table = [
        of("statement-counted-already", "bob", &text),
        of("statement-signer-unknown", "mallory", &text),
        // Who releases and who signs policies is nobody here.
        of("statement-signer-unknown", "dave", &text),
        of("statement-other-change", "alice", &token),
        // What she read said something else than what she would have signed for.
        of("statement-other-change", "alice", &with(&text, "ask", json!("freeze"))),
        of("statement-other-agent", "alice", &with(&text, "agent", json!("another"))),
        of("statement-serial", "alice", &with(&text, "serial", json!(now() + 100))),
        of("statement-expired", "alice", &with(&text, "expiry", json!(now() - 1))),
        of("statement-expiry-too-late", "alice", &with(&text, "expiry", json!(now() + 8 * 86_400))),
        of("statement-malformed", "alice", "unfreeze\n"),
        ("statement-namespace".into(), text.clone(), action),
        ("statement-signature-wrong".into(), with(&text, "serial", json!(1)), sign("alice", &text)),
        ("statement-unsigned".into(), text.clone(), "none".into()),
    ];
    for (fault, text, signature) in &table {
        let (code, words) = board.brings(unfreeze, &[good(), (text, signature.clone())]);
        assert!(code == 1 && words.contains(&format!("[{fault}]")), "{fault}: {code} {words}");
    }
    assert!(frozen(&board));
    let alarms = board.status()["alarms"].to_string();
    assert!(alarms.contains("a change was refused"), "{alarms}");
    // Nothing of that spent anything.
    assert_eq!(board.signed(unfreeze, &text, &["carol", "alice"]).0, 0);
    assert!(!frozen(&board));
    // Once and no more: also after a restart.
    board.says(&["freeze"]);
    for _ in 0..2 {
        let (code, words) = board.signed(unfreeze, &text, &["carol", "alice"]);
        assert!(code == 1 && words.contains("[statement-serial]"), "{code} {words}");
        assert!(frozen(&board));
        board.house.stop();
        board.house.run_unready();
    }
    let changes = board.records("change");
    assert_eq!(changes.len(), 1, "{changes:?}");
    verify_again(&board, &changes[0], &text);
}

#[test]
fn what_was_signed_beforehand_is_void_once_somebody_stops_something() {
    let board = Board::new();
    let unfreeze = &["unfreeze"][..];
    let stops = [&["freeze"][..], &["registration", "close"], &["token", "revoke", "desk"]];
    let add = &["token", "add", "desk", "--scope", "read"][..];
    assert_eq!(board.signed(add, &board.draft(add), &["alice", "bob"]).0, 0);
    for stop in stops {
        let beforehand = board.draft(unfreeze);
        assert!(board.says(stop).status.success(), "{stop:?}");
        let (code, words) = board.signed(unfreeze, &beforehand, &["alice", "bob"]);
        assert!(code == 1 && words.contains("[statement-serial]"), "{stop:?}: {code} {words}");
    }
    assert_eq!(board.status()["audit"]["frozen"], true);
    assert_eq!(board.signed(unfreeze, &board.draft(unfreeze), &["alice", "bob"]).0, 0);
    assert_eq!(board.status()["audit"]["frozen"], false);
}

/// As anybody can who has the log, with OpenSSH.
fn verify_again(board: &Board, record: &Value, text: &str) {
    assert_eq!(
        (&record["ask"], record["by"].as_str().unwrap().starts_with("operator, uid ")),
        (&json!("unfreeze"), true)
    );
    let statements = record["statements"].as_array().unwrap();
    let names: Vec<&Value> = statements.iter().map(|statement| &statement["signer"]).collect();
    assert_eq!(names, ["carol", "alice"]);
    let file = |name: &str, text: &str| {
        let path = board.keys.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for statement in statements {
        let part = |name: &str| statement[name].as_str().unwrap();
        assert_eq!(part("statement"), text);
        let allowed = file("allowed", &format!("{} {}\n", part("signer"), part("key")));
        let (signed, signature) = (file("signed", part("statement")), file("signature", part("signature")));
        let mut verify = Command::new("ssh-keygen");
        verify
            .args(["-Y", "verify", "-n", NAMESPACE, "-I", part("signer"), "-f"])
            .arg(allowed)
            .arg("-s")
            .arg(signature);
        let output = verify.stdin(std::fs::File::open(signed).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn each_change_takes_signatures_over_its_own_arguments_and_what_takes_power_away_takes_none() {
    let board = Board::new();
    let open = board.held(json!({ "kind": "transfer", "currency": 5 }));
    let add = &["token", "add", "desk", "--scope", "decide", "--expires", "90d"][..];
    for command in [add, &["unfreeze"], &["confirm-clock"], &["approve", &open]] {
        let (code, words) = said(&board.says(command));
        assert!(code == 4 && words.contains("2 of [alice, bob, carol]"), "{command:?} {code} {words}");
    }
    // Whatever the command sends: this is the lane itself.
    let mut lane = Door::connect(&board.house, "admin.sock");
    let action = ActionId::try_from(open.clone()).unwrap();
    let scopes = Scope::Decide.into();
    for change in [
        Change::Release { action },
        Change::TokenAdd { name: "desk".into(), scopes, seconds: None, per_minute: None },
        Change::Unfreeze,
        Change::ConfirmClock,
        Change::RegistrationOpen { seconds: 60 },
    ] {
        let answer = lane.ask(&Ask::Change { change, statements: Vec::new() });
        assert!(matches!(answer, Answer::Refused(Refusal::NeedsSigners(_))), "{answer:?}");
    }
    let text = board.draft(add);
    assert!(text.contains("\"ask\":\"token add desk, scopes decide, 90 d\""), "{text}");
    for other in [
        &["token", "add", "desk", "--scope", "decide,register", "--expires", "90d"][..],
        &["token", "add", "desk", "--scope", "decide"],
        &["token", "add", "desks", "--scope", "decide", "--expires", "90d"],
        &["token", "add", "desk", "--scope", "decide", "--expires", "90d", "--per-minute", "9"],
    ] {
        let (code, words) = board.signed(other, &text, &["alice", "bob"]);
        assert!(code == 1 && words.contains("[statement-other-change]"), "{other:?} {code} {words}");
    }
    assert_eq!(said(&board.says(&["token", "list"])).1, "There are no tokens.\n");
    assert_eq!(board.signed(add, &text, &["alice", "bob"]).0, 0);
    board.does(&["confirm-clock"]);
    // A policy has signatures of its own.
    let (code, words) = said(&board.says(&["policy", "reload"]));
    assert_eq!(code, 0, "{words}");
    for command in [&["freeze"][..], &["token", "revoke", "desk"], &["reject", &open]] {
        let (code, words) = said(&board.says(command));
        assert_eq!(code, 0, "{command:?} {words}");
    }
    assert_eq!(board.action(&open), "rejected");
    let asks: Vec<Value> = board.records("change").iter().map(|record| record["ask"].clone()).collect();
    assert_eq!(asks, ["token add desk, scopes decide, 90 d", "confirm-clock", "policy reload"]);
    let Answer::Status(status) = lane.ask(&Ask::Status) else { panic!("no status") };
    assert_eq!(status.changes.as_deref(), Some("2 of [alice, bob, carol]"));
}

#[test]
fn where_the_deed_wants_nobody_each_change_is_on_record_with_the_operators_uid() {
    let house = House::registered(Settings::default());
    for command in [&["token", "add", "desk", "--scope", "read"][..], &["freeze"], &["unfreeze"], &["confirm-clock"]] {
        let (code, words) = said(&house.output(command));
        assert_eq!(code, 0, "{command:?} {words}");
    }
    let (code, words) = said(&house.output(&["unfreeze", "--draft", "/nowhere/draft"]));
    assert!(code == 1 && words.contains("nobody needs to sign this"), "{code} {words}");
    let lines = String::from_utf8(house.output(&["audit", "export"]).stdout).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let changes: Vec<Value> = records.filter(|record| record["kind"] == "change").collect();
    let asks: Vec<&Value> = changes.iter().map(|record| &record["ask"]).collect();
    assert_eq!(asks, ["token add desk, scopes read, until it is revoked", "unfreeze", "confirm-clock"]);
    let by = format!("operator, uid {}", rustix::process::geteuid().as_raw());
    for change in &changes {
        assert_eq!(
            (&change["by"], change["change"].as_str().unwrap().len(), &change["serial"]),
            (&json!(by), 64, &Value::Null)
        );
    }
}
