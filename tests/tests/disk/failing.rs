//! I/O errors under the ledger.

use super::{goes_on, until_it_says};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::path::{Path, PathBuf};
use std::process::Command;

fn shim(dir: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk/failing.c");
    let library = dir.join("failing.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.expect("gcc is there").success());
    library
}

#[test]
fn a_ledger_that_cannot_be_written_stops_signing_with_the_reason_until_it_can() {
    let mut house = House::empty(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    let fault = house.dir.path().join("fault");
    house.settings.environment = vec![
        ("LD_PRELOAD", shim(house.dir.path())),
        ("DISK_FAULT", fault.clone()),
        ("DISK_FAULT_NAME", house.state().join("ledger.sqlite")),
        ("SIGNING_AGENT_TEST_SPEED", "10".into()),
    ];
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    for error in ["EIO", "ENOSPC"] {
        let before = house.stats();
        std::fs::write(&fault, error).unwrap();
        house.order(json!({"count": 10}));
        until_it_says(&house, "the ledger");
        let stats = house.stats();
        assert_eq!(
            (&stats["puts"], &stats["gets"]),
            (&before["puts"], &before["gets"]),
            "{error}: nothing leaves: {stats}"
        );
        std::fs::remove_file(&fault).unwrap();
        goes_on(&house, &before, 10);
    }
}
