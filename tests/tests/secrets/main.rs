//! Where secrets are not: the state directory, the logs, the doors' memory, core files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod core;
mod search;

use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use search::Search;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A process's memory, all of it, by `gcore`.
fn memory(pid: u32, dir: &Path) -> Vec<u8> {
    let mut gcore = Command::new("gcore");
    gcore.arg("-a").arg("-o").arg(dir.join("memory")).arg(pid.to_string()).stdin(Stdio::null());
    let output = gcore.output().expect("gcore can be started: install gdb");
    let file = dir.join(format!("memory.{pid}"));
    let octets = fs::read(&file).unwrap_or_else(|e| panic!("gcore: {e}\n{}", String::from_utf8_lossy(&output.stderr)));
    fs::remove_file(file).unwrap();
    octets
}

/// Every file below, by its path.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The private integers of an RSAPrivateKey (RFC 8017 A.1.2): all but version, modulus and public exponent.
fn private_integers(der: &[u8]) -> Vec<Vec<u8>> {
    fn value(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), &der[2..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            _ => (usize::from(u16::from_be_bytes([der[2], der[3]])), &der[4..]),
        };
        rest.split_at(length)
    }
    let (mut rest, _) = value(der);
    let mut integers = Vec::new();
    while !rest.is_empty() {
        let (integer, after) = value(rest);
        integers.push(integer.strip_prefix(&[0]).unwrap_or(integer).to_vec());
        rest = after;
    }
    assert_eq!(integers.len(), 9, "version, n, e, d, p, q, dP, dQ, qInv");
    integers.split_off(3)
}

fn unseal(house: &House, name: &str, key: &Identity) -> Result<Vec<u8>, age::DecryptError> {
    age::decrypt(key, &fs::read(house.state().join(name)).unwrap())
}

/// All that must be nowhere but in the vault.
fn secrets(house: &House, partner: &Value, recovery: &Identity) -> Search {
    let mut search = Search::default();
    let bls = unseal(house, "bls.age", recovery).expect("a recovery key opens the BLS key");
    assert_eq!((bls.len(), &bls[..16]), (48, &[0; 16][..]));
    search.add("the BLS key", &bls[16..]);
    // With the PIN 0 the token is the client secret (protocol.md §5: T = CS − PIN · H(id)).
    let token = unseal(house, "mpin.age", recovery).expect("a recovery key opens the M-Pin token");
    assert_eq!((token.len(), token[0]), (97, 4));
    search.add("the M-Pin token, or the client secret", &token[1..]);
    let text = |name: &str| partner[name].as_str().unwrap().to_owned();
    search.add("the API key", text("apiKey").as_bytes());
    search.add("the API key's octets", &hex::decode(text("apiKey")).unwrap());
    let key = text("base64PrivateKey");
    // The armour's own words at both ends are no secret.
    search.add("Base64PrivateKey", &key.as_bytes()[48..key.len() - 48]);
    let pem = String::from_utf8(STANDARD.decode(&key).unwrap()).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for integer in private_integers(&STANDARD.decode(body).unwrap()) {
        search.add("the RSA key", &integer);
    }
    search.add("the token's PIN", fs::read_to_string(&house.token.pin_file).unwrap().trim().as_bytes());
    search
}

#[test]
fn after_a_registration_no_secret_is_in_files_logs_or_the_doors_memory() {
    let recovery = Identity::generate();
    let mut settings = Settings::with_policy(APPROVE_ALL);
    settings.recovery = vec![recovery.to_public().to_string()];
    settings.log_level = "trace";
    let mut house = House::start(settings);
    let partner = house.partner();
    let before: BTreeMap<String, u32> = house.rooms().into_iter().collect();
    let reply = house.register("test-agent");
    assert_eq!(reply.status, 200, "{}", house.log());
    house.wait("feeds=1");
    let rooms = || -> BTreeMap<String, u32> { house.rooms().into_iter().collect() };
    let retired = || ["api", "courier"].iter().all(|door| rooms().get(*door).is_some_and(|pid| before[*door] != *pid));
    until("both doors are started anew", retired, || house.log());
    for door in ["api", "courier"] {
        assert!(house.log().contains(&format!("{door} retired")), "{}", house.log());
    }
    house.order(json!({"kind": "transfer", "count": 3}));
    house.wait("settled=3");
    assert_eq!(house.ask("GET", "/api/v1/client", "").status, 200);
    let after = rooms();
    assert_eq!(after["vault"], before["vault"]);

    assert!(unseal(&house, "bls.age", &Identity::generate()).is_err(), "another key opens nothing");
    let search = secrets(&house, &partner, &recovery);
    let state = files(&house.state());
    assert!(state.keys().any(|path| path.ends_with("ledger.sqlite")), "{:?}", state.keys());
    for (path, octets) in &state {
        assert_eq!(search.find(octets), [""; 0], "{path}");
    }
    let log = house.log();
    assert!(log.contains("TRACE"), "the log is at trace level");
    assert_eq!(search.find(log.as_bytes()), [""; 0], "the log");

    if !house.may_look_inside("the memory of the rooms") {
        return;
    }
    let dumps = house.dir.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    let run = fs::read_to_string(format!("/proc/{}/status", after["vault"])).unwrap();
    let run = run.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    for (name, pid) in [("api", after["api"]), ("courier", after["courier"]), ("run", run)] {
        let memory = memory(pid, &dumps);
        assert!(memory.len() > 1 << 20 && search::contains(&memory, b"signing-agent"), "{name}: no memory");
        assert_eq!(search.find(&memory), [""; 0], "the memory of {name}");
    }
    // The same search finds what is there.
    let found = search.find(&memory(after["vault"], &dumps));
    assert!(found.contains(&"the BLS key"), "this search would find nothing anywhere; it found {found:?}");
}
