//! What the operator's command asks of the vault, and how it tells the answer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::{House, fresh, lives, texts};
use ipc::{AgentStatus, Answer, Ask, AuditStatus, Change, FeedState, InitOptions, InitReport, Refusal, Status};
use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A vault that gives this answer whatever it is asked.
fn vault(lane: &Path, answer: Answer) -> Arc<Mutex<Vec<Ask>>> {
    house::vault(lane, move |_| answer.clone())
}

fn report() -> InitReport {
    InitReport {
        made: vec!["the audit key".into()],
        kept: vec!["the identity key (P-256)".into()],
        fingerprints: vec![("identity".into(), "ab12".into())],
        recipient: "age1tag1qqq".into(),
        warnings: vec!["no recovery recipients: if the token is lost, so are the keys".into()],
    }
}

#[test]
fn status_of_a_fresh_agent() {
    let house = House::new();
    let asked = vault(&house.lane("admin.sock"), Answer::Status(Box::new(fresh())));
    let (code, out, err) = texts(&house.output(&["status"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(*asked.lock().unwrap(), [Ask::Status]);
    assert_eq!(
        out,
        "  agent            not registered yet\n  \
           registration     not taken now\n  \
           token            signing-agent (SoftHSM)\n  \
           feed             not asked for before registration\n  \
           policy           none: everything is held\n  \
           actions          none so far\n  \
           doors            api connected, courier AWAY\n  \
           refused callers  none since the start\n  \
           changes          by the operator alone\n  \
           sealed to        age1tag1qqq\n  \
           version          0.1.0\n\n\
         Fingerprints (SHA-256 of the public keys)\n  identity  ab12\n\
         Compare the agentID and these with the custody console before the agent joins a custody group.\n\n\
         What to do\n\
         - Have a registration taken, by `signing-agent registration open`, and register the agent: your partner app \
         (POST /api/v1/register; where [api] auth asks for a token, make it one: `signing-agent token add NAME --scope \
         register,decide,read,feed`), or `signing-agent partner-key new` and then `signing-agent register --name NAME`.\n\
         - The courier is away. Where it is a service: `systemctl status signing-agent-courier`; under `run` see its \
         messages.\n"
    );
}

#[test]
fn status_puts_trouble_first_and_lets_nobody_steer_the_terminal() {
    let house = House::new();
    let status = Status {
        trouble: Some("CKR_PIN_INCORRECT (C_Login): look after the PIN".into()),
        agent: Some(AgentStatus { agent_id: "agent-1".into(), name: "desk".into(), registered_at: 1_767_225_599 }),
        feed: FeedState::Closed { why: "\x1b[2Jrefused\n".into(), retry_ms: 2500 },
        actions: vec![("approved".into(), 12), ("held".into(), 3)],
        audit: Some(AuditStatus {
            records: 70,
            covered: 64,
            key: "signing-agent/ab+cd+ef".into(),
            memory: "start 3".into(),
            frozen: true,
            windows_full: false,
        }),
        alarms: vec!["5 s ago: w1: \x1b[31mlook".into()],
        ..fresh()
    };
    vault(&house.lane("admin.sock"), Answer::Status(Box::new(status)));
    let (code, out, _) = texts(&house.output(&["status"]));
    assert_eq!(code, Some(1), "a monitor hears of it");
    assert!(out.starts_with("TROUBLE: CKR_PIN_INCORRECT (C_Login): look after the PIN\n"), "{out}");
    for words in [
        "agent-1",
        "desk",
        "2025-12-31 23:59:59 UTC",
        "refused",
        "next try in 2.5 s",
        "12 approved, 3 held",
        "70 records, 64 of them",
        "start 3",
        "ALARM: 5 s ago: w1",
        "signing-agent/ab+cd+ef",
    ] {
        assert!(out.contains(words), "{words} in {out}");
    }
    assert!(!out.contains('\x1b'), "{out:?}");

    let json: serde_json::Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["agent"]["agentID"], "agent-1");
    assert_eq!(json["feed"]["state"], "closed");
    assert_eq!(json["feed"]["retry_ms"], 2500);
    assert_eq!(json["actions"]["approved"], 12);
    assert_eq!(json["doors"]["courier"], false);
    assert_eq!((&json["audit"]["covered"], &json["audit"]["frozen"]), (&64.into(), &true.into()));
    assert_eq!(json["alarms"].as_array().unwrap().len(), 1);
    assert_eq!(json["fingerprints"]["identity"], "ab12");
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let house = House::new();
    let said = |arguments: &[&str], code: i32, words: &str| {
        let (got, out, err) = texts(&house.output(arguments));
        assert_eq!(got, Some(code), "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(words), "{arguments:?}: {out}{err}");
    };
    said(&["version"], 0, concat!("signing-agent ", env!("CARGO_PKG_VERSION"), "\n"));
    said(&["--version"], 0, concat!("signing-agent ", env!("CARGO_PKG_VERSION"), "\n"));
    said(&[], 2, "Usage");
    said(&["sign"], 2, "unrecognized subcommand");
    said(&["status"], 3, "signing-agent: no vault answers");
    let help = house.output(&["--help"]);
    assert!(!String::from_utf8(help.stdout).unwrap().contains("shim"));

    let stale = house.lane("admin.sock");
    fs::create_dir_all(stale.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&stale).unwrap());
    said(&["status"], 3, "signing-agent: no vault answers");
    fs::remove_file(&stale).unwrap();
    vault(&stale, Answer::Noted);
    said(&["status"], 1, "of one version?");
    said(&["init"], 1, "of one version?");

    house.configure("[hsm]\nmodul = \"x\"\n");
    for command in ["status", "init", "run"] {
        said(&[command], 78, "did you mean \"module\"?");
    }
    fs::remove_file(house.path("agent.toml")).unwrap();
    said(&["status"], 78, "agent.toml: cannot read the configuration");
}

#[test]
fn a_vault_that_ends_the_connection_or_talks_nonsense_is_a_failure() {
    for nonsense in [&b""[..], &[2, 0, 0, 0, 1, 200], &[255; 8]] {
        let house = House::new();
        let lane = house.lane("admin.sock");
        fs::create_dir_all(lane.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&lane).unwrap();
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            ipc::read_frame::<Ask>(&mut stream).unwrap();
            stream.write_all(nonsense).unwrap();
        });
        let (code, out, err) = texts(&house.output(&["status"]));
        answer.join().unwrap();
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("the vault did not answer: "), "{err}");
    }
}

#[test]
fn a_lane_that_the_environment_names_is_the_only_one_asked() {
    let house = House::new();
    let configured = vault(&house.lane("admin.sock"), Answer::Status(Box::new(fresh())));
    let named = house.path("other.sock");
    let status = || {
        let mut command = house.command(&["status"]);
        command.env("SIGNING_AGENT_ADMIN_LANE", &named);
        texts(&house::output(command))
    };
    assert_eq!(status().0, Some(3));
    let other = vault(&named, Answer::Status(Box::new(fresh())));
    assert_eq!(status().0, Some(0));
    assert_eq!((configured.lock().unwrap().len(), other.lock().unwrap().len()), (0, 1));
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    let house = House::new();
    vault(&house.lane("admin.sock"), Answer::Status(Box::new(fresh())));
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    let mut command = house.command(&["status"]);
    command.stdout(std::os::fd::OwnedFd::from(theirs)).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn init_asks_the_vault_that_runs_and_tells_all() {
    let house = House::new();
    let asked = vault(&house.lane("admin.sock"), Answer::Initialised(report()));
    let (code, out, err) = texts(&house.output(&["init", "--amend", "--try-pin-again"]));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(*asked.lock().unwrap(), [change(Change::Amend(InitOptions { amend: true, try_pin_again: true }))]);
    for words in
        ["Made:\n  the audit key", "Kept, for it was there:\n  the identity key", "ab12", "age1tag1qqq", "Next: "]
    {
        assert!(out.contains(words), "{words} in {out}");
    }
    assert_eq!(err, "signing-agent: warning: no recovery recipients: if the token is lost, so are the keys\n");
    house.output(&["init"]);
    assert_eq!(asked.lock().unwrap()[1], Ask::Init(InitOptions::default()));
}

#[test]
fn init_passes_the_vaults_refusal_on() {
    let house = House::new();
    let words = "C_Login: CKR_PIN_INCORRECT: look after the PIN, then `signing-agent init --try-pin-again`";
    vault(&house.lane("admin.sock"), Answer::Refused(Refusal::Init(words.into())));
    let (code, out, err) = texts(&house.output(&["init"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, format!("signing-agent: the vault refused: {words}\n"));
}

#[test]
#[ignore = "a room's part in another test"]
fn be_a_vault_for_init() {
    let Ok(house) = std::env::var("HOUSE") else { return };
    let mut sockets = jail::Sockets::take().unwrap();
    assert!(!sockets.has("lane-api") && !sockets.has("lane-courier"));
    fs::write(format!("{house}/pid"), std::process::id().to_string()).unwrap();
    let listener = sockets.unix("lane-admin").unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let ask = ipc::read_frame::<Ask>(&mut stream).unwrap().unwrap();
        assert!(matches!(ask.what, Ask::Init(_)));
        ipc::write_frame(&mut stream, ask.id, &Answer::Initialised(report())).unwrap();
    }
}

#[test]
fn init_starts_a_vault_for_one_ask_where_none_runs() {
    let house = House::new();
    house.role("vault", "be_a_vault_for_init");
    let (code, out, err) = texts(&house.output(&["init"]));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("Made:\n"), "the vault's own words are not among the results: {out}");
    assert!(out.contains("Next: `signing-agent run --config agent.toml`"), "{out}");
    assert!(!lives(&house.read("pid")), "the vault ends after the one ask");
    assert!(!house.lane("admin.sock").exists());
    assert_eq!(texts(&house.output(&["status"])).0, Some(3));
}

#[test]
fn init_says_so_when_its_vault_dies() {
    let house = House::new();
    for (script, code, words) in [
        ("echo no module >&2; exit 9", 1, "the vault that was started for this ended with exit code 9"),
        ("echo no module >&2; kill -ABRT $$", 1, "was ended by SIGABRT"),
        ("echo no module >&2; exit 78", 78, "no module"),
    ] {
        house.room("vault", script);
        let (got, out, err) = texts(&house.output(&["init"]));
        assert_eq!((got, out.as_str()), (Some(code), ""), "{err}");
        assert!(err.starts_with("no module\n") && err.contains(words), "{err}");
    }
}

#[test]
fn init_does_not_start_a_second_vault_beside_a_run() {
    let house = House::new();
    let run = house.run();
    run.says(&["listening on"]);
    fs::remove_file(house.lane("admin.sock")).unwrap();
    let (code, _, err) = texts(&house.output(&["init"]));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("in use by another `signing-agent`"), "{err}");
}

#[test]
fn freeze_unfreeze_confirm_clock_and_recover_are_asked_of_the_vault_and_recover_only_when_it_was_meant() {
    let house = House::new();
    let asked = vault(&house.lane("admin.sock"), Answer::Noted);
    let (code, out, _) = texts(&house.output(&["freeze"]));
    assert!(code == Some(0) && out.starts_with("Frozen"), "{out}");
    assert_eq!(texts(&house.output(&["unfreeze"])).0, Some(0));
    let (code, out, _) = texts(&house.output(&["confirm-clock"]));
    assert!(code == Some(0) && out.starts_with("The wall clock is taken as it is"), "{out}");
    assert_eq!(*asked.lock().unwrap(), [Ask::Freeze, change(Change::Unfreeze), change(Change::ConfirmClock)]);
    let (code, _, err) = texts(&house.output(&["recover"]));
    assert!(code == Some(2) && err.contains("--accept-rollback"), "{err}");
    assert_eq!(asked.lock().unwrap().len(), 3, "nothing was asked");

    let house = House::new();
    let asked = vault(&house.lane("admin.sock"), Answer::Recovered("taken; \x1bfrozen".into()));
    let (code, out, _) = texts(&house.output(&["recover", "--accept-rollback"]));
    assert_eq!((code, out.as_str()), (Some(0), "taken;  frozen\n"));
    assert_eq!(*asked.lock().unwrap(), [change(Change::AcceptRollback)]);
}

#[test]
fn an_export_that_is_not_one_is_refused_and_so_is_a_missing_key() {
    let house = House::new();
    let file = house.dir.path().join("export");
    fs::write(&file, "no export\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, _, err) = texts(&house.output(&["audit", "verify", file]));
    assert!(code == Some(1) && err.contains("--public-key"), "{err}");
    let (code, _, err) = texts(&house.output(&["audit", "verify", file, "--public-key", "a+b+c"]));
    assert!(code == Some(1) && err.contains("the key:"), "{err}");
    // The key that docs/audit-log.md has as its example.
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit-log.md");
    let docs = fs::read_to_string(docs).unwrap();
    let key = docs.lines().find(|line| line.contains("+ce97ec20+")).unwrap();
    let (code, _, err) = texts(&house.output(&["audit", "verify", file, "--public-key", key]));
    assert!(code == Some(1) && err.contains("the export is not good") && err.contains("record 0"), "{err}");
}

#[test]
fn callback_key_prints_the_audit_key_as_pem_or_says_why_it_cannot() {
    let house = House::new();
    assert_eq!(texts(&house.output(&["callback-key"])).0, Some(3), "nobody to ask");
    // The key of docs/audit-log.md.
    let key = "agent.example/audit+ce97ec20+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB4YUy/UdUwC8wQdnHXOszuD/9gax85P6ILMscmLxYlup\
               GwxHE4v9A3ZajZT5uRURdMt/khuztdcepDGoYiBwKM=";
    let audit = AuditStatus {
        records: 1,
        covered: 1,
        key: key.into(),
        memory: String::new(),
        frozen: false,
        windows_full: false,
    };
    let status = Status { audit: Some(audit), ..fresh() };
    vault(&house.lane("admin.sock"), Answer::Status(Box::new(status)));
    let (code, out, err) = texts(&house.output(&["callback-key"]));
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHhhTL9R1TALzBB2cdc6zO4P/2BrH\n\
               zk/ogsyxyYvFiW6kbDEcTi/0DdlqNlPm5FRF0y3+SG7O11x6kMahiIHAow==\n-----END PUBLIC KEY-----\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), pem, ""));
    let house = House::new();
    let trouble = Status { trouble: Some("no \x1b[2Jtoken".into()), ..fresh() };
    vault(&house.lane("admin.sock"), Answer::Status(Box::new(trouble)));
    let (code, out, err) = texts(&house.output(&["callback-key"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("no  [2Jtoken") && !err.contains('\x1b'), "{err}");
}

fn change(change: Change) -> Ask {
    Ask::Change { change, statements: Vec::new() }
}
