//! The table of faults, measured.

use super::*;

/// What `status` may say while the fault lasts.
enum Told {
    /// No trouble at all.
    Nothing,
    /// Trouble, in these words.
    Words(&'static str),
    /// It depends on what the token is needed for meanwhile.
    Perhaps,
}
use Told::{Nothing, Perhaps, Words};

struct Row {
    fault: &'static str,
    rules: &'static str,
    told: Told,
    /// C_Login's, from the beginning of the fault to the end of the trouble; nothing where each use makes one.
    logins: Option<usize>,
    does: &'static str,
}

const AGAIN: &str = "logs in again and goes on; nobody notices";
const TELLS: &str = "says so in `status`, tries again at each use; the first after the end logs in";

#[rustfmt::skip]
const ROWS: [Row; 21] = [
    Row { fault: "session lost, once (`CKR_SESSION_HANDLE_INVALID`)", rules: "C_SignInit return 0xB3 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "session closed, once (`CKR_SESSION_CLOSED`)", rules: "C_Sign return 0xB0 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "removed and back (`CKR_DEVICE_REMOVED`)", rules: "C_Sign return 0x32 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "token away and back (`CKR_TOKEN_NOT_PRESENT`)", rules: "C_SignInit return 0xE0 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "device error, once (`CKR_DEVICE_ERROR`)", rules: "C_Sign return 0x30 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "general error, once (`CKR_GENERAL_ERROR`)", rules: "C_Sign return 0x5 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "logged out (`CKR_USER_NOT_LOGGED_IN`)", rules: "C_SignInit return 0x101 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "object handle invalid, once (`CKR_OBJECT_HANDLE_INVALID`)", rules: "C_SignInit return 0x82 times=1", told: Nothing, logins: Some(0), does: "finds the key again and goes on; nobody notices" },
    Row { fault: "module ended (`CKR_CRYPTOKI_NOT_INITIALIZED`)", rules: "C_SignInit return 0x190 times=1", told: Nothing, logins: Some(1), does: AGAIN },
    Row { fault: "everything fails: device removed", rules: "* return 0x32", told: Words("CKR_DEVICE_REMOVED"), logins: Some(1), does: TELLS },
    Row { fault: "everything fails: token not present", rules: "* return 0xE0", told: Words("CKR_TOKEN_NOT_PRESENT"), logins: Some(1), does: TELLS },
    Row { fault: "everything fails: device error", rules: "* return 0x30", told: Words("CKR_DEVICE_ERROR"), logins: Some(1), does: TELLS },
    Row { fault: "everything fails: general error", rules: "* return 0x5", told: Words("CKR_GENERAL_ERROR"), logins: Some(1), does: TELLS },
    Row { fault: "everything fails: sessions invalid", rules: "* return 0xB3", told: Words("CKR_SESSION_HANDLE_INVALID"), logins: Some(1), does: TELLS },
    Row { fault: "no session to be had (`CKR_SESSION_COUNT`)", rules: "C_OpenSession return 0xB1\nC_SignInit return 0xB3 times=1", told: Words("CKR_SESSION_COUNT"), logins: Some(1), does: TELLS },
    Row { fault: "objects out of sight", rules: "C_FindObjects empty\nC_SignInit return 0x82 times=1", told: Words("no identity key"), logins: None, does: TELLS },
    Row { fault: "wrong signature, once", rules: "C_Sign corrupt times=1", told: Perhaps, logins: Some(0), does: "verifies, uses nothing of it, says so; the next one is right" },
    Row { fault: "wrong signatures", rules: "C_Sign corrupt", told: Words("does not verify"), logins: Some(0), does: "verifies each, uses none, says so" },
    Row { fault: "a token that has no room (`CKR_DEVICE_MEMORY` of C_CreateObject)", rules: "C_CreateObject return 0x31", told: Words("C_CreateObject: CKR_DEVICE_MEMORY"), logins: Some(0), does: "says that no checkpoint can be made; goes on, and stops signing if that lasts" },
    Row { fault: "an old object that cannot be removed (C_DestroyObject)", rules: "C_DestroyObject return 0x30", told: Perhaps, logins: None, does: "the highest counter counts; the next write removes the rest" },
    Row { fault: "slow: half a second a signature", rules: "C_SignInit delay-ms 500", told: Nothing, logins: Some(0), does: "waits" },
];

#[test]
fn every_passing_fault_is_recovered_without_a_restart_and_nothing_is_approved_twice() {
    let (house, control) = house("");
    let pid = vault(&house);
    assert!(pid.is_some() && trouble(&house).is_none(), "{}", house.log());
    let mut ids = Vec::new();
    let mut table = Vec::new();
    for Row { fault, rules, told, logins, does } in ROWS {
        let (before, happened) = (control.logins(), control.calls().len());
        control.set(rules);
        ids.push(order(&house));
        let said = || format!("{fault}: {:?}\n{}", trouble(&house), house.log());
        until("the fault happens", || trouble(&house).is_some() || control.calls().len() > happened, said);
        match told {
            Nothing => assert_eq!(trouble(&house), None, "{fault}\n{}", house.log()),
            Words(words) => until("it is told", || trouble(&house).is_some_and(|t| t.contains(words)), said),
            Perhaps => {}
        }
        assert!(control.calls().len() > happened, "{fault}: it never happened");
        control.clear();
        let time = recovered(&house);
        approved_once(&house, &ids);
        assert_eq!(vault(&house), pid, "{fault}: the vault was started anew\n{}", house.log());
        if let Some(logins) = logins {
            assert_eq!(control.logins() - before, logins, "{fault}: logins\n{}", house.log());
        }
        table.push(line(fault, does, time, 0, control.logins() - before));
    }
    table.extend(refused_pins(&house, &control, &mut ids));
    assert_eq!(vault(&house), pid);
    print(&table);
}

#[test]
fn an_agent_is_not_registered_with_zeros_for_randomness() {
    let (mut house, control) = unregistered("");
    control.set("C_GenerateRandom zero");
    let refused = house.register("test-agent");
    assert_ne!(refused.status, 200);
    assert!(control.calls().contains(&"C_GenerateRandom".to_owned()), "{}", house.log());
    assert!(!house.state().join("bls.age").exists(), "a key was made of them");
    assert!(!house.log().contains("tail=\"finish\""), "{}", house.log());
    control.clear();
    let begun = Instant::now();
    assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
    assert!(house.state().join("bls.age").exists() && house.log().contains("tail=\"finish\""), "what was looked for");
    let does = "makes no key of them and refuses to register; the next try registers (its time includes that)";
    print(&[line("zeros for randomness (C_GenerateRandom)", does, begun.elapsed(), 0, 0)]);
}

/// Only the operator's word opens these.
fn refused_pins(house: &House, control: &Control, ids: &mut Vec<String>) -> Vec<String> {
    let mut table = Vec::new();
    for (fault, code) in [("PIN refused (`CKR_PIN_INCORRECT`)", "0xA0"), ("PIN locked (`CKR_PIN_LOCKED`)", "0xA4")] {
        let before = control.logins();
        let failures = || house.metric("signing_agent_token_failures_total").expect("a number");
        let logins = || house.metric("signing_agent_token_logins_total").expect("a number");
        let (failed, logged_in) = (failures(), logins());
        control.set(&format!("C_SignInit return 0xB3 times=1\nC_Login return {code}"));
        ids.push(order(house));
        for _ in 0..3 {
            let said = trouble(house).expect("trouble");
            assert!(said.contains("--try-pin-again"), "{said}");
        }
        control.clear();
        assert!(trouble(house).is_some(), "the PIN is not tried again by itself");
        assert_eq!(control.logins() - before, 1, "a refused PIN was tried again");
        let begun = Instant::now();
        let again = house.output(&["init", "--try-pin-again"]);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        recovered(house);
        let time = begun.elapsed();
        assert_eq!(control.logins() - before, 2);
        approved_once(house, ids);
        assert!(failures() > failed && logins() > logged_in);
        let does =
            "one C_Login and no more until `signing-agent init --try-pin-again`; from there on the time is taken";
        table.push(line(fault, does, time, 0, 2));
    }
    table
}

#[test]
fn an_agent_that_starts_while_its_token_fails_opens_by_itself_when_that_is_over() {
    let (mut house, control) = house("");
    let mut ids = Vec::new();
    let does = "says so, is not ready, and tries to open by itself after 1 to 2 s, later up to 31 s";
    for (fault, rules) in [
        ("at the start: token not present", "* return 0xE0"),
        ("at the start: no slot, and C_Finalize fails", "C_GetSlotList return 0xE0\nC_Finalize return 0xE0"),
        ("at the start: device error while the keys are unsealed", "C_DeriveKey return 0x30"),
        ("at the start: wrong key agreement (C_DeriveKey)", "C_DeriveKey corrupt"),
    ] {
        assert!(house.stop().success(), "{}", house.log());
        control.set(rules);
        house.run_unready();
        until("the trouble is told", || trouble(&house).is_some_and(|t| !t.contains("starting")), || house.log());
        let (pid, before) = (vault(&house), control.logins());
        ids.push(order(&house));
        control.clear();
        let time = recovered(&house);
        approved_once(&house, &ids);
        assert_eq!(vault(&house), pid, "{fault}: the vault was started anew\n{}", house.log());
        print(&[line(fault, does, time, 0, control.logins() - before)]);
    }
}

#[test]
fn without_a_checkpoint_for_a_minute_nothing_more_is_signed_and_with_one_it_goes_on() {
    let (mut house, control) = unregistered("");
    house.stop();
    house.settings.environment.push(("SIGNING_AGENT_TEST_SPEED", "30".into()));
    house.run();
    assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
    house.wait("feeds=1");
    let mut ids = vec![order(&house)];
    house.wait("approved=1");
    // The token signs, and cannot remember what: checkpoints leave the machine all the same.
    control.set("C_CreateObject return 0x31");
    let checkpoints = || house.log().matches("audit checkpoint").count();
    let before = checkpoints();
    ids.push(order(&house));
    until("a checkpoint leaves", || checkpoints() > before, || house.log());
    let stopped = || trouble(&house).is_some_and(|words| words.contains("no checkpoint"));
    until("it is told", stopped, || house.log());
    assert_eq!(house.metric("signing_agent_checkpoint_overdue"), Some(1.0));
    let late =
        || house.ask("GET", "/api/v1/healthcheck/status", "").json()["Reasons"].to_string().contains("for too long");
    until("it has lasted for a minute", late, || house.log());
    house.wait("approved=2");
    ids.push(order(&house));
    house.logged(&["not accepted yet", "no checkpoint for too long", &ids[2]]);
    assert_eq!(house.action(&ids[2])["asked"], json!([]), "a signature left");
    control.clear();
    approved_once(&house, &ids);
}

#[test]
fn a_call_that_hangs_is_seen_from_outside_before_its_deadline() {
    let (house, control) = house("call_deadline_seconds = 60\n");
    control.set("C_SignInit hang times=1");
    order(&house);
    let longest = || house.metric("signing_agent_token_longest_call_seconds").is_some_and(|seconds| seconds > 0.5);
    until("it is seen", longest, || house.log());
    control.clear();
}

/// A call that hangs cannot be cancelled.
#[test]
fn a_call_that_hangs_ends_the_vault_which_is_started_anew_and_loses_nothing() {
    let (house, control) = house("call_deadline_seconds = 2\n");
    let pid = vault(&house).expect("a vault");
    let before = control.logins();
    control.set("C_SignInit hang times=1");
    let begun = Instant::now();
    let ids = [order(&house)];
    // Somebody needs the token, and does not get it.
    let asked = house.command(&["status", "--json"]).output().expect("signing-agent starts");
    assert!(!asked.status.success(), "{}", house.log());
    until("the vault has ended itself", || vault(&house) != Some(pid), || house.log());
    let ended = begun.elapsed();
    assert!(ended >= Duration::from_secs(2), "before its deadline: {ended:?}");
    house.logged(&["has not answered for 2 s", "the vault ends itself"]);
    control.clear();
    recovered(&house);
    let time = begun.elapsed();
    approved_once(&house, &ids);
    let does = "past `[hsm] call_deadline_seconds` (here 2) the vault says so, ends itself and is started anew; from the \
                beginning of the fault on the time is taken";
    print(&[line("a call that hangs", does, time, 1, control.logins() - before)]);
}

/// A row of the table: the fault, what the agent does, milliseconds, restarts of the vault, logins.
fn line(fault: &str, does: &str, time: Duration, restarts: u32, logins: usize) -> String {
    format!("| {fault} | {does} | {} | {restarts} | {logins} |", time.as_millis())
}

fn print(table: &[String]) {
    table.iter().for_each(|line| println!("{line}"));
}

#[test]
fn a_freeze_while_the_token_fails_is_told_and_holds_when_that_is_over_also_after_a_restart() {
    let (mut house, control) = house("");
    let mut ids = Vec::new();
    for anew in [false, true] {
        assert!(house.stop().success(), "{}", house.log());
        control.set("* return 0xE0");
        house.run_unready();
        until("the trouble is told", || trouble(&house).is_some_and(|t| !t.contains("starting")), || house.log());
        let frozen = house.output(&["freeze"]);
        assert!(frozen.status.success(), "{}", String::from_utf8_lossy(&frozen.stderr));
        let words = trouble(&house).expect("trouble");
        assert!(words.contains("frozen"), "{words}");
        if anew {
            assert!(house.stop().success(), "{}", house.log());
            house.run_unready();
        }
        ids.push(order(&house));
        control.clear();
        let held = || trouble(&house).is_some_and(|words| words.starts_with("the agent is frozen"));
        until("it is open, and frozen", held, || format!("{:?}\n{}", trouble(&house), house.log()));
        house.logged(&["the agent is frozen; policy would approve it", ids.last().expect("one")]);
        assert_eq!(house.action(ids.last().expect("one"))["asked"], json!([]), "a signature left");
        assert!(house.output(&["unfreeze"]).status.success());
        assert_eq!(house.approve(ids.last().expect("one")).status, 200, "{}", house.log());
        assert!(!house.state().join("freeze-wanted").exists());
    }
    approved_once(&house, &ids);
}
