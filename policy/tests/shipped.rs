//! The policy and the cases that are shipped: each comes out as it says, and for the reason that it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use policy::cases::{Outcome, Source, Suite};
use policy::{Policy, Verdict};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies")
}

/// The files of cases, with their texts.
fn files() -> Vec<(String, String)> {
    let entries = fs::read_dir(shipped().join("cases")).unwrap();
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn run(name: &str, text: &str) -> Vec<Outcome> {
    let suite = Suite::parse(text).unwrap_or_else(|why| panic!("{name}:{why}"));
    let policy = match suite.source() {
        Source::Text(text) => text.to_owned(),
        Source::File(file) => fs::read_to_string(shipped().join("cases").join(file)).unwrap(),
    };
    suite.run(&policy).unwrap_or_else(|why| panic!("{name}:{why}"))
}

#[test]
fn every_case_comes_out_as_it_says() {
    let mut wrong = Vec::new();
    for (name, text) in files() {
        for outcome in run(&name, &text) {
            for mismatch in outcome.mismatches {
                let (what, expected, came) = (mismatch.what, mismatch.expected, mismatch.came);
                wrong.push(format!("{name}:{}: {:?}: {what}: {expected} / {came}", outcome.line, outcome.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_a_hundred_of_which_most_are_refused() {
    let verdicts: Vec<Verdict> =
        files().iter().flat_map(|(name, text)| run(name, text)).map(|outcome| outcome.verdict).collect();
    let refused = verdicts.iter().filter(|verdict| **verdict != Verdict::Approve).count();
    let denied = verdicts.iter().filter(|verdict| **verdict == Verdict::Deny).count();
    println!(
        "{} cases: {} approved, {} held, {denied} denied",
        verdicts.len(),
        verdicts.len() - refused,
        refused - denied
    );
    assert!(verdicts.len() >= 100 && refused * 2 > verdicts.len() && denied > 0, "{} of {}", refused, verdicts.len());
}

/// An approval names its rule; whatever else comes says why, or which condition failed.
#[test]
fn no_case_is_without_its_explanation() {
    for (name, text) in files() {
        let file: toml::Table = text.parse().unwrap();
        for case in file["case"].as_array().unwrap() {
            let expect = case["expect"].as_table().unwrap();
            let says = |key: &str| match expect.get(key) {
                Some(toml::Value::String(words)) => !words.is_empty(),
                Some(toml::Value::Table(of_rules)) => {
                    !of_rules.is_empty() && of_rules.values().all(|words| words.as_str().is_some_and(|w| !w.is_empty()))
                }
                _ => false,
            };
            let explained = match expect["verdict"].as_str().unwrap() {
                "approve" => says("rule"),
                _ => says("why") || says("failed"),
            };
            assert!(explained, "{name}: {} is not explained", case["name"]);
        }
    }
}

#[test]
fn the_treasury_has_nothing_to_warn_of() {
    let policy = Policy::parse(&fs::read_to_string(shipped().join("treasury.toml")).unwrap()).unwrap();
    assert_eq!(policy.warnings(), []);
}

/// Each of its rules decides some case, and each of its windows is full in one.
#[test]
fn nothing_in_the_treasury_is_without_a_case() {
    let text = fs::read_to_string(shipped().join("treasury.toml")).unwrap();
    let treasury: toml::Table = text.parse().unwrap();
    let names = |table: &str| -> Vec<String> {
        treasury[table].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let outcomes: Vec<Outcome> = files()
        .iter()
        .filter(|(name, _)| name.starts_with("treasury-"))
        .flat_map(|(name, text)| run(name, text))
        .collect();
    for rule in names("rule") {
        let decides = |outcome: &Outcome| outcome.rule.as_ref() == Some(&rule) && outcome.why.contains("by rule");
        assert!(outcomes.iter().any(decides), "no case for rule {rule:?}");
    }
    for window in names("window") {
        let full = format!("window \"{window}\"");
        assert!(outcomes.iter().any(|outcome| outcome.why.contains(&full)), "no case for window {window:?}");
    }
}
