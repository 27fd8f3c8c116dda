//! A shadow says what it would do, and does nothing.

use crate::{DENY, status, texts};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};

fn house(shadow: Option<&str>) -> House {
    let settings = Settings::with_policy(APPROVE_ALL);
    let house = House::empty(settings);
    if let Some(text) = shadow {
        std::fs::write(house.dir.path().join("next.toml"), text).unwrap();
    }
    let config = std::fs::read_to_string(house.config()).unwrap();
    std::fs::write(
        house.config(),
        config.replace("file = \"policy.toml\"\n", "file = \"policy.toml\"\nshadow = \"next.toml\"\n"),
    )
    .unwrap();
    house
}

fn registered(mut house: House) -> House {
    assert_eq!(texts(&house.output(&["init"])).0, Some(0));
    house.run();
    assert_eq!(house.register("test-agent").status, 200);
    house.wait("feeds=1");
    house
}

#[test]
fn a_shadow_changes_nothing_and_its_differences_are_logged_counted_and_shown() {
    let house = registered(house(Some(DENY)));
    let approved = house.order(json!({"count": 5}));
    house.wait("approved=5");
    let shadow = || status(&house)["shadow"].clone();
    until("it has judged them", || shadow()["judged"] == 5, || shadow().to_string());
    let said = shadow();
    assert_eq!((&said["differing"], &said["skipped"]), (&json!(5), &json!(0)), "{said}");
    for id in &approved {
        house.logged(&[
            "the shadow differs",
            id,
            "the policy says approve (rule \"everything\"); the shadow deny (rule \"nothing\")",
        ]);
        assert!(said["last"].to_string().contains(id.as_str()), "{said}");
        assert_eq!(house.action(id)["status"], "approved");
    }
    let (_, screen, _) = texts(&house.output(&["status"]));
    assert!(screen.contains("5 judged, 5 of them otherwise"), "{screen}");
    // One that agrees; and the count begins anew with it.
    std::fs::write(house.dir.path().join("next.toml"), APPROVE_ALL).unwrap();
    assert_eq!(texts(&house.output(&["policy", "reload"])).0, Some(0));
    house.order(json!({"count": 2}));
    house.wait("approved=7");
    until("it has judged them", || shadow()["judged"] == 2, || shadow().to_string());
    assert_eq!(shadow()["differing"], 0);
    house.assert_no_panic();
}

#[test]
fn a_faulty_shadow_is_a_warning_and_no_end() {
    for shadow in [None, Some("nonsense")] {
        let house = registered(house(shadow));
        house.order(json!({}));
        house.wait("approved=1");
        house.logged(&["WARN", "there is no shadow", "next.toml"]);
        let said = status(&house)["shadow"].clone();
        assert!(said["policy"].as_str().unwrap().contains("next.toml") && said["judged"] == 0, "{said}");
        let (code, _, err) = texts(&house.output(&["policy", "reload"]));
        assert!(code == Some(0) && err.contains("warning: ") && err.contains("next.toml"), "{err}");
        // Once it is good it is there.
        std::fs::write(house.dir.path().join("next.toml"), DENY).unwrap();
        assert!(!texts(&house.output(&["policy", "reload"])).2.contains("next.toml"));
        house.order(json!({}));
        house.wait("approved=2");
        until("it has judged it", || status(&house)["shadow"]["differing"] == 1, || house.log());
        house.assert_no_panic();
    }
}
