//! Enters: nothing.
//! Leaves: nothing; the measurements are in `benches/`, and `make bench` runs them.
//! Never: part of the daemon.
#![allow(clippy::unwrap_used, reason = "a bench's own tools fail loudly")]

use signing_agent_tests::House;
use std::time::Duration;

/// What the three rooms have used so far, user and system (proc(5), stat fields 14 and 15, in hundredths of a second).
pub fn cpu(house: &House) -> Duration {
    let ticks = |pid: u32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    Duration::from_millis(house.rooms().iter().map(|(_, pid)| ticks(*pid) * 10).sum())
}
