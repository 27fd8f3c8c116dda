//! `policy explain`: of an action that the vault knows, and of messages that nobody has seen yet.

use crate::{DENY, HOLD, texts};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, binary};
use std::process::Command;

const RULES: &str = r#"
[[rule]]
name = "inside"
verdict = "approve"
action_types = ["ApproveTransfer"]
unlimited = true
[[rule]]
name = "outside"
verdict = "hold"
action_types = ["ApproveWithdraw"]
"#;

#[test]
fn messages_are_explained_without_a_vault_under_a_policy_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.toml"), RULES).unwrap();
    let samples: Value = serde_json::from_str(include_str!("../../vectors/qredochain-samples.json")).unwrap();
    let message = samples["withdraw_message"]["hex"].as_str().unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(binary("signing-agent"));
        command.args(["policy", "explain", "--policy", "p.toml", "--message", message]).args(more);
        texts(&command.current_dir(dir.path()).output().unwrap())
    };
    let (code, out, err) =
        run(&["--type", "ApproveWithdraw", "--at", "2026-12-02T12:00:00Z", "--expires", "1796216400"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for words in [
        "2026-12-02 12:00:00 UTC, as was asked",
        "2026-12-02 13:00:00 UTC",
        "6400 to 0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8",
        "settle-push",
        "approve \"inside\"  not met: ",
        "hold \"outside\"    met",
        "Verdict: hold: ",
        "It may be released by any client.",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    let (code, out, _) = run(&["--type", "ApproveTransfer", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &told["verdict"], &told["contradiction"], &told["release"]),
        (Some(0), &json!("deny"), &json!(true), &Value::Null)
    );
    assert_eq!(told["messages"][0]["wallet"]["moves"][0]["amount"], "6400");
    let rules: Vec<_> = told["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["name"].clone(), rule["failed"][0].is_null()))
        .collect();
    assert_eq!(rules, [(json!("inside"), false), (json!("outside"), true)]);
    for wrong in [&["--message", "xyz"][..], &["--at", "noon"], &["--expires", "soon"]] {
        assert_eq!(run(wrong).0, Some(1), "{wrong:?}");
    }
}

#[test]
fn an_action_is_explained_as_it_was_decided_and_as_it_would_be_now() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let approved = house.order(json!({"kind": "withdraw"})).remove(0);
    house.wait("approved=1");
    house.put_policy(HOLD);
    assert_eq!(texts(&house.output(&["policy", "reload"])).0, Some(0));
    let held = house.order(json!({})).remove(0);
    house.logged(&["held: ", &held]);
    let explain = |more: &[&str]| {
        let (code, out, err) = texts(&house.output(&[&["policy", "explain", "--json"], more].concat()));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{more:?}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let told = explain(&[&approved]);
    let then = &told["then"];
    assert_eq!(
        (&then["state"], &then["verdict"], &then["rule"], &then["decidedBy"]),
        (&json!("approved"), &json!("approve"), &json!("everything"), &json!("policy"))
    );
    assert_eq!((&told["verdict"], &told["rule"], &told["at"]), (&json!("hold"), &json!("people"), &then["seen"]));
    assert!(then["policy"] != told["policy"]["hash"] && then["policy"].is_string(), "{told}");
    let told = explain(&[&held]);
    assert_eq!((&told["then"]["state"], &told["then"]["policy"]), (&json!("held"), &told["policy"]["hash"]));
    // Under yet another, which is not in force.
    let other = house.dir.path().join("other.toml");
    std::fs::write(&other, DENY).unwrap();
    let told = explain(&[&held, "--policy", other.to_str().unwrap()]);
    assert_eq!((&told["verdict"], &told["rule"]), (&json!("deny"), &json!("nothing")));
    let (_, out, _) = texts(&house.output(&["policy", "explain", &approved]));
    assert!(
        out.contains("approve: approved by rule \"everything\"") && out.contains("when it was first seen"),
        "{out}"
    );
    let message = house.action(&held)["messages"][0].as_str().unwrap().to_owned();
    assert_eq!(explain(&["--message", &message, "--type", "ApproveTransfer"])["rule"], "people", "by the one in force");
    let (code, _, err) = texts(&house.output(&["policy", "explain", "nobody"]));
    assert!(code == Some(1) && err.contains("the ledger has no action nobody"), "{err}");
}

#[test]
fn the_policy_in_force_is_told_whole_however_large_it_is() {
    // More than one frame holds.
    let large = format!("{HOLD}{}\n", "# nothing in it\n".repeat(100_000));
    let house = House::registered(Settings::with_policy(&large));
    let held = house.order(json!({})).remove(0);
    house.logged(&["held: ", &held]);
    let (code, out, err) = texts(&house.output(&["policy", "explain", &held, "--json"]));
    assert_eq!(code, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["policy"]["hash"], told["then"]["policy"]);
}
