//! Policies that are replaced under load: nothing is decided by one that is not in force any more.

use crate::{records, texts};
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings};
use std::collections::HashMap;

const ACTIONS: usize = 400;
const RELOADS: usize = 40;

/// Approves everything by a rule of this name.
fn policy(name: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nverdict = \"approve\"\nunlimited = true\n")
}

#[test]
fn under_load_each_decision_is_of_the_policy_that_was_in_force_when_it_was_recorded() {
    let settings = Settings { log_level: "info", ..Settings::with_policy(&policy("p0")) };
    let house = House::registered(settings);
    std::thread::scope(|scope| {
        let (house, reloads) = (&house, scope.spawn(|| replace_again_and_again(&house)));
        for _ in 0..ACTIONS / 20 {
            house.order(json!({"count": 20}));
        }
        reloads.join().unwrap();
    });
    house.wait(&format!("approved={ACTIONS}"));
    let (mut in_force, mut rules, mut decided) = (Value::Null, HashMap::new(), HashMap::<String, usize>::new());
    for record in records(&house) {
        match record["kind"].as_str().unwrap() {
            "policy" => {
                assert_eq!(record["old"], in_force, "{record}");
                in_force = record["new"].clone();
            }
            "decision" => {
                assert_eq!(record["policy"], in_force, "decided by a policy that is not in force: {record}");
                let rule = rules.entry(in_force.to_string()).or_insert_with(|| record["rule"].clone());
                assert_eq!(*rule, record["rule"], "by a rule of another policy: {record}");
                *decided.entry(record["action"].to_string()).or_default() += 1;
            }
            _ => {}
        }
    }
    assert!(decided.len() == ACTIONS && decided.values().all(|times| *times == 1), "{decided:?}");
    assert!(rules.len() > 3, "only {} policies decided anything", rules.len());
    house.assert_no_panic();
}

fn replace_again_and_again(house: &House) {
    for n in 1..=RELOADS {
        // A faulty one in between changes nothing.
        if n % 5 == 0 {
            house.put_policy("nonsense");
            assert_eq!(texts(&house.output(&["policy", "reload"])).0, Some(1));
        }
        house.put_policy(&policy(&format!("p{n}")));
        let (code, out, err) = texts(&house.output(&["policy", "reload"]));
        assert_eq!(code, Some(0), "{out}{err}");
    }
}
