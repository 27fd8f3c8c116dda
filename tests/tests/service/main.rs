//! The service: what is installed, how systemd sees it, and a booted system that runs it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod booted;
mod installed;
#[path = "../secrets/search.rs"]
mod search;
mod units;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source tree.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Where `make install` has put everything.
fn install(prefix: &str) -> tempfile::TempDir {
    let root = tempfile::TempDir::with_prefix("signing-agent-install-").unwrap();
    let programs = signing_agent_tests::binary("signing-agent-vault");
    let made = Command::new("make")
        .args(["--silent", "-C"])
        .arg(source("."))
        .arg("install")
        .arg(format!("DESTDIR={}", root.path().display()))
        .arg(format!("PREFIX={prefix}"))
        .arg(format!("PROGRAMS={}", programs.parent().unwrap().display()))
        .output()
        .expect("make is there");
    assert!(made.status.success(), "make install: {}", String::from_utf8_lossy(&made.stderr));
    root
}

/// The modes of all files below, by their paths without a slash in front.
fn modes(root: &Path) -> BTreeMap<String, u32> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, u32>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), mode);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}
