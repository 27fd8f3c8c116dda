//! Killed at every step, at any moment, in each room: nothing is lost, doubled or contradicted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod burst;
mod callback;
mod invariants;
mod registration;
mod storm;
mod windows;

use std::path::Path;
use storm::{CALLBACK_POINTS, FORGETTING_POINTS, POINTS, REGISTRATION_POINTS, Storm};

/// 40 kills with the registration's: what every change must pass.
#[test]
fn killed_at_every_step_of_an_approval_and_at_random_moments_nothing_is_lost_or_doubled() {
    let mut storm = Storm::begin();
    POINTS.iter().for_each(|point| storm.kill_at(point));
    storm.kill_at_the_start();
    storm.kill_run();
    storm.kill_each_in_turn(15);
    assert!(storm.end() + (REGISTRATION_POINTS.len() + FORGETTING_POINTS.len()) as u64 >= 40);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn five_hundred_kills() {
    let mut kills = registration::killed_at_each_point();
    for _ in 0..5 {
        let mut storm = Storm::begin();
        for _ in 0..3 {
            POINTS.iter().for_each(|point| storm.kill_at(point));
            storm.kill_at_the_start();
            storm.kill_run();
            storm.kill_each_in_turn(18);
        }
        kills += storm.end();
    }
    println!("{kills} kills in all; nothing lost, doubled or contradicted");
    assert!(kills >= 500, "{kills}");
}

#[test]
fn each_crash_point_of_the_vault_is_one_that_is_tried() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/vault/src");
    let mut placed = Vec::new();
    collect(&source, &mut placed);
    placed.sort();
    placed.dedup();
    let mut tried: Vec<String> = POINTS
        .iter()
        .chain(&REGISTRATION_POINTS)
        .chain(&FORGETTING_POINTS)
        .chain(&CALLBACK_POINTS)
        // The second by `people::survives`, the others by the tests of imports, backups and rotations.
        .chain(&["amend.sealed", "amend.deed-written", "rotate.key-made", "rotate.sealed-to-both", "rotate.named"])
        .chain(&["rotate.vouched-for", "rotate.deed-written", "rotate.sealed-anew", "rotate.destroying"])
        .chain(&["rotate.pin-changed"])
        .chain(&["start.opened", "action.counted", "import.row-written"])
        .chain(&["backup.ledger-copied", "backup.sealed", "restore.keys-made", "restore.sealed"])
        .chain(&["restore.ledger-written", "restore.ledger-placed", "restore.remembered", "restore.deed-written"])
        .map(|point| point.to_string())
        .collect();
    tried.sort();
    assert_eq!(placed, tried);
}

fn collect(dir: &Path, placed: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, placed);
        } else {
            let text = std::fs::read_to_string(path).unwrap();
            let names = text.split("crash_point(\"").skip(1).filter_map(|rest| rest.split('"').next());
            placed.extend(names.map(str::to_owned));
        }
    }
}
