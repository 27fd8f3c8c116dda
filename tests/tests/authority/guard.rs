//! What the rooms read, nobody else may be able to write.

use crate::board::{Board, POLICY, said};
use signing_agent_tests::{APPROVE_ALL, House, Settings, Signal, signal};
use std::fs::{self, Permissions};
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// What a house may take that is to end by itself.
const PATIENCE: Duration = Duration::from_secs(20);

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Starts it with this path open to others, and with it as it was.
fn refused(house: &House, path: &Path, bad: u32, room: &str) {
    let good = fs::metadata(path).unwrap().permissions().mode();
    mode(path, bad);
    let (code, words) = ended(house);
    let wanted = [
        format!("signing-agent-{room}"),
        format!(" {} can be written by others (mode {bad:o}, owner uid ", path.display()),
    ];
    assert!(code == 78 && wanted.iter().all(|part| words.contains(part)), "{}: {code} {words}", path.display());
    assert!(words.contains(&format!("chmod go-w {}", path.display())), "{words}");
    mode(path, good);
}

/// How `run` ended, and its words. One that goes on is at fault, and is ended.
fn ended(house: &House) -> (i32, String) {
    let log = tempfile::tempfile().unwrap();
    let mut run = house.command(&["run"]).stderr(log.try_clone().unwrap()).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while run.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            signal(run.id(), Signal::TERM);
            run.wait().unwrap();
            return (-1, "it goes on".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let (mut words, mut log) = (String::new(), log);
    log.rewind().unwrap();
    log.read_to_string(&mut words).unwrap();
    (run.wait().unwrap().code().unwrap_or(-1), words)
}

#[test]
fn a_room_does_not_start_on_what_others_may_write() {
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    let dir = house.dir.path().to_owned();
    let below = |name: &str| dir.join(name);
    fs::create_dir(below("module")).unwrap();
    let module = below("module/softhsm2.so");
    fs::copy(&house.token.module, &module).unwrap();
    house.settings.module = Some(module.clone());
    for (name, text) in
        [("policy.toml.sig", ""), ("shadow.toml", APPROVE_ALL), ("cert", ""), ("key", ""), ("ca", ""), ("crl", "")]
    {
        fs::write(below(name), text).unwrap();
        mode(&below(name), 0o644);
    }
    fs::write(below("callback.pem"), include_str!("callback.pem")).unwrap();
    house.settings.more = "[callback]\nurl = \"http://127.0.0.1:9\"\npublic_key_file = \"callback.pem\"\n".into();
    house.write_config();
    assert!(house.output(&["init"]).status.success());
    for (path, bad) in [(house.config(), 0o664), (house.config(), 0o646), (dir.clone(), 0o777)] {
        // Whichever of the three rooms is first.
        refused(&house, &path, bad, "");
    }
    for (path, bad) in [
        (module, 0o775),
        (below("module"), 0o777),
        (below("policy.toml"), 0o666),
        (below("policy.toml.sig"), 0o620),
        (below("callback.pem"), 0o622),
    ] {
        refused(&house, &path, bad, "vault");
    }
    house.run();
}

#[test]
fn the_door_does_not_start_on_a_certificate_that_others_may_write() {
    let house = House::empty(Settings {
        api: "auth = \"none\"\ntls_cert_file = \"cert\"\ntls_key_file = \"key\"\nclient_ca_file = \"ca\"\nclient_crl_file = \"crl\"".into(),
        ..Settings::default()
    });
    let names = ["cert", "key", "ca", "crl"].map(|name| house.dir.path().join(name));
    for path in &names {
        fs::write(path, "").unwrap();
        mode(path, 0o600);
    }
    assert!(house.output(&["init"]).status.success());
    for path in &names {
        refused(&house, path, 0o602, "api");
    }
}

#[test]
fn a_policy_that_others_may_write_by_now_is_not_read_again() {
    let board = Board::new();
    let policy = board.house.dir.path().join("policy.toml");
    board.put_policy(&POLICY.replace("serial = 1", "serial = 2"));
    mode(&policy, 0o664);
    let (code, words) = said(&board.says(&["policy", "reload"]));
    assert!(
        code == 1 && words.contains("can be written by others (mode 664") && words.contains("chmod go-w"),
        "{code} {words}"
    );
    mode(&policy, 0o644);
    assert_eq!(said(&board.says(&["policy", "reload"])).0, 0);
    // Also through a link, which the vault's filter must let it follow.
    let there = board.house.dir.path().join("there.toml");
    fs::rename(&policy, &there).unwrap();
    std::os::unix::fs::symlink("there.toml", &policy).unwrap();
    assert_eq!(said(&board.says(&["policy", "reload"])).0, 0);
    mode(&there, 0o622);
    let (code, words) = said(&board.says(&["policy", "reload"]));
    assert!(code == 1 && words.contains("there.toml can be written by others"), "{code} {words}");
    board.house.assert_no_panic();
}
