//! The machine's own faults; these take root.

use super::{doctor, fault, finds};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// A tmpfs; it is gone with its owner.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        match mount("none", at, "tmpfs", MountFlags::empty(), Some(c"size=80m,mode=0700")) {
            Ok(()) => Some(Self(at.to_owned())),
            Err(e) => {
                eprintln!("NOT LOOKED AT: a full disk: mounting a tmpfs takes root ({e})");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn a_disk_that_is_nearly_full_is_found() {
    let house = House::empty(Settings { log_level: "info", ..Settings::default() });
    let Some(small) = Small::mount(&house.state()) else { return };
    assert!(house.output(&["init"]).status.success());
    assert!(!doctor(&house).of("fault").contains(&"disk-space"), "{}", doctor(&house).all);
    let mut ballast = File::create(small.0.join("ballast")).unwrap();
    rustix::fs::fchmod(&ballast, Mode::from_raw_mode(0o600)).unwrap();
    while ballast.write_all(&[0; 1 << 16]).is_ok() {}
    finds(&house, &fault("disk-space", "0 MiB are left", "df -h"));
}

/// Some user that has no account.
const NOBODY: u32 = 54_321;

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

#[test]
fn root_looks_as_the_user_that_the_vault_works_as() {
    let mut house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    house.stop();
    if fs::metadata(house.dir.path()).unwrap().uid() != 0 {
        return eprintln!("NOT LOOKED AT: another user's agent: that takes root");
    }
    give(house.dir.path(), NOBODY);
    let report = doctor(&house);
    assert_eq!(report.of("fault"), ["vault"], "{}", report.all);
    assert!(report.by.contains(&format!("as the state directory's owner, uid {NOBODY}")), "{}", report.by);
    assert!(report.of("good").contains(&"sealed-keys"), "{}", report.all);
    fs::read_dir(house.state()).unwrap().flatten().for_each(|entry| {
        let meta = entry.metadata().unwrap();
        assert_eq!(meta.uid(), NOBODY, "root left {} behind", entry.path().display());
    });
    // What root made there by hand, the vault could not use.
    let stray = house.state().join("bls.age");
    chown(&stray, Some(0), Some(0)).unwrap();
    finds(&house, &fault("state-directory", "bls.age belongs to uid 0", "chown 54321 "));
    give(&stray, NOBODY);
    // Somebody else's configuration.
    chown(house.config(), Some(NOBODY + 1), None).unwrap();
    finds(&house, &fault("files", "signing-agent.toml belongs to uid 54322", "chown root "));
}
