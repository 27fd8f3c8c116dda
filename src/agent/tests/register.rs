//! `signing-agent register`, `partner-key` and `registration` against a vault that a test plays.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::{House, fresh, texts, until, vault};
use ipc::{Answer, Ask, Change, PartnerKey, Refusal, Secret};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

fn answer(ask: &Ask) -> Answer {
    match ask {
        Ask::Register { .. } => Answer::Registered { agent_id: "agent-1".into() },
        Ask::PartnerKey { make } => Answer::PartnerKey(PartnerKey {
            public: "-----BEGIN PUBLIC KEY-----\nAAAA\x1b[2J\n-----END PUBLIC KEY-----\n".into(),
            fingerprint: "ab12".into(),
            made: *make,
        }),
        Ask::RegistrationWindow => Answer::RegistrationWindow(Some(90)),
        Ask::Status => Answer::Status(Box::new(fresh())),
        _ => Answer::Noted,
    }
}

fn house() -> (House, Arc<Mutex<Vec<Ask>>>) {
    let house = House::new();
    let asked = vault(&house.lane("admin.sock"), answer);
    (house, asked)
}

fn registered(asked: &Mutex<Vec<Ask>>) -> (String, Secret, Option<Secret>) {
    let asked = asked.lock().unwrap();
    let found = asked.iter().find_map(|ask| match ask {
        Ask::Register { name, api_key, private_key } => Some((name.clone(), api_key.clone(), private_key.clone())),
        _ => None,
    });
    found.expect("it was asked")
}

#[test]
fn a_registration_takes_its_secrets_from_files_and_tells_what_to_compare() {
    let (house, asked) = house();
    fs::write(house.path("key"), "the-key\n").unwrap();
    fs::write(house.path("rsa.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let line = ["register", "--name", "desk", "--api-key-file", "key", "--private-key-file", "rsa.pem"];
    let (code, out, err) = texts(&house.output(&line));
    assert_eq!(code, Some(0), "{err}");
    for words in ["Registered.\n", "agent-1", "ws://127.0.0.1:0/api/v1/client/feed", "identity  ab12", "Compare"] {
        assert!(out.contains(words), "{words} in {out}");
    }
    assert!(err.contains("others can read rsa.pem") && !format!("{out}{err}").contains("the-key"), "{err}");
    let (name, api_key, private_key) = registered(&asked);
    assert_eq!((name.as_str(), api_key.expose()), ("desk", "the-key"));
    assert_eq!(private_key.unwrap().expose(), "-----BEGIN PRIVATE KEY-----");
}

#[test]
fn an_api_key_comes_by_stdin_and_what_is_none_is_refused_before_anything_is_asked() {
    let (house, asked) = house();
    let said = |text: &[u8]| {
        let mut command = house.command(&["register", "--name", "desk", "--api-key-stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        texts(&child.wait_with_output().unwrap())
    };
    for bad in [&b""[..], b"\n", &[b'k'; 2000], b"\xff"] {
        let (code, out, err) = said(bad);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("read the API key on stdin"), "{err}");
    }
    assert!(!asked.lock().unwrap().iter().any(|ask| matches!(ask, Ask::Register { .. })));
    assert_eq!(said(b"the-key\n").0, Some(0));
    let (_, api_key, private_key) = registered(&asked);
    assert_eq!((api_key.expose(), private_key), ("the-key", None), "the sealed partner key signs");
}

#[test]
fn without_a_terminal_to_ask_on_it_says_how_a_key_comes() {
    let (house, _) = house();
    let mut command = std::process::Command::new("setsid");
    command.arg("-w").arg(house.path("signing-agent")).args(["--config", "agent.toml", "register", "--name", "n"]);
    command.current_dir(house.dir.path()).stdin(Stdio::null());
    let (code, out, err) = texts(&house::output(command));
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("--api-key-file"), "{err}");
}

#[test]
fn a_key_that_is_typed_is_not_shown() {
    let (house, asked) = house();
    let typed = house.path("signing-agent").display().to_string() + " --config agent.toml register --name desk";
    let mut command = std::process::Command::new("script");
    command.args(["-qfec", &typed, "out"]).current_dir(house.dir.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = command.spawn().expect("util-linux's script is there");
    until(|| house.read("out").contains("API key"), || house.read("out"));
    script.stdin.as_mut().unwrap().write_all(b"typed-key\n").unwrap();
    until(|| script.try_wait().unwrap().is_some(), || house.read("out"));
    let out = house.read("out");
    assert!(out.contains("Registered.") && !out.contains("typed-key"), "{out}");
    assert_eq!(registered(&asked).1.expose(), "typed-key");
}

#[test]
fn ctrl_c_at_the_prompt_ends_it_and_the_terminal_shows_again_what_is_typed() {
    let (house, asked) = house();
    let agent = house.path("signing-agent").display().to_string();
    let line = format!("{agent} --config agent.toml register --name desk; echo code $?; stty -a");
    let mut command = std::process::Command::new("script");
    command.args(["-qfec", &line, "out"]).current_dir(house.dir.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    // It goes on after a command that took Ctrl-C and ended by itself.
    command.env("SHELL", "/bin/bash");
    let mut script = command.spawn().expect("util-linux's script is there");
    until(|| house.read("out").contains("API key"), || house.read("out"));
    script.stdin.as_mut().unwrap().write_all(b"half a key\x03").unwrap();
    until(|| script.try_wait().unwrap().is_some(), || house.read("out"));
    let out = house.read("out");
    assert!(!out.contains("half a key"), "{out}");
    assert!(out.contains("code 130") && out.contains(" echo ") && !out.contains(" -echo "), "{out}");
    assert!(!asked.lock().unwrap().iter().any(|ask| matches!(ask, Ask::Register { .. })));
}

#[test]
fn a_refused_registration_says_why_and_what_to_do() {
    for (refusal, words) in [
        (Refusal::Access(ipc::AccessFault::RegistrationClosed), "signing-agent registration open"),
        (Refusal::AlreadyRegistered, "registered already"),
        (Refusal::NotReady("there is no partner key".into()), "no partner key"),
        (Refusal::Backend { status: 401, words: "\x1b[2Jno".into() }, "the backend answered 401"),
    ] {
        let house = House::new();
        let refuse = move |ask: &Ask| match ask {
            Ask::Register { .. } => Answer::Refused(refusal.clone()),
            other => answer(other),
        };
        vault(&house.lane("admin.sock"), refuse);
        fs::write(house.path("key"), "the-key").unwrap();
        let (code, out, err) = texts(&house.output(&["register", "--name", "n", "--api-key-file", "key"]));
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(words) && !err.contains('\x1b'), "{err}");
    }
}

#[test]
fn what_would_be_refused_anyway_is_refused_before_a_key_is_asked_for() {
    let registered = ipc::AgentStatus { agent_id: "agent-1".into(), name: "desk".into(), registered_at: 0 };
    let status = ipc::Status { agent: Some(registered), ..fresh() };
    for (asked, refusal, words) in [
        (Ask::Status, Answer::Status(Box::new(status)), "registered already"),
        (Ask::RegistrationWindow, Answer::RegistrationWindow(None), "signing-agent registration open"),
        (
            Ask::PartnerKey { make: false },
            Answer::Refused(Refusal::NotReady("there is no partner key".into())),
            "no partner key",
        ),
    ] {
        let house = House::new();
        vault(&house.lane("admin.sock"), move |ask| if *ask == asked { refusal.clone() } else { answer(ask) });
        // Its file is not even there.
        let (code, _, err) = texts(&house.output(&["register", "--name", "n", "--api-key-file", "missing"]));
        assert!(code == Some(1) && err.contains(words), "{err}");
    }
}

#[test]
fn a_partner_keys_public_half_is_the_result_and_all_else_goes_to_stderr() {
    let (house, asked) = house();
    for (verb, make) in [("new", true), ("show", false)] {
        let (code, out, err) = texts(&house.output(&["partner-key", verb]));
        let pem = "-----BEGIN PUBLIC KEY-----\nAAAA [2J\n-----END PUBLIC KEY-----\n";
        assert_eq!((code, out.as_str()), (Some(0), pem));
        assert!(err.contains("ab12") && err.contains("signing-agent register"), "{err}");
        assert_eq!(asked.lock().unwrap().last(), Some(&Ask::PartnerKey { make }));
    }
}

#[test]
fn a_registration_window_is_opened_for_as_long_as_was_said() {
    let (house, asked) = house();
    for (line, change) in [(&["registration", "open"][..], 3600), (&["registration", "open", "--for", "90s"], 90)] {
        assert_eq!(texts(&house.output(line)).0, Some(0));
        let change = Change::RegistrationOpen { seconds: change };
        assert_eq!(asked.lock().unwrap().last(), Some(&Ask::Change { change, statements: Vec::new() }));
    }
    assert_eq!(texts(&house.output(&["registration", "close"])).0, Some(0));
    assert_eq!(asked.lock().unwrap().last(), Some(&Ask::RegistrationClose));
    assert!(texts(&house.output(&["registration", "status"])).1.contains("taken for 90 s still"));
}
