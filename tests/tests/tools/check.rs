//! `policy check` and `policy test`: no vault, no configuration.

use crate::{HOLD, texts};
use serde_json::Value;
use signing_agent_tests::{APPROVE_ALL, binary};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn agent(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("signing-agent")).arg("policy").args(arguments).current_dir(dir).output().unwrap()
}

#[test]
fn check_says_what_a_policy_is_or_where_it_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("good.toml", &format!("serial = 7\nrelease = \"client\"\n{HOLD}"));
    put("bad.toml", "[[rule]]\nname = \"a\"\nverdict = \"hold\"\nmax_ammount_per_action = \"1 ETH\"\n");
    put("warned.toml", &format!("release = \"client\"\n{APPROVE_ALL}"));
    let (code, out, err) = texts(&agent(dir.path(), &["check", "good.toml", "--strict"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let row = |name: &str| {
        out.lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .unwrap_or_else(|| panic!("{name}: {out}"))
            .trim()
            .to_owned()
    };
    assert_eq!(
        (row("rules"), row("serial"), row("warnings"), row("SHA-256").len()),
        ("1".into(), "7".into(), "0".into(), 64)
    );
    let (code, out, err) = texts(&agent(dir.path(), &["check", "bad.toml"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("bad.toml:4:1: unknown key \"max_ammount_per_action\""), "{err}");
    let (code, out, err) = texts(&agent(dir.path(), &["check", "warned.toml"]));
    assert!(
        code == Some(0)
            && err.starts_with("warned.toml:3: warning: rule \"everything\"")
            && out.contains("warnings  1"),
        "{out}{err}"
    );
    assert_eq!(texts(&agent(dir.path(), &["check", "warned.toml", "--strict"])).0, Some(1));
    let (code, _, err) = texts(&agent(dir.path(), &["check", "none.toml"]));
    assert!(code == Some(1) && err.contains("none.toml"), "{err}");
    assert_eq!(texts(&agent(dir.path(), &["check"])).0, Some(2));
}

const CASES: &str = r#"
policy = "policies/p.toml"
[[case]]
name = "held"
facts = { transfers = [{ to = "07", amount = 5 }] }
expect = { verdict = "hold", rule = "people" }
"#;

#[test]
fn cases_that_come_out_as_expected_are_counted_and_others_are_told_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("policies/p.toml", HOLD);
    put("a.toml", CASES);
    put("notes.txt", "no cases");
    let (code, out, err) = texts(&agent(dir.path(), &["test", "."]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "1 cases in 1 files: 1 as expected, 0 not\n", ""));
    put("b.toml", &CASES.replace("verdict = \"hold\"", "verdict = \"approve\", why = \"window\""));
    let (code, out, _) = texts(&agent(dir.path(), &["test", "."]));
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("./b.toml:4: \"held\": verdict: expected approve, came hold (held by rule \"people\""),
        "{out}"
    );
    assert!(lines[1].starts_with("./b.toml:4: \"held\": why: expected …window…, came held"), "{out}");
    assert_eq!(lines[2], "2 cases in 2 files: 1 as expected, 1 not");
    let (code, out, _) = texts(&agent(dir.path(), &["test", "b.toml", "--json"]));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &told["wrong"], told["files"][0]["cases"][0]["mismatches"].as_array().unwrap().len()),
        (Some(1), &Value::from(1), 2)
    );
}

#[test]
fn a_file_that_cannot_be_run_is_a_failure_and_a_policy_beside_its_cases_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("p.toml", HOLD);
    put("a.toml", &CASES.replace("policies/", ""));
    assert_eq!(texts(&agent(dir.path(), &["test", "."])).0, Some(0));
    let faults = [
        ("polcy = \"p.toml\"", "./z.toml:1:1: unknown key \"polcy\""),
        ("policy = \"no.toml\"\n[[case]]\nname = \"a\"\nfacts = {}\nexpect = { verdict = \"hold\" }", "no.toml"),
        (
            "policy_text = \"rul = 1\"\n[[case]]\nname = \"a\"\nfacts = {}\nexpect = { verdict = \"hold\" }",
            "./z.toml: policy_text:1:1: unknown key",
        ),
    ];
    for (text, words) in faults {
        put("z.toml", text);
        let (code, out, _) = texts(&agent(dir.path(), &["test", "."]));
        assert!(code == Some(1) && out.contains(words) && out.contains("1 files could not be run"), "{out}");
    }
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = texts(&agent(empty.path(), &["test", "."]));
    assert!(code == Some(1) && err.contains("there is no case"), "{err}");
}

#[test]
fn the_policies_that_are_shipped_are_taken_and_their_cases_come_out_as_expected() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies");
    let (code, out, err) = texts(&agent(&shipped, &["test", "cases"]));
    assert!(code == Some(0) && out.ends_with("as expected, 0 not\n"), "{out}{err}");
    assert!(out.split(' ').next().unwrap().parse::<u32>().unwrap() >= 100, "{out}");
    let (code, out, err) = texts(&agent(&shipped, &["check", "treasury.toml", "--strict"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
}
