//! Tokens: their scopes, their ends, their limits.

use crate::desk::{Desk, by, decide, fault};
use crate::door::{Captured, Door, house_stands};
use ipc::{AccessFault, ActionId, ActionQuery, Answer, Ask, Call, CredentialFault, Matter, Refusal, Scope, Verb};
use serde_json::json;
use signing_agent_tests::{House, until};
use std::path::PathBuf;
use std::process::Command;

/// Transfers of ETH take a token, all else any client that is let in.
const POLICY: &str = "[currencies]\nETH = { code = 4, decimals = 18, addresses = \"any-case\" }\n\
                      [[rule]]\nname = \"inside\"\nverdict = \"hold\"\naction_types = [\"ApproveTransfer\"]\n\
                      currencies = [\"ETH\"]\nrelease = \"token\"\n";

/// One of every call. What a new one needs is said by `Call::scope`, whose match has no default.
fn calls(desk: &mut Desk) -> Vec<Call> {
    let action = || ActionId::try_from("nobody-knows-it".to_owned()).unwrap();
    let query = ActionQuery { states: Vec::new(), since: 0, after: None, limit: 1 };
    let enter = Scope::ALL.map(Call::Enter);
    // Registered already, so none of them changes anything.
    let mut calls = vec![
        Call::Register(desk.registration("another")),
        Call::Client,
        decide("nobody-knows-it", Verb::Approve),
        decide("nobody-knows-it", Verb::Reject),
        Call::Health,
        Call::Actions(query),
        Call::Action(action()),
        Call::Policy { offset: 0 },
        Call::Explain(Matter::Known(action())),
    ];
    calls.extend(enter);
    calls
}

#[test]
fn each_call_is_let_in_by_a_good_token_of_its_scope_alone_and_every_fault_is_told() {
    let mut desk = Desk::registered("auth = \"token\"", POLICY);
    let scoped = Scope::ALL.map(|scope| (scope, desk.token(scope.as_str(), &["--scope", scope.as_str()])));
    let all = ["--scope", "register,decide,read,metrics,feed"];
    let (good, revoked) = (desk.token("all", &all), desk.token("gone", &all));
    let old = desk.token("old", &[&all[..], &["--expires", "1s"]].concat());
    desk.revoke("gone");
    let mut door = desk.door();
    let expired = || {
        let answer = desk.operator(&Ask::Tokens);
        let Answer::Tokens(tokens) = answer else { panic!("{answer:?}") };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        tokens.iter().any(|token| token.name == "old" && token.expires.is_some_and(|expires| expires <= now))
    };
    until("the old one has expired", expired, || desk.house.log());
    for call in calls(&mut desk) {
        let mut says = |token: &str| fault(&door.ask(&by(token, call.clone())));
        let scope = call.scope();
        assert_eq!(says(""), Some(AccessFault::TokenMissing), "{call:?}");
        for wrong in ["x", &good[1..], &good.to_uppercase(), &format!("{good}x"), &revoked] {
            assert_eq!(says(wrong), Some(AccessFault::TokenUnknown), "{call:?} {wrong}");
        }
        assert_eq!(says(&old), Some(AccessFault::TokenExpired), "{call:?}");
        for (other, token) in scoped.iter().filter(|(other, _)| *other != scope) {
            assert_eq!(says(token), Some(AccessFault::TokenScope(scope)), "{call:?} by {other:?}");
        }
        let (_, own) = scoped.iter().find(|(own, _)| *own == scope).unwrap();
        assert_eq!((says(own), says(&good)), (None, None), "{call:?}");
    }
    // What each was used for is known to the hour, whatever its scope.
    let Answer::Tokens(tokens) = desk.operator(&Ask::Tokens) else { panic!("tokens") };
    for token in tokens {
        let unused = token.name == "old";
        assert_eq!(token.used.is_none(), unused, "{token:?}");
        assert!(token.used.is_none_or(|used| used.is_multiple_of(3600)), "{token:?}");
    }
}

#[test]
fn a_stolen_token_does_what_its_scope_says_and_nothing_more() {
    let desk = Desk::registered("auth = \"token\"", POLICY);
    let (seer, hand) = (desk.token("seer", &["--scope", "read,feed"]), desk.token("hand", &["--scope", "decide"]));
    let order = |currency: u64| desk.house.order(json!({ "kind": "transfer", "currency": currency })).remove(0);
    let (inside, open) = (order(4), order(5));
    let held = || desk.status().actions.iter().any(|(state, n)| state == "held" && *n == 2);
    until("both are held", held, || desk.house.log());
    let mut door = desk.door();
    for id in [&inside, &open] {
        for verb in [Verb::Approve, Verb::Reject] {
            let answer = door.ask(&by(&seer, decide(id, verb)));
            assert_eq!(fault(&answer), Some(AccessFault::TokenScope(Scope::Decide)), "{answer:?}");
        }
    }
    assert!(matches!(door.ask(&by(&seer, Call::Health)), Answer::Health(_)));
    for other in [Call::Health, Call::Policy { offset: 0 }, Call::Enter(Scope::Feed), Call::Enter(Scope::Metrics)] {
        let scope = other.scope();
        assert_eq!(fault(&door.ask(&by(&hand, other))), Some(AccessFault::TokenScope(scope)));
    }
    assert_eq!(desk.house.stats()["puts"], json!(0));
    let done = Answer::Decided { verb: Verb::Approve };
    assert_eq!(door.ask(&by(&hand, decide(&inside, Verb::Approve))), done, "release = \"token\" is what it is for");
    assert_eq!(door.ask(&by(&hand, decide(&open, Verb::Approve))), done);
    let by_whom: Vec<_> = desk.records("decision").into_iter().filter(|r| r["verdict"] == "approve").collect();
    assert_eq!(by_whom.iter().map(|record| &record["by"]).collect::<Vec<_>>(), ["token hand", "token hand"]);
    // No token is the operator's.
    let mut asked = Door::connect(&desk.house, "api.sock");
    asked.tell(&Ask::Tokens);
    assert_eq!(asked.until_the_end(), []);
}

#[test]
fn a_revoked_token_is_out_at_once_and_whoever_hears_the_feed_is_asked_about_again() {
    let desk = Desk::registered("auth = \"token\"", POLICY);
    let (screen, desk_token) = (desk.token("screen", &["--scope", "feed"]), desk.token("desk", &["--scope", "feed"]));
    let mut door = desk.door();
    let enter = |token: &str| by(token, Call::Enter(Scope::Feed));
    assert_eq!((door.ask(&enter(&screen)), door.ask(&enter(&desk_token))), (Answer::Noted, Answer::Noted));
    let access = door.access();
    let open = door.tell(&Ask::FeedAfter { sequence: 0, access });
    desk.revoke("screen");
    // The very next ask is refused.
    let next = door.tell(&enter(&screen));
    let (mut woken, mut refused) = (None, None);
    while woken.is_none() || refused.is_none() {
        let told = door.hear().unwrap();
        match told.what {
            Answer::Feed(page) if told.id == open => woken = Some(page),
            answer if told.id == next => refused = Some(answer),
            other => panic!("{other:?}"),
        }
    }
    let page = woken.unwrap();
    assert!(page.access != access && page.items.is_empty(), "{page:?}");
    assert_eq!(fault(&refused.unwrap()), Some(AccessFault::TokenUnknown));
    assert_eq!(door.ask(&enter(&desk_token)), Answer::Noted, "the others stay");
    // Nothing wakes them without a cause.
    let open = door.tell(&Ask::FeedAfter { sequence: page.next, access: page.access });
    assert_eq!(door.ask(&enter(&desk_token)), Answer::Noted);
    // An expiry is a cause.
    let brief = desk.token("brief", &["--scope", "feed", "--expires", "2s"]);
    assert_eq!(door.ask(&enter(&brief)), Answer::Noted);
    let told = door.hear().unwrap();
    assert!(matches!(&told.what, Answer::Feed(again) if told.id == open && again.access != page.access), "{told:?}");
    assert_eq!(fault(&door.ask(&enter(&brief))), Some(AccessFault::TokenExpired));
}

#[test]
fn a_token_that_is_revoked_while_its_decision_waits_decides_nothing() {
    let desk = Desk::registered("auth = \"token\"", POLICY);
    let (hand, other) = (desk.token("hand", &["--scope", "decide"]), desk.token("other", &["--scope", "decide"]));
    // Nobody fetches what is to be decided.
    let courier = Captured::room(&desk.house, "courier");
    let id = desk.house.order(json!({ "kind": "transfer", "currency": 5 })).remove(0);
    let mut door = desk.door();
    let waits = door.tell(&by(&hand, decide(&id, Verb::Approve)));
    assert_eq!(
        fault(&door.ask(&by("x", Call::Client))),
        Some(AccessFault::TokenUnknown),
        "it was taken in before this"
    );
    desk.revoke("hand");
    drop(courier);
    let told = door.hear().unwrap();
    let fault = CredentialFault::TokenUnknown;
    assert_eq!((told.id, told.what), (waits, Answer::Refused(Refusal::Credential { fault, who: None })));
    assert_eq!(desk.house.stats()["puts"], json!(0));
    let done = Answer::Decided { verb: Verb::Approve };
    assert_eq!(door.ask(&by(&other, decide(&id, Verb::Approve))), done);
}

/// What has writes of the ledger fail while a file `fault` names an error.
fn failing(house: &House) -> Vec<(&'static str, PathBuf)> {
    let library = house.dir.path().join("failing.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk/failing.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(cc.status().expect("gcc is there").success());
    let (fault, ledger) = (house.dir.path().join("fault"), house.state().join("ledger.sqlite"));
    vec![("LD_PRELOAD", library), ("DISK_FAULT", fault), ("DISK_FAULT_NAME", ledger)]
}

#[test]
fn a_token_that_is_revoked_while_the_ledger_cannot_be_written_is_out_all_the_same_and_the_operator_is_told() {
    let desk = Desk::with("auth = \"token\"", POLICY, failing);
    let (gone, kept) = (desk.token("gone", &["--scope", "read"]), desk.token("kept", &["--scope", "read"]));
    let mut door = desk.door();
    let mut says = |token: &str| fault(&door.ask(&by(token, Call::Client)));
    assert_eq!((says(&gone), says(&kept)), (None, None));
    std::fs::write(desk.house.dir.path().join("fault"), "ENOSPC").unwrap();
    let output = desk.house.output(&["token", "revoke", "gone"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("revoke it again"), "{said}");
    assert_eq!((says(&gone), says(&kept)), (Some(AccessFault::TokenUnknown), None));
    std::fs::remove_file(desk.house.dir.path().join("fault")).unwrap();
    desk.revoke("gone");
    assert_eq!((says(&gone), says(&kept)), (Some(AccessFault::TokenUnknown), None));
}

/// Nor where nobody needs a token to come in.
#[test]
fn a_token_whose_revocation_was_not_written_releases_nothing_once_the_ledger_is_well_again() {
    let mut desk = Desk::with("auth = \"none\"", POLICY, failing);
    let registered = by("", Call::Register(desk.registration("agent")));
    assert!(matches!(desk.door().ask(&registered), Answer::Registered { .. }));
    desk.house.wait("feeds=1");
    let (gone, kept) = (desk.token("gone", &["--scope", "decide"]), desk.token("kept", &["--scope", "decide"]));
    let id = desk.house.order(json!({ "kind": "transfer", "currency": 4 })).remove(0);
    let held = || desk.status().actions.iter().any(|(state, n)| state == "held" && *n == 1);
    until("it is held", held, || desk.house.log());
    std::fs::write(desk.house.dir.path().join("fault"), "ENOSPC").unwrap();
    assert_eq!(desk.house.output(&["token", "revoke", "gone"]).status.code(), Some(1));
    std::fs::remove_file(desk.house.dir.path().join("fault")).unwrap();
    let Answer::Tokens(tokens) = desk.operator(&Ask::Tokens) else { panic!("tokens") };
    assert!(tokens.iter().any(|token| token.name == "gone"), "the ledger has it still");
    let mut door = desk.door();
    let refused = Answer::Refused(Refusal::Credential { fault: CredentialFault::TokenUnknown, who: None });
    assert_eq!(door.ask(&by(&gone, decide(&id, Verb::Approve))), refused);
    assert_eq!(door.ask(&by(&kept, decide(&id, Verb::Approve))), Answer::Decided { verb: Verb::Approve });
}

#[test]
fn a_token_with_a_limit_is_used_so_often_a_minute_and_the_others_as_often_as_they_like() {
    let desk = Desk::of("auth = \"token\"", POLICY);
    let (few, free) =
        (desk.token("few", &["--scope", "read,feed", "--per-minute", "5"]), desk.token("free", &["--scope", "read"]));
    let mut door = desk.door();
    let mut asked = |token: &str, call: Call| fault(&door.ask(&by(token, call)));
    // To hear the feed, and to be asked about again meanwhile, is no call.
    assert!((0..20).all(|_| asked(&few, Call::Enter(Scope::Feed)).is_none()));
    let told: Vec<_> = (0..10).map(|_| asked(&few, Call::Health)).collect();
    let limited = |fault: &Option<AccessFault>| matches!(fault, Some(AccessFault::TokenLimit(1..=12)));
    assert!(told[..5].iter().all(Option::is_none) && told[5..].iter().all(limited), "{told:?}");
    assert!((0..100).all(|_| asked(&free, Call::Health).is_none()));
    for (bad, words) in [("0", "1 to 1000000"), ("1000001", "1 to 1000000")] {
        let output = desk.house.output(&["token", "add", "bad", "--scope", "read", "--per-minute", bad]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
    }
}

#[test]
fn a_decisions_token_is_counted_and_limited_also_where_something_else_or_nothing_lets_in() {
    let desk = Desk::registered("auth = \"none\"", POLICY);
    let id = desk.house.order(json!({ "kind": "transfer", "currency": 4 })).remove(0);
    desk.house.logged(&["held: ", &id]);
    let reader = desk.token("reader", &["--scope", "read"]);
    let few = desk.token("few", &["--scope", "decide", "--per-minute", "1"]);
    let mut door = desk.door();
    let faults = [(0..5).map(|n| format!("signing-agent-{n}")).collect::<Vec<_>>(), vec![reader; 5]].concat();
    for (n, token) in faults.iter().enumerate() {
        let fault = if n < 5 { CredentialFault::TokenUnknown } else { CredentialFault::TokenScope };
        let answer = door.ask(&by(token, decide(&id, Verb::Approve)));
        assert!(
            matches!(&answer, Answer::Refused(Refusal::Credential { fault: told, .. }) if *told == fault),
            "{answer:?}"
        );
    }
    let refused = desk.status().refused;
    assert_eq!(refused, [("token-scope".to_owned(), 5), ("token-unknown".to_owned(), 5)]);
    let records = desk.records("access");
    let said: Vec<_> = records.iter().map(|record| (&record["cause"], &record["who"])).collect();
    assert_eq!(said, [(&json!("token-unknown"), &json!(null)), (&json!("token-scope"), &json!("token reader"))]);
    let other = door.ask(&by(&few, decide("nobody-knows-it", Verb::Approve)));
    assert_eq!(other, Answer::Refused(Refusal::UnknownAction));
    let limited = fault(&door.ask(&by(&few, decide(&id, Verb::Approve))));
    assert!(matches!(limited, Some(AccessFault::TokenLimit(1..=60))), "{limited:?}");
    let Answer::Tokens(tokens) = desk.operator(&Ask::Tokens) else { panic!("tokens") };
    let used = |name: &str| tokens.iter().any(|token| token.name == name && token.used.is_some());
    assert!(used("few") && !used("reader"), "{tokens:?}");
}

#[test]
fn tokens_outlive_a_restart_and_without_auth_nobody_is_asked() {
    let mut desk = Desk::of("auth = \"token\"", POLICY);
    let (kept, gone) = (desk.token("kept", &["--scope", "read"]), desk.token("gone", &["--scope", "read"]));
    desk.revoke("gone");
    desk.stop();
    desk.run();
    let mut door = desk.door();
    assert_eq!(fault(&door.ask(&by(&kept, Call::Client))), None);
    assert_eq!(fault(&door.ask(&by(&gone, Call::Client))), Some(AccessFault::TokenUnknown));
    let before = door.access();
    desk.stop();
    desk.house.settings.api = "auth = \"none\"".into();
    desk.house.write_config();
    desk.run();
    let mut door = desk.door();
    assert_eq!((fault(&door.ask(&by("", Call::Client))), fault(&door.ask(&by(&gone, Call::Client)))), (None, None));
    assert_ne!(door.access(), before, "a number of an earlier life says nothing");
    drop(door);
    let vault = desk.vault;
    desk.release();
    house_stands(&desk.house, vault);
}
