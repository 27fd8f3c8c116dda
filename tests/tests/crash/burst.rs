//! Ten thousand at once, before a backend that fails now and then.

use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const MOST: u64 = 120 << 10;

/// The peak of a process's memory, KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn burst(count: u64, bin: Option<&str>) -> u64 {
    let bin = bin.map(|bin| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(bin));
    let house = House::registered(Settings { bin, log_level: "warn", ..Settings::with_policy(APPROVE_ALL) });
    let rooms = house.rooms();
    let mut seed = 0;
    for endpoint in ["get", "put"] {
        for fault in [
            json!({"status": 500}),
            json!({"drop": true}),
            json!({"dropAfter": true}),
            json!({"status": 429, "retryAfter": 1}),
            json!({"delayMs": 300}),
        ] {
            seed += 1;
            let order = json!({"endpoint": endpoint, "fault": fault, "rate": 0.01, "seed": seed});
            house.control("POST", "/faults", Some(order));
        }
    }
    let begun = Instant::now();
    house.order(json!({"count": count}));
    for step in 1..=count / 100 {
        house.wait(&format!("settled={}", step * 100));
    }
    let took = begun.elapsed();
    let stats = house.stats();
    assert_eq!((&stats["approved"], &stats["refusalsTotal"]), (&json!(count), &json!(0)), "{stats}");
    assert_eq!(house.rooms(), rooms, "no room was started anew");
    let peaks: Vec<(String, u64)> = rooms.into_iter().map(|(name, pid)| (name, peak(pid))).collect();
    let sum = peaks.iter().map(|(_, peak)| peak).sum();
    println!(
        "{count} actions, {} faults, all settled in {took:.1?}: {:.0} a second; peak memory {sum} KiB: {peaks:?}",
        stats["faultsFired"],
        count as f64 / took.as_secs_f64()
    );
    house.assert_no_panic();
    sum
}

#[test]
fn a_burst_with_faults_settles_to_the_last() {
    burst(1000, None);
}

#[test]
#[ignore = "measures the release build: make test-long"]
fn ten_thousand_at_once_with_faults_settle_within_120_mib() {
    let sum = burst(10_000, Some("release"));
    assert!(sum < MOST, "{sum} KiB");
}

#[test]
#[ignore = "takes two minutes: make test-long"]
fn more_than_may_wait_in_memory_waits_in_the_ledger_and_nothing_of_it_is_lost() {
    let house = House::registered(Settings {
        log_level: "info",
        environment: vec![("SIGNING_AGENT_TEST_SPEED", "20".into())],
        ..Settings::default()
    });
    // Half a minute, as the agent's waits go by here.
    house.fault("get", json!({"status": 429, "retryAfter": 600}), 2);
    let begun = Instant::now();
    house.order(json!({"count": 2}));
    house.wait("faultsFired=2");
    house.order(json!({"count": 24_998, "expiresIn": 3600}));
    house.logged(&["20000 actions wait: what comes now waits in the ledger"]);
    let held = || {
        let status = house.output(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        status["actions"]["held"] == json!(25_000)
    };
    let end = Instant::now() + Duration::from_secs(300);
    while !held() {
        assert!(Instant::now() < end, "{}", house.output(&["status"]).stdout.escape_ascii());
        thread::sleep(Duration::from_millis(100));
    }
    assert!(house.log().contains("what waited in the ledger is taken up"), "{}", house.log());
    let gets = house.stats()["gets"].as_u64().unwrap();
    println!(
        "25,000 actions before a backend that had too much: all judged in {:.1?}, by {gets} requests",
        begun.elapsed()
    );
    assert!(gets < 26_000, "{gets}: few are asked for twice");
    house.assert_no_panic();
}
