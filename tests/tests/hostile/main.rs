//! A backend and a feed that do what they like, or are not there: what policy approved is settled once they behave, nothing
//! else is signed, and no room falls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod mischief;
mod outage;
mod random;
mod single;
mod storm;

use serde_json::Value;
use signing_agent_tests::House;

/// The seam's variable (`config::seams`).
const SPEED: &str = "SIGNING_AGENT_TEST_SPEED";

/// Transfers are approved, withdrawals denied, what is no asset waits for the partner app.
const POLICY: &str = "[[rule]]\nname = \"transfers\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n\
                      \n[[rule]]\nname = \"withdrawals\"\nverdict = \"deny\"\nkinds = [\"wallet\"]\naction_types = [\"ApproveWithdraw\"]\n";

/// The rooms' names and process ids, in one order.
fn rooms(house: &House) -> Vec<(String, u32)> {
    let mut rooms = house.rooms();
    rooms.sort();
    rooms
}

fn health(house: &House) -> Value {
    house.ask("GET", "/api/v1/healthcheck/status", "").json()
}

fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// The peaks of the rooms' memory, KiB.
fn peaks(rooms: &[(String, u32)]) -> Vec<(String, u64)> {
    let peak = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    rooms.iter().map(|(name, pid)| (name.clone(), peak(*pid))).collect()
}
