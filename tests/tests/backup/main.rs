//! `signing-agent backup`: what is made on one machine and token goes on on another, and nothing else is taken for it (docs/backup.md).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod refused;
mod restored;
mod rollback;

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, until};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Output;

const POLICY: &str = "[[rule]]\nname = \"small\"\nverdict = \"approve\"\nunlimited = true\n\n\
                      [[window]]\nname = \"day\"\nper = \"all\"\nperiod = \"1d\"\nmax_count = 50\n";

/// A recovery identity, kept elsewhere.
struct Recovery {
    dir: tempfile::TempDir,
    recipient: String,
    key: age::x25519::Identity,
}

impl Recovery {
    fn new() -> Self {
        let (dir, key) = (tempfile::tempdir().unwrap(), age::x25519::Identity::generate());
        let text = format!("# created: now\n{}\n", key.to_string().expose_secret());
        fs::write(dir.path().join("recovery.txt"), text).unwrap();
        Self { dir, recipient: key.to_public().to_string(), key }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("recovery.txt")
    }

    fn settings(&self) -> Settings {
        Settings { recovery: vec![self.recipient.clone()], log_level: "info", ..Settings::with_policy(POLICY) }
    }

    /// What is in it, by age and tar alone.
    fn unpack(&self, backup: &Path) -> Vec<(String, Vec<u8>)> {
        let plain = age::decrypt(&self.key, &fs::read(backup).unwrap()).unwrap();
        let mut archive = tar::Archive::new(&plain[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut octets = Vec::new();
            entry.read_to_end(&mut octets).unwrap();
            (name, octets)
        });
        entries.collect()
    }

    /// Sealed as a backup is.
    fn pack(&self, to: &Path, files: &[(String, Vec<u8>)]) {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, octets) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(octets.len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, &octets[..]).unwrap();
        }
        fs::write(to, age::encrypt(&self.key.to_public(), &tar.into_inner().unwrap()).unwrap()).unwrap();
    }
}

/// A backup, and what its maker keeps elsewhere.
struct Backup {
    file: PathBuf,
    key: String,
}

impl Backup {
    fn of(house: &House, name: &str) -> Self {
        let file = house.dir.path().join(name);
        let (code, made, said) = told(&house.output(&["--json", "backup", "create", file.to_str().unwrap()]));
        assert_eq!(code, 0, "{said}\n{}", house.log());
        assert_eq!(made["octets"], json!(fs::metadata(&file).unwrap().len()));
        Self { file, key: made["key"].as_str().unwrap().into() }
    }

    fn verify(&self, by: &House, recovery: &Recovery, more: &[&str]) -> (i32, Value, String) {
        told(&by.output(&[&self.arguments("verify", recovery)[..], more].concat()))
    }

    fn restore(&self, to: &House, recovery: &Recovery, more: &[&str]) -> (i32, Value, String) {
        told(&to.output(&[&self.arguments("restore", recovery)[..], more].concat()))
    }

    fn arguments<'a>(&'a self, verb: &'a str, recovery: &Recovery) -> Vec<&'a str> {
        let identity = recovery.file().to_str().unwrap().to_owned().leak();
        let file = self.file.to_str().unwrap();
        vec!["--json", "backup", verb, file, "--identity", identity, "--public-key", &self.key]
    }
}

/// Exit code, stdout as JSON, stderr.
fn told(output: &Output) -> (i32, Value, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked") && !said.contains("AGE-SECRET"), "{said}");
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// Another machine with another token, for the same backend.
fn elsewhere(first: &House, recovery: &Recovery) -> House {
    let house = House::empty(recovery.settings());
    let text = fs::read_to_string(house.config()).unwrap();
    fs::write(house.config(), text.replace(&house.simulator.url(), &first.simulator.url())).unwrap();
    house
}

fn status(house: &House) -> Value {
    told(&house.output(&["--json", "status"])).1
}

/// Something that the agent of the backend approves.
fn approved(backend: &House, agent: &House) {
    let id = backend.order(json!({"kind": "transfer"})).remove(0);
    until("it is approved", || backend.action(&id)["status"] == "approved", || agent.log());
}
