//! Faults that keep a vault from working, looked for while none is at work.

use super::{
    Fault, chmod, configure, configure_back, doctor, fault, find_each, finds, is_content, put_aside, put_back, warning,
};
use signing_agent_tests::{APPROVE_ALL, House, Settings, Token, until};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// A registered house whose agent was stopped.
fn stopped(settings: Settings) -> House {
    let mut house = House::registered(Settings { log_level: "info", ..settings });
    assert!(house.stop().success(), "{}", house.log());
    house
}

#[test]
fn a_stopped_house_has_no_other_fault_than_that() {
    let house = stopped(Settings::with_policy(APPROVE_ALL));
    let report = doctor(&house);
    assert_eq!(report.of("fault"), ["vault"], "{}", report.all);
    assert!(report.by.starts_with("signing-agent-vault --check, as you"), "{}", report.by);
    finds(&house, &fault("vault", "no vault answers", "signing-agent run"));
    for check in [
        "token-pin",
        "token-keys",
        "deed",
        "deed-and-configuration",
        "sealed-keys",
        "ledger",
        "audit-log",
        "token-memory",
    ] {
        assert!(report.of("good").contains(&check), "{check}: {}", report.all);
    }
}

const FAULTS: &[Fault] = &[
    (
        "the module is missing",
        |house| {
            let module = house.token.module.display().to_string();
            configure(house, &module, "/usr/lib/nowhere.so");
        },
        fault("pkcs11-module", "cannot load the PKCS#11 module /usr/lib/nowhere.so", "correct [hsm] module"),
        configure_back,
    ),
    (
        "the token's label is unknown",
        |house| configure(house, &format!("token = \"{}\"", house.token.label), "token = \"somebody-elses\""),
        fault("token", "somebody-elses", "correct [hsm] token or slot"),
        configure_back,
    ),
    (
        "the PIN file is missing",
        |house| fs::rename(&house.token.pin_file, house.token.pin_file.with_extension("aside")).unwrap(),
        fault("token-pin", "it is not there", "chmod 600"),
        |house| put_back(&house.token.pin_file),
    ),
    (
        "the PIN was refused before",
        |house| fs::write(house.state().join("pin-refused"), "").unwrap(),
        fault("token-pin", "it is not tried again", "signing-agent init --try-pin-again"),
        |house| fs::remove_file(house.state().join("pin-refused")).unwrap(),
    ),
    (
        "the recipients differ from the deed's",
        |house| {
            let other = age::x25519::Identity::generate().to_public().to_string();
            configure(house, "recovery_recipients = []", &format!("recovery_recipients = [\"{other}\"]"));
        },
        fault("deed-and-configuration", "the configuration seals to", "signing-agent init --amend"),
        configure_back,
    ),
    (
        "a policy wants people whom the deed does not name",
        |house| put_aside(&house.dir.path().join("policy.toml"), b"release = { approvers = 1, of = [\"alice\"] }\n"),
        fault("policy", "whom the deed does not name: alice", "signing-agent init --amend"),
        |house| put_back(&house.dir.path().join("policy.toml")),
    ),
    (
        "the ledger is torn",
        |house| {
            let path = house.state().join("ledger.sqlite");
            let octets = fs::read(&path).unwrap();
            put_aside(&path, &octets[..octets.len() / 2]);
        },
        fault("ledger", "is damaged", "restore the whole state directory from a backup"),
        |house| put_back(&house.state().join("ledger.sqlite")),
    ),
    (
        "the ledger is missing",
        |house| fs::rename(house.state().join("ledger.sqlite"), house.state().join("ledger.aside")).unwrap(),
        fault("ledger", "is missing although the deed is there", "restore the whole state directory"),
        |house| put_back(&house.state().join("ledger.sqlite")),
    ),
    (
        "the sealed keys are missing",
        |house| fs::rename(house.state().join("mpin.age"), house.state().join("mpin.aside")).unwrap(),
        fault("sealed-keys", "mpin.age", "restore bls.age and mpin.age"),
        |house| put_back(&house.state().join("mpin.age")),
    ),
    (
        "the deed is gone",
        |house| fs::rename(house.state().join("deed.jws"), house.state().join("deed.aside")).unwrap(),
        fault("deed", "there is none in", "signing-agent init"),
        |house| put_back(&house.state().join("deed.jws")),
    ),
    (
        "the callback's key is missing",
        |house| {
            let more = "[state]\n";
            let callback = "[callback]\nurl = \"http://127.0.0.1:9/\"\npublic_key_file = \"nowhere.pem\"\n";
            configure(house, more, &format!("{callback}{more}"));
        },
        fault("callback-key", "nowhere.pem", "public key"),
        configure_back,
    ),
];

#[test]
fn each_fault_that_keeps_a_vault_down_is_found_without_one() {
    let mut house = stopped(Settings::with_policy(APPROVE_ALL));
    find_each(&house, FAULTS);
    assert_eq!(doctor(&house).of("fault"), ["vault"], "{}", doctor(&house).all);
    // Nothing of all this was in its way.
    house.run();
    house.wait("feeds=1");
    house.assert_no_panic();
}

#[test]
fn a_wrong_pin_is_found_tried_once_and_never_again() {
    let mut house = stopped(Settings::with_policy(APPROVE_ALL));
    let right = fs::read(&house.token.pin_file).unwrap();
    fs::write(&house.token.pin_file, "13371337").unwrap();
    finds(&house, &fault("token-pin", "CKR_PIN_INCORRECT", "signing-agent init --try-pin-again"));
    for _ in 0..5 {
        let report = doctor(&house);
        assert!(!report.all.contains("CKR_PIN_INCORRECT") && !report.all.contains("13371337"), "{}", report.all);
        assert!(report.of("fault").contains(&"token-pin"), "{}", report.all);
    }
    // A vault that stands in trouble for it looks the same way.
    house.run_unready();
    finds(&house, &fault("ready", "refused this PIN before", "put right"));
    finds(&house, &fault("token-pin", "not tried again", "signing-agent init --try-pin-again"));
    assert_eq!(house.log().matches("CKR_PIN_INCORRECT").count(), 0, "it was not tried again: {}", house.log());
    fs::write(&house.token.pin_file, right).unwrap();
    assert!(house.output(&["init", "--try-pin-again"]).status.success());
    is_content(&house, "token-pin");
}

#[test]
fn another_agents_token_and_an_empty_one_are_found() {
    let mut house = stopped(Settings::with_policy(APPROVE_ALL));
    let conf = house.token.conf.clone();
    let empty = Token::make(&house.dir.path().join("other"));
    let own = std::mem::replace(&mut house.token, empty);
    house.write_config();
    finds(&house, &fault("token-keys", "the token has no", "signing-agent init"));
    // With keys of another agent's in it.
    let state = house.state();
    fs::rename(&state, state.with_extension("aside")).unwrap();
    assert!(house.output(&["init"]).status.success());
    fs::remove_dir_all(&state).unwrap();
    put_back(&state);
    finds(
        &house,
        &fault("deed", "another agent's, or was tampered with", "use the token that this agent was made with"),
    );
    house.token = own;
    assert_eq!(house.token.conf, conf);
    house.write_config();
    assert_eq!(doctor(&house).of("fault"), ["vault"], "{}", doctor(&house).all);
}

#[test]
fn an_older_copy_of_the_state_directory_is_found() {
    let mut house = stopped(Settings::with_policy(APPROVE_ALL));
    let copy = |from: PathBuf, to: PathBuf| {
        let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    let (state, old) = (house.state(), house.dir.path().join("old"));
    copy(state.clone(), old.clone());
    house.run();
    house.wait("feeds=1");
    house.stop();
    fs::remove_dir_all(&state).unwrap();
    copy(old, state);
    finds(&house, &fault("token-memory", "older than the token's memory", "recover --accept-rollback"));
    house.run_unready();
    finds(&house, &fault("ready", "older than the token's memory", "put right"));
    finds(&house, &fault("token-memory", "older than the token's memory", "recover --accept-rollback"));
}

#[test]
fn another_program_on_the_port_is_found() {
    let house = House::empty(Settings { log_level: "info", ..Settings::default() });
    assert!(house.output(&["init"]).status.success());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    configure(&house, "listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
    finds(&house, &fault("port", "another program listens at 127.0.0.1:", "ss -ltnp"));
    drop(other);
    until("the port is free", || doctor(&house).of("good").contains(&"port"), || doctor(&house).all);
}

#[test]
fn a_house_that_was_never_made_is_told_what_comes_first() {
    let house = House::empty(Settings::default());
    finds(&house, &fault("deed", "there is none in", "signing-agent init"));
    finds(&house, &fault("state-directory", "No such file", "signing-agent init"));
    assert!(!house.state().exists(), "nothing is made by looking");
    finds(&house, &warning("api-access", "auth is \"none\"", "signing-agent token add"));
}

#[test]
fn looking_loads_no_module_that_somebody_else_could_have_written_or_named() {
    let house = stopped(Settings::with_policy(APPROVE_ALL));
    let (dir, mark) = (house.dir.path(), house.state().join("loaded"));
    let (source, planted) = (dir.join("planted.c"), dir.join("planted.so"));
    let touches =
        format!("#include <fcntl.h>\n__attribute__((constructor)) static void f(void) {{ creat({mark:?}, 0600); }}\n");
    fs::write(&source, touches).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&planted, &source]).status().unwrap();
    assert!(made.success());
    configure(&house, &house.token.module.display().to_string(), planted.to_str().unwrap());
    let could = fault("files", "can be written by others", "nothing more was looked at");
    for (module, configuration) in [(0o775, 0o644), (0o755, 0o664)] {
        chmod(&planted, module);
        chmod(&house.config(), configuration);
        finds(&house, &could);
        assert!(!mark.exists(), "it was loaded: {module:o} {configuration:o}");
    }
    // Where nobody else could have, it is.
    chmod(&house.config(), 0o644);
    finds(&house, &fault("pkcs11-module", "planted.so", "correct [hsm] module"));
    assert!(mark.exists());
}
