//! Another policy comes into force whole, or not at all.

use crate::{DENY, HOLD, of_kind, records, status, texts};
use rustix::process::Signal;
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, signal, until};

fn hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(text))
}

#[test]
fn a_policy_that_is_not_taken_leaves_the_one_before_in_force_and_everybody_is_told() {
    let house = House::registered(Settings::with_policy(HOLD));
    let held = house.order(json!({})).remove(0);
    house.logged(&["held: ", &held]);
    let broken = [
        ("[[rule]]\nname = \"a\"\nverdict = \"aprove\"\n", "policy.toml:3:11: "),
        (
            "[[rule]]\nname = \"a\"\nverdict = \"approve\"\nmax_amuont = 1\n",
            "policy.toml:4:1: unknown key \"max_amuont\"",
        ),
        ("[[rule]\n", "policy.toml:1:"),
        (&"#".repeat((16 << 20) + 1), "larger than 16 MiB"),
    ];
    for (text, words) in broken {
        house.put_policy(text);
        let (code, out, err) = texts(&house.output(&["policy", "reload"]));
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(words), "{err}");
        let status = status(&house);
        assert!(status["policy"].as_str().unwrap().contains(&hash(HOLD)), "{status}");
        assert!(status["alarms"].to_string().contains(words.split('"').next().unwrap()), "{status}");
    }
    std::fs::remove_file(house.dir.path().join("policy.toml")).unwrap();
    let (code, _, err) = texts(&house.output(&["policy", "reload"]));
    assert!(code == Some(1) && err.contains("[policy] file"), "{err}");
    // Still the old one.
    let another = house.order(json!({})).remove(0);
    house.logged(&["held: ", &another]);
    assert_eq!(house.action(&held)["status"], "pending");
    let records = records(&house);
    assert_eq!(of_kind(&records, "policy").len(), 1, "that of the start");
    let alarms = of_kind(&records, "alarm");
    assert!(alarms.iter().any(|alarm| alarm["words"].as_str().unwrap().contains("policy.toml:3:11")), "{alarms:?}");
    house.assert_no_panic();
}

#[test]
fn another_policy_judges_what_comes_and_what_is_held_and_is_on_record() {
    let house = House::registered(Settings::with_policy(HOLD));
    let mut held = house.order(json!({"count": 70}));
    until("all are held", || status(&house)["actions"]["held"] == 70, || house.log());
    house.put_policy(APPROVE_ALL);
    let (code, out, err) = texts(&house.output(&["policy", "reload"]));
    assert!(code == Some(0) && out.contains(&hash(APPROVE_ALL)) && out.contains(&hash(HOLD)), "{out}{err}");
    assert!(err.contains("policy.toml:2: rule \"everything\": it approves without any limit"), "warned of: {err}");
    house.wait("approved=70");
    held.extend(house.order(json!({})));
    house.wait("approved=71");
    for id in &held {
        assert_eq!((&house.action(id)["status"], &house.action(id)["approvals"]), (&json!("approved"), &json!(1)));
    }
    let records = records(&house);
    let policies = of_kind(&records, "policy");
    let told: Vec<_> = policies.iter().map(|p| (p["old"].clone(), p["new"].clone(), p["by"].clone())).collect();
    assert_eq!(told[0], (Value::Null, json!(hash(HOLD)), json!("start")));
    assert_eq!((&told[1].0, &told[1].1), (&json!(hash(HOLD)), &json!(hash(APPROVE_ALL))));
    assert!(told[1].2.as_str().unwrap().starts_with("operator") && told.len() == 2, "{told:?}");
    assert!(policies[1]["file"].as_str().unwrap().ends_with("policy.toml"));
    house.assert_no_panic();
}

#[test]
fn sighup_to_the_agent_has_the_vault_read_its_policy_again() {
    let house = House::registered(Settings::with_policy(HOLD));
    let held = house.order(json!({})).remove(0);
    house.logged(&["held: ", &held]);
    house.put_policy(DENY);
    signal(house.pid(), Signal::HUP);
    house.wait("rejected=1");
    assert_eq!(house.action(&held)["status"], "rejected");
    // To the vault itself, as systemd would.
    let (_, vault) = house.rooms().into_iter().find(|(name, _)| name == "vault").unwrap();
    house.put_policy("nonsense");
    signal(vault, Signal::HUP);
    house.logged(&["ALARM", "policy.toml:1:"]);
    house.put_policy(APPROVE_ALL);
    signal(vault, Signal::HUP);
    until("it is in force", || status(&house)["policy"].to_string().contains(&hash(APPROVE_ALL)), || house.log());
    house.order(json!({}));
    house.wait("approved=1");
    assert_eq!(house.rooms().into_iter().find(|(name, _)| name == "vault").unwrap().1, vault, "the same process");
    house.assert_no_panic();
}

#[test]
fn what_one_life_held_is_judged_by_the_policy_of_the_next() {
    let mut house = House::registered(Settings::with_policy(HOLD));
    let held = house.order(json!({"count": 3}));
    until("all are held", || status(&house)["actions"]["held"] == 3, || house.log());
    assert!(house.stop().success());
    house.put_policy(APPROVE_ALL);
    house.run();
    house.wait("approved=3");
    assert!(held.iter().all(|id| house.action(id)["approvals"] == 1));
    let policies = of_kind(&records(&house), "policy");
    assert_eq!(
        (policies.len(), &policies[1]["new"], &policies[1]["by"]),
        (2, &json!(hash(APPROVE_ALL)), &json!("start"))
    );
    house.assert_no_panic();
}

#[test]
fn an_agent_without_a_policy_file_has_none_to_read_again() {
    let house = House::start(Settings::default());
    let (code, _, err) = texts(&house.output(&["policy", "reload"]));
    assert!(code == Some(1) && err.contains("names no [policy] file"), "{err}");
    assert_eq!(status(&house)["alarms"], json!([]));
}

#[test]
fn policies_are_found_again_wherever_they_lie_also_when_they_were_replaced() {
    let elsewhere = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = elsewhere.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        path.display().to_string()
    };
    let (now, next) = (put("now/policy.toml", HOLD), put("next/policy.toml", DENY));
    let mut house = House::empty(Settings::with_policy(HOLD));
    let config = std::fs::read_to_string(house.config()).unwrap();
    let named = format!("file = \"{now}\"\nshadow = \"{next}\"");
    std::fs::write(house.config(), config.replace("file = \"policy.toml\"", &named)).unwrap();
    assert_eq!(texts(&house.output(&["init"])).0, Some(0));
    house.run();
    put("now/policy.toml", APPROVE_ALL);
    put("next/policy.toml", HOLD);
    let (code, out, err) = texts(&house.output(&["policy", "reload"]));
    assert!(code == Some(0) && out.contains(&hash(APPROVE_ALL)) && !err.contains("shadow"), "{out}{err}");
    let status = status(&house);
    assert!(status["shadow"]["policy"].to_string().contains(&hash(HOLD)), "{status}");
    house.assert_no_panic();
}

#[test]
fn a_policy_that_wants_people_whom_the_deed_does_not_name_is_not_taken_and_another_ends_the_trouble() {
    let strangers = format!("{HOLD}release = {{ approvers = 1, of = [\"alice\"] }}\n");
    let mut house = House::registered(Settings::with_policy(HOLD));
    house.put_policy(&strangers);
    let (code, _, err) = texts(&house.output(&["policy", "reload"]));
    assert!(code == Some(1) && err.contains("approvers whom the deed does not name: alice"), "{err}");
    assert!(status(&house)["policy"].as_str().unwrap().contains(&hash(HOLD)));
    house.stop();
    house.run_unready();
    let trouble = || status(&house)["trouble"].to_string();
    until("the vault says why", || trouble().contains("does not name: alice"), trouble);
    house.put_policy(APPROVE_ALL);
    assert_eq!(texts(&house.output(&["policy", "reload"])).0, Some(0));
    until("it works again", || status(&house)["trouble"] == Value::Null, || house.log());
    house.order(json!({}));
    house.wait("approved=1");
    house.assert_no_panic();
}
