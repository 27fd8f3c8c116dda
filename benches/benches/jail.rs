//! What the jail costs: approvals through two whole agents that differ in nothing but their jails, burst by burst in turn.
//! Only a build with debug assertions can do without one: `make bench-jail` makes such a build, optimised as a release is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use serde_json::json;
use signing_agent_benches::cpu;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::time::{Duration, Instant};

const BURST: u32 = 500;
const ROUNDS: u32 = 15;

struct Agent {
    house: House,
    settled: u32,
    /// Of each burst, the time that passed and the CPU time of the three rooms.
    bursts: Vec<(Duration, Duration)>,
}

impl Agent {
    fn new(jailed: bool) -> Self {
        let mut settings = Settings::with_policy(APPROVE_ALL);
        settings.log_level = "warn";
        if !jailed {
            settings.environment = vec![("SIGNING_AGENT_TEST_NO_JAIL", "1".into())];
        }
        let house = House::registered(settings);
        for (room, pid) in house.rooms() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            assert_eq!(
                status.contains("Seccomp:\t2"),
                jailed,
                "{room}: is this a build with debug assertions?\n{status}"
            );
        }
        Self { house, settled: 0, bursts: Vec::new() }
    }

    fn burst(&mut self) {
        let (start, before) = (Instant::now(), cpu(&self.house));
        self.house.order(json!({"kind": "transfer", "count": BURST}));
        self.settled += BURST;
        self.house.wait(&format!("settled={}", self.settled));
        self.bursts.push((start.elapsed(), cpu(&self.house) - before));
    }

    /// Approvals a second, and milliseconds of CPU an approval: the medians of the bursts.
    fn figures(&self) -> (f64, f64) {
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64()
        };
        let (passed, spent) = self.bursts.iter().copied().unzip();
        (f64::from(BURST) / median(passed), median(spent) * 1e3 / f64::from(BURST))
    }
}

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let (mut without, mut with) = (Agent::new(false), Agent::new(true));
    // The first burst warms both.
    without.burst();
    with.burst();
    without.bursts.clear();
    with.bursts.clear();
    for _ in 0..rounds {
        without.burst();
        with.burst();
    }
    let ((rate, cpu), (jailed_rate, jailed_cpu)) = (without.figures(), with.figures());
    println!("without the jail: {rate:.0} approvals/s, {cpu:.2} ms of CPU an approval");
    println!("with the jail:    {jailed_rate:.0} approvals/s, {jailed_cpu:.2} ms of CPU an approval");
    println!("ratio: {:.3} of the approvals, {:.3} of the CPU time", jailed_rate / rate, jailed_cpu / cpu);
}
