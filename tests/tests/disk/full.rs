//! A state directory on a small file system of its own: full, then read-only. Mounting takes root.

use super::{goes_on, trouble, until_it_says};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A tmpfs; it is gone with its owner.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        match mount("none", at, "tmpfs", MountFlags::empty(), Some(c"size=24m,mode=0700")) {
            Ok(()) => Some(Self(at.to_owned())),
            Err(e) => {
                eprintln!("NOT LOOKED AT: a full disk and a read-only one: mounting a tmpfs takes root ({e})");
                None
            }
        }
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn on_a_full_disk_nothing_is_signed_and_when_there_is_room_nothing_was_lost() {
    let mut house = House::empty(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    house.settings.environment = vec![("SIGNING_AGENT_TEST_SPEED", "10".into())];
    let Some(small) = Small::mount(&house.state()) else { return };
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    let before = house.stats();
    assert_eq!(house.metric("signing_agent_ledger_well"), Some(1.0));
    let ballast = small.fill();
    // The write-ahead log has some room of its own left; a few hundred actions use it up.
    house.order(json!({"count": 300}));
    let waiting = || house.metric("signing_agent_unwritten_events").is_some_and(|events| events > 0.0);
    until("events wait", waiting, || house.log());
    until_it_says(&house, "the ledger");
    assert_eq!(house.metric("signing_agent_ledger_well"), Some(0.0));
    fs::remove_file(ballast).unwrap();
    goes_on(&house, &before, 300);
    house.stop();

    mount_remount(house.state(), MountFlags::RDONLY, c"").unwrap();
    let refused = house.output(&["run"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("Read-only file system"), "{words}");
    mount_remount(house.state(), MountFlags::empty(), c"").unwrap();
    house.run();
    until("it is well", || trouble(&house).is_empty(), || house.log());
}
