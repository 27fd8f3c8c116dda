//! Two thousand at once.

use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::time::Instant;

#[test]
#[allow(clippy::print_stdout, reason = "how long it took is worth knowing")]
fn a_burst_of_two_thousand_events_is_approved_each_exactly_once() {
    let house = House::registered(Settings::with_policy(APPROVE_ALL));
    let begun = Instant::now();
    let ids = house.order(json!({"count": 2000}));
    // In steps, so that what is waited for stays an advance and not a time.
    for step in 1..=20 {
        house.wait(&format!("settled={}", step * 100));
    }
    let took = begun.elapsed();
    println!("2000 approvals in {took:.2?}: {:.0} a second", 2000.0 / took.as_secs_f64());
    let all = house.control("GET", "/actions?brief=true", None);
    let all = all["actions"].as_array().unwrap();
    assert_eq!(all.len(), ids.len());
    for action in all {
        assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(1)), "{action}");
        assert_eq!(action["gets"], 1, "{action}");
    }
    let stats = house.stats();
    assert_eq!((&stats["puts"], &stats["repeatedPuts"]), (&json!(2000), &json!(0)), "{stats}");
    assert_eq!((&stats["refusalsTotal"], &stats["feedConnections"]), (&json!(0), &json!(1)), "{stats}");
    house.assert_no_panic();
}
