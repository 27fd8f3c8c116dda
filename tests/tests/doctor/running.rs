//! Faults of an agent that runs.

use super::{Fault, chmod, configure, configure_back, doctor, fault, find_each, finds, put_aside, put_back, warning};
use custody_simulator::Door;
use signing_agent_tests::{APPROVE_ALL, House, Settings, Signal, signal, until};
use std::fs;

/// Registered, with all that a healthy house has.
fn house() -> House {
    let recovery = age::x25519::Identity::generate().to_public().to_string();
    House::registered(Settings {
        log_level: "info",
        recovery: vec![recovery],
        environment: vec![("SIGNING_AGENT_TEST_SPEED", "10".into())],
        ..Settings::with_policy(APPROVE_ALL)
    })
}

#[test]
fn a_healthy_house_has_no_fault_and_the_vault_itself_says_so() {
    let house = house();
    house.order(serde_json::json!({"kind": "transfer"}));
    house.wait("approved=1");
    until("it is healthy", || doctor(&house).of("fault").is_empty(), || doctor(&house).all);
    let report = doctor(&house);
    assert_eq!((report.code, report.by.as_str()), (0, "the vault, by its lane"), "{}", report.all);
    assert_eq!(report.of("unknown"), [""; 0], "{}", report.all);
    // That anybody may call it is this house's choice; what the kernel has not is the machine's.
    let warned: Vec<&str> = report
        .of("warning")
        .into_iter()
        .filter(|check| *check != "kernel-landlock" && *check != "disk-space")
        .collect();
    assert_eq!(warned, ["api-access"], "{}", report.all);
    let good = report.of("good");
    for check in [
        "vault",
        "policy",
        "recovery",
        "pkcs11-module",
        "token",
        "token-keys",
        "ledger",
        "deed",
        "deed-and-configuration",
        "registration",
        "sealed-keys",
        "clock",
        "frozen",
        "audit-log",
        "backlog",
        "api-room",
        "courier-room",
        "feed",
        "backend-replies",
        "backend-clock",
        "files",
        "state-directory",
        "lanes",
        "port",
        "backend",
    ] {
        assert!(good.contains(&check), "{check}: {}", report.all);
    }
    assert_eq!(house.rooms().len(), 3, "no room ended for it: {}", house.log());
    let screen = String::from_utf8(house.output(&["doctor"]).stdout).unwrap();
    assert!(screen.contains("\nfaults: 0, ") && screen.contains("\nok       token-keys"), "{screen}");
    assert!(!screen.contains('\x1b'), "no colour in a pipe");
}

const FAULTS: &[Fault] = &[
    (
        "the PIN file is readable by others",
        |house| chmod(&house.token.pin_file, 0o644),
        fault("token-pin", "others may use it (mode 0644)", "chmod 600 "),
        |house| chmod(&house.token.pin_file, 0o600),
    ),
    (
        "the deed is tampered with",
        |house| {
            let deed = house.state().join("deed.jws");
            let text = fs::read_to_string(&deed).unwrap();
            let place = text.len() / 2;
            let other = if &text[place..=place] == "A" { "B" } else { "A" };
            put_aside(&deed, [&text[..place], other, &text[place + 1..]].concat().as_bytes());
        },
        fault("deed", "not signed by this token's audit key", "restore deed.jws"),
        |house| put_back(&house.state().join("deed.jws")),
    ),
    (
        "a sealed file is corrupted",
        |house| {
            let path = house.state().join("bls.age");
            let mut octets = fs::read(&path).unwrap();
            *octets.last_mut().unwrap() ^= 1;
            put_aside(&path, &octets);
        },
        fault("sealed-keys", "damaged or was tampered with", "restore bls.age and mpin.age from a backup"),
        |house| put_back(&house.state().join("bls.age")),
    ),
    (
        "the state directory is writable by its group",
        |house| chmod(&house.state(), 0o770),
        fault("state-directory", "others may reach into it (mode 0770)", "chmod 700 "),
        |house| chmod(&house.state(), 0o700),
    ),
    (
        "the ledger is readable by others",
        |house| chmod(&house.state().join("ledger.sqlite"), 0o644),
        fault("state-directory", "ledger.sqlite: others may use it (mode 0644)", "chmod 600 "),
        |house| chmod(&house.state().join("ledger.sqlite"), 0o600),
    ),
    (
        "a lane is open to others",
        |house| chmod(&house.state().join("lanes/admin.sock"), 0o666),
        fault("lanes", "others may ask by it", "chmod o-rwx "),
        |house| chmod(&house.state().join("lanes/admin.sock"), 0o600),
    ),
    (
        "the policy has a syntax error",
        |house| put_aside(&house.dir.path().join("policy.toml"), b"[[rule]\n"),
        fault("policy", "policy.toml:1:", "signing-agent policy check"),
        |house| put_back(&house.dir.path().join("policy.toml")),
    ),
    (
        "the policy is writable by its group",
        |house| chmod(&house.dir.path().join("policy.toml"), 0o664),
        fault("files", "policy.toml can be written by others", "chmod go-w "),
        |house| chmod(&house.dir.path().join("policy.toml"), 0o644),
    ),
    (
        "the configuration has an unknown key",
        |house| configure(house, "[state]", "[state]\ndirr = \"x\""),
        fault("configuration", "dirr", "docs/configuration.md"),
        configure_back,
    ),
    (
        "other recipients than the deed's, which the next start would not take",
        |house| {
            configure(house, "[sealing]\nrecovery_recipients = [", "[sealing]\nrecovery_recipients = [\"age1tag1x\", ")
        },
        warning("configuration", "changed since the vault read it", "restart the agent"),
        configure_back,
    ),
    (
        "the policy's file is another one than what is in force",
        |house| put_aside(&house.dir.path().join("policy.toml"), b"# nothing is approved\n"),
        warning("policy-in-force", "another policy than the one in force", "signing-agent policy reload"),
        |house| put_back(&house.dir.path().join("policy.toml")),
    ),
    (
        "frozen",
        |house| assert!(house.output(&["freeze"]).status.success()),
        fault("frozen", "stopped all signing", "signing-agent unfreeze"),
        |house| assert!(house.output(&["unfreeze"]).status.success()),
    ),
    (
        "a token has expired",
        |house| {
            let made = house.output(&["token", "add", "desk", "--scope", "decide", "--expires", "1s"]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        },
        warning("api-tokens", "expired: desk", "signing-agent token revoke desk"),
        |house| assert!(house.output(&["token", "revoke", "desk"]).status.success()),
    ),
    (
        "the backend is away",
        |house| house.simulator.stand(Door::Closed).unwrap(),
        fault("backend", "127.0.0.1 is not reached", "whether [backend] url is right"),
        |house| house.simulator.stand(Door::Open).unwrap(),
    ),
    (
        "the backend's feed is closed",
        |house| house.simulator.stand(Door::Closed).unwrap(),
        fault("feed", "closed: ", "IPAddressAllow="),
        |house| {
            house.simulator.stand(Door::Open).unwrap();
            house.wait("feeds=1");
        },
    ),
    (
        "the api is away",
        |house| away(house, "api"),
        fault("api-room", "not connected", "systemctl status signing-agent-api"),
        back,
    ),
    (
        "the courier is away",
        |house| away(house, "courier"),
        fault("courier-room", "not connected", "systemctl status signing-agent-courier"),
        back,
    ),
];

/// Ends a room, and nobody starts it anew.
fn away(house: &House, room: &str) {
    signal(house.pid(), Signal::STOP);
    let (_, pid) = house.rooms().into_iter().find(|(name, _)| name == room).unwrap();
    signal(pid, Signal::KILL);
}

fn back(house: &House) {
    signal(house.pid(), Signal::CONT);
}

#[test]
fn each_fault_of_a_running_agent_is_found_and_its_remedy_named() {
    let house = house();
    find_each(&house, FAULTS);
    until("it is healthy again", || doctor(&house).of("fault").is_empty(), || doctor(&house).all);
    house.assert_no_panic();
}

#[test]
fn a_clock_that_is_off_or_jumps_is_found() {
    let set = |house: &House, wall: i64| {
        let (new, file) = (house.dir.path().join("clocks.new"), house.dir.path().join("clocks"));
        fs::write(&new, format!("{wall} 0\n")).unwrap();
        fs::rename(new, file).unwrap();
    };
    let mut house = House::empty(Settings { log_level: "info", ..Settings::default() });
    house.settings.environment =
        vec![("SIGNING_AGENT_TEST_CLOCKS", house.dir.path().join("clocks")), ("SIGNING_AGENT_TEST_SPEED", "10".into())];
    // It was off before the agent was made: nothing jumps.
    set(&house, 40);
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
    house.wait("feeds=1");
    finds(&house, &fault("backend-clock", "ahead of the backend's", "timedatectl set-ntp true"));
    set(&house, 240);
    finds(&house, &fault("clock", "jumped by more than a minute", "signing-agent confirm-clock"));
}

#[test]
fn a_house_that_nobody_can_call_or_that_anybody_could_register_is_told_so() {
    let api = "auth = \"token\"";
    let house = House::start(Settings { log_level: "info", api: api.into(), ..Settings::default() });
    finds(&house, &fault("api-tokens", "there is no token: nobody can call the API", "signing-agent token add"));
    finds(&house, &warning("policy", "there is none", "[policy] file"));
    finds(&house, &warning("recovery", "no recovery recipient", "age-keygen"));
    finds(&house, &warning("registration", "not registered", "registration open"));
    assert!(doctor(&house).of("good").contains(&"registration-window"), "an hour after init: {}", doctor(&house).all);
    let change = ipc::Change::RegistrationOpen { seconds: 7200 };
    let ask = ipc::Ask::Change { change, statements: Vec::new() };
    let answer = ipc::ask_once(&house.state().join("lanes/admin.sock"), &ask, std::time::Duration::from_secs(10));
    assert_eq!(answer.unwrap(), ipc::Answer::Noted);
    finds(
        &house,
        &warning("registration-window", "whoever may register can do so for 1", "signing-agent registration close"),
    );
}
