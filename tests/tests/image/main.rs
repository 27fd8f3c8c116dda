//! The container image: it is built, started, registers and approves (`image.sh`), without a daemon or a registry.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Octets, of `localhost/signing-agent`: without SoftHSM.
const LARGEST: u64 = 60_000_000;

/// Images and containers are kept below this directory, and nowhere else.
fn engine(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("CONTAINERS_STORAGE_CONF", dir.join("storage.conf"));
    command.env("CONTAINERS_CONF", dir.join("containers.conf"));
    command.stdin(Stdio::null());
    command
}

fn settings(dir: &Path) {
    let (store, run) = (dir.join("store"), dir.join("run"));
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {store:?}\nrunroot = {run:?}\n");
    fs::write(dir.join("storage.conf"), storage).unwrap();
    // Control groups and limits are what a machine that is itself a container cannot give.
    let containers = "[containers]\ncgroups = \"disabled\"\ndefault_ulimits = [\"nofile=1024:16384\", \"nproc=1024:1024\"]\n\
                      [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
    fs::write(dir.join("containers.conf"), containers).unwrap();
}

#[test]
#[ignore = "root, podman, and a network for Debian's packages; `make test-long` runs it"]
fn the_image_is_built_starts_registers_and_approves_as_the_page_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let simulator = signing_agent_tests::binary("custody-simulator");
    let dir = tempfile::TempDir::with_prefix("signing-agent-image-").unwrap();
    settings(dir.path());
    let release: PathBuf = simulator.ancestors().nth(2).unwrap().join("release");
    let mut make = engine("make", dir.path());
    make.args(["--silent", "image", "NO_BUILD=1"]).arg(format!("PROGRAMS={}", release.display())).current_dir(&source);
    assert!(make.status().unwrap().success(), "make image");

    let size = |image: &str| -> u64 {
        let inspect = engine("podman", dir.path()).args(["image", "inspect", "--format", "{{.Size}}", image]).output();
        String::from_utf8(inspect.unwrap().stdout).unwrap().trim().parse().unwrap()
    };
    let (bare, softhsm) = (size("localhost/signing-agent"), size("localhost/signing-agent-softhsm"));
    eprintln!("the image has {bare} octets, with SoftHSM {softhsm}");
    assert!(bare < LARGEST, "{bare}");

    let mut inside = engine("setpriv", dir.path());
    inside.args(["--pdeathsig", "TERM", "unshare", "--mount", "--net", "--propagation", "private"]);
    inside.arg(source.join("tests/tests/image/image.sh")).arg(dir.path()).arg(simulator);
    let end = inside.status().expect("setpriv is there: apt-get install util-linux");
    assert!(end.success(), "{end}");
}
