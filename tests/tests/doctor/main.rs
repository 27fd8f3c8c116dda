//! `signing-agent doctor`: each planted fault is found by the name of its check, with what to do about it; a healthy house has none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod down;
mod looks;
mod machine;
mod running;
mod tls;

use serde_json::Value;
use signing_agent_tests::{House, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What doctor said.
struct Report {
    code: i32,
    by: String,
    findings: Vec<Value>,
    all: String,
}

fn doctor(house: &House) -> Report {
    let output = house.output(&["doctor", "--json"]);
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {all}"));
    assert!(!all.contains("panicked"), "{all}");
    Report {
        code: output.status.code().unwrap_or(-1),
        by: said["by"].as_str().unwrap().to_owned(),
        findings: said["findings"].as_array().unwrap().clone(),
        all,
    }
}

impl Report {
    /// The names of the checks that found this.
    fn of(&self, health: &str) -> Vec<&str> {
        let of = self.findings.iter().filter(|found| found["health"] == health);
        of.map(|found| found["check"].as_str().unwrap()).collect()
    }

    /// Whether this check found it, and said these words with this remedy.
    fn has(&self, wanted: &Wanted) -> bool {
        let says = |found: &Value, key: &str, words: &str| found[key].as_str().unwrap().contains(words);
        self.findings.iter().any(|found| {
            found["check"] == wanted.check
                && found["health"] == wanted.health
                && says(found, "words", wanted.words)
                && says(found, "remedy", wanted.remedy)
        })
    }
}

/// What a planted fault must be found as.
struct Wanted {
    check: &'static str,
    health: &'static str,
    words: &'static str,
    remedy: &'static str,
}

const fn fault(check: &'static str, words: &'static str, remedy: &'static str) -> Wanted {
    Wanted { check, health: "fault", words, remedy }
}

const fn warning(check: &'static str, words: &'static str, remedy: &'static str) -> Wanted {
    Wanted { check, health: "warning", words, remedy }
}

/// Waits until it is found, and the exit code says so too.
fn finds(house: &House, wanted: &Wanted) {
    let what = format!("{} is found: {} / {}", wanted.check, wanted.words, wanted.remedy);
    let last = std::cell::RefCell::new(None);
    until(
        &what,
        || {
            let report = doctor(house);
            let found = report.has(wanted);
            last.replace(Some(report));
            found
        },
        || format!("{}\n{}", doctor(house).all, house.log()),
    );
    let report: Report = last.take().unwrap();
    if wanted.health == "fault" {
        assert_eq!(report.code, 1, "{}", report.all);
    }
}

/// Waits until this check is content.
fn is_content(house: &House, check: &str) {
    let content = || !doctor(house).findings.iter().any(|found| found["check"] == check && found["health"] == "fault");
    until(&format!("{check} is content"), content, || doctor(house).all);
}

/// A fault: how it is planted, what it is found as, and how it is taken back.
type Fault = (&'static str, fn(&House), Wanted, fn(&House));

/// Plants each in the house, one at a time.
fn find_each(house: &House, faults: &[Fault]) {
    for (name, plant, wanted, heal) in faults {
        eprintln!("{name}");
        plant(house);
        finds(house, wanted);
        heal(house);
        is_content(house, wanted.check);
    }
    eprintln!("{} faults, each found by its check", faults.len());
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Puts a file into the house's directory.
fn put(house: &House, name: &str, text: &str) {
    let path = house.dir.path().join(name);
    fs::write(&path, text).unwrap();
    chmod(&path, 0o600);
}

/// Puts another file in its place, and keeps the old one.
fn put_aside(path: &Path, octets: &[u8]) {
    fs::rename(path, path.with_extension("aside")).unwrap();
    fs::write(path, octets).unwrap();
    chmod(path, 0o600);
}

fn put_back(path: &Path) {
    fs::rename(path.with_extension("aside"), path).unwrap();
}

/// Changes the configuration, and keeps the old one.
fn configure(house: &House, from: &str, to: &str) {
    let text = fs::read_to_string(house.config()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    put_aside(&house.config(), text.replace(from, to).as_bytes());
}

fn configure_back(house: &House) {
    put_back(&house.config());
}
