//! The walls between the rooms, from outside: what is linked in, what the kernel says of each process, and what a door
//! that is no longer its own can get out of the vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod api;
mod callback;
mod courier;
mod door;
mod flood;
mod forged;
mod lanes;
mod outcomes;
mod outside;

use signing_agent_tests::{House, Settings};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that a package is built of.
fn crates_of(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = tree.args(["--package", package, "--manifest-path"]).arg(manifest).output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn no_door_is_built_with_the_token_or_the_curve() {
    let vault = crates_of("signing-agent-vault");
    let keys = ["hsm", "cryptoki", "cryptoki-sys", "milagro", "blst"];
    for name in keys {
        assert!(vault.contains(name), "the vault is built of {name}, or this test looks for a wrong name");
    }
    for room in ["signing-agent-api", "signing-agent-courier", "signing-agent"] {
        let crates = crates_of(room);
        assert!(crates.contains("signing-agent-ipc"), "{room}: {crates:?}");
        for name in keys {
            assert!(!crates.contains(name), "{room} is built of {name}");
        }
    }
}

fn proc(pid: u32, what: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_else(|e| panic!("/proc/{pid}/{what}: {e}"))
}

/// What the process has open.
fn open_files(pid: u32) -> Vec<PathBuf> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("this user may look into the rooms' open files");
    files.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).collect()
}

#[test]
fn each_room_is_a_process_of_its_own_without_new_privileges_or_cores() {
    let house = House::registered(Settings::default());
    let rooms = house.rooms();
    let names: BTreeSet<&str> = rooms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((rooms.len(), names), (3, BTreeSet::from(["api", "courier", "vault"])), "{rooms:?}");
    if house.may_look_inside("the rooms' programs") {
        let programs: BTreeSet<PathBuf> =
            rooms.iter().map(|(_, pid)| fs::read_link(format!("/proc/{pid}/exe")).unwrap()).collect();
        assert_eq!(programs.len(), 3, "{programs:?}");
    }
    for (name, pid) in rooms {
        let status = proc(pid, "status");
        assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{name}: {status}");
        let limits = proc(pid, "limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{name}: {core}");
    }
}

#[test]
fn the_doors_hold_neither_the_ledger_nor_the_token_nor_what_leads_there() {
    let house = House::registered(Settings::default());
    if !house.may_look_inside("the doors' open files, environment and maps") {
        return;
    }
    let token = house.token.conf.parent().unwrap().canonicalize().unwrap();
    let state = house.state().canonicalize().unwrap();
    for (name, pid) in house.rooms() {
        let files = open_files(pid);
        let inside: Vec<&PathBuf> = files.iter().filter(|p| p.starts_with(&state) || p.starts_with(&token)).collect();
        if name == "vault" {
            assert!(inside.iter().any(|path| path.ends_with("ledger.sqlite")), "this test would see it: {files:?}");
            continue;
        }
        assert_eq!(inside, Vec::<&PathBuf>::new(), "{name}");
        let environment = proc(pid, "environ");
        assert!(!environment.contains("SOFTHSM2_CONF"), "{name} is told where the token is");
        let maps = proc(pid, "maps");
        assert!(!maps.contains("softhsm"), "{name} has the PKCS#11 module loaded");
    }
}

#[test]
fn state_and_lanes_are_closed_to_others() {
    let house = House::registered(Settings::default());
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    let (state, lanes) = (house.state(), house.state().join("lanes"));
    assert_eq!((mode(&state), mode(&lanes)), (0o700, 0o700));
    for lane in ["api.sock", "courier.sock", "admin.sock"] {
        assert_eq!(mode(&lanes.join(lane)), 0o600, "{lane}");
    }
    for file in fs::read_dir(&state).unwrap().flatten().filter(|file| file.path().is_file()) {
        assert_eq!(mode(&file.path()) & 0o077, 0, "{}", file.path().display());
    }
}
