//! Every vector that Milagro computed, and the checker's own honesty: it must fail what is not so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/vectors/check/mod.rs"]
mod check;

use std::fs;
use std::path::{Path, PathBuf};

use check::Tally;
use serde_json::{Value, json};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");

fn run(directory: &Path) -> (Tally, String) {
    let mut out = Vec::new();
    let tally = check::directory(directory, &mut out).unwrap();
    (tally, String::from_utf8(out).unwrap())
}

/// A directory of its own for a test, removed when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vectors-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, content: &Value) -> &Self {
        fs::write(self.0.join(file), content.to_string()).unwrap();
        self
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn vectors(file: &str) -> Value {
    serde_json::from_slice(&fs::read(Path::new(HOME).join(file)).unwrap()).unwrap()
}

#[test]
fn every_vector_passes() {
    let (tally, out) = run(Path::new(HOME));
    assert_eq!(tally, Tally { passed: 81, failed: 0 }, "{out}");
    assert!(tally.good());
    assert!(out.ends_with("\n81 passed, 0 failed\n"), "{out}");
}

#[test]
fn a_valid_case_listed_as_invalid_fails_and_the_reverse() {
    let scratch = Scratch::new("swapped");
    for (file, wrong) in [("milagro-bls.json", 50), ("milagro-mpin.json", 20)] {
        let all = vectors(file);
        scratch.write(file, &json!({ "valid": all["invalid"], "invalid": all["valid"] }));
        let (tally, out) = run(&scratch.0);
        assert_eq!(tally, Tally { passed: 0, failed: wrong }, "{out}");
        fs::remove_file(scratch.0.join(file)).unwrap();
    }
}

#[test]
fn a_valid_case_fails_when_any_octet_of_any_field_differs() {
    let scratch = Scratch::new("tampered");
    for (file, list) in
        [("milagro-bls.json", "valid"), ("milagro-bls.json", "aggregate"), ("milagro-mpin.json", "valid")]
    {
        let case = vectors(file)[list][1].clone();
        let mut tampered = Vec::new();
        for (name, value) in case.as_object().unwrap() {
            let changed = match value {
                Value::String(text) => json!(flipped(text)),
                Value::Number(number) => json!(number.as_u64().unwrap() + 1),
                Value::Array(list) => json!([flipped(list[0].as_str().unwrap()), list[1]]),
                _ => panic!("{name}"),
            };
            let mut copy = case.clone();
            copy[name] = changed;
            tampered.push(copy);
        }
        let fields = tampered.len();
        let (tally, out) = run(&scratch.write(file, &json!({ list: &tampered })).0);
        assert_eq!(tally, Tally { passed: 0, failed: fields }, "{out}");
        let (tally, out) = run(&scratch.write(file, &json!({ format!("{list}_invalid"): &tampered })).0);
        assert_eq!(tally, Tally { passed: fields, failed: 0 }, "{out}");
        fs::remove_file(scratch.0.join(file)).unwrap();
    }
}

/// The last hexadecimal digit, or last character of a text, replaced.
fn flipped(text: &str) -> String {
    let (head, last) = text.split_at(text.len() - 1);
    format!("{head}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn stores_and_request_signatures_that_do_not_recompute_fail() {
    let scratch = Scratch::new("others");
    let mut store = vectors("go-agent-store.json");
    store["cases"][0]["expect"] = store["cases"][1]["expect"].clone();
    store["cases"][1]["pin"] = json!(store["cases"][1]["pin"].as_u64().unwrap() + 1);
    let mut partner = vectors("partner-api-signature.json");
    partner["cases"][0]["body"] = json!("{}");
    partner["cases"][1]["public_key_pem"] = partner["cases"][3]["public_key_pem"].clone();
    partner["cases"][2]["pem_kind"] = json!("PKCS#1");
    partner["cases"][3]["base64_private_key"] = json!("LS0tLS1CRUdJTi");
    scratch.write("go-agent-store.json", &store).write("partner-api-signature.json", &partner);
    let (tally, out) = run(&scratch.0);
    assert_eq!(tally, Tally { passed: 0, failed: 6 }, "{out}");
    assert!(out.contains("milagro-bls.json: not there, skipped"), "{out}");
}

#[test]
fn malformed_files_are_failures_with_words() {
    let scratch = Scratch::new("malformed");
    for content in [&b""[..], b"{", b"[]", b"{}", b"\xff", b"{\"valid\":[]}", b"{\"valid\":[7]}", b"{\"valid\":[{}]}"] {
        fs::write(scratch.0.join("milagro-bls.json"), content).unwrap();
        let (tally, out) = run(&scratch.0);
        assert_eq!(tally, Tally { passed: 0, failed: 1 }, "{out}");
    }
    // An invalid case has to be refused for what it is, not for saying nothing.
    for case in [json!({}), json!({ "why": "?" }), json!({ "public_key": 5 }), json!({ "message": "00" })] {
        let (tally, out) = run(&scratch.write("milagro-bls.json", &json!({ "invalid": [case] })).0);
        assert_eq!(tally, Tally { passed: 0, failed: 1 }, "{out}");
    }
}

#[test]
fn nothing_checked_is_no_success() {
    let scratch = Scratch::new("nothing");
    let (tally, out) = run(&scratch.0);
    assert!(!tally.good());
    assert!(out.contains("nothing was checked") && out.ends_with("\n0 passed, 0 failed\n"), "{out}");
}
