//! One room by itself, with sockets handed over as systemd does it and nobody at their other ends.

use command_fds::{CommandFdExt, FdMapping};
use signing_agent_tests::{House, Settings, binary};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a debug build of a room reads.
pub const NO_JAIL: &str = "SIGNING_AGENT_TEST_NO_JAIL";
pub const ATTEMPT: &str = "SIGNING_AGENT_TEST_ATTEMPT";

/// An initialised agent that does not run: its configuration, state and token.
pub fn house(more: &str) -> House {
    let house = House::empty(Settings { more: more.to_owned(), log_level: "info", ..Settings::default() });
    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    house
}

/// The command that becomes the room; `before` is a program that is run with it, such as `strace`.
pub fn command(house: &House, room: &str, before: &[&str]) -> Command {
    let lane = |name: &str| {
        let path = house.dir.path().join(name);
        let _ = std::fs::remove_file(&path);
        OwnedFd::from(UnixListener::bind(path).expect("a socket"))
    };
    let sockets = match room {
        "api" => vec![("http", TcpListener::bind("127.0.0.1:0").expect("a port").into())],
        "courier" => Vec::new(),
        _ => ["lane-api", "lane-courier", "lane-admin"].map(|name| (name, lane(name))).into(),
    };
    command_with(house, room, before, sockets)
}

/// The same, with these sockets.
pub fn command_with(house: &House, room: &str, before: &[&str], sockets: Vec<(&str, OwnedFd)>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "LISTEN_PID=$$ exec \"$@\"", "sh"]).args(before);
    command.arg(binary(&format!("signing-agent-{room}"))).arg("--config").arg(house.config());
    command.env_remove(NO_JAIL).env_remove(ATTEMPT).env("SOFTHSM2_CONF", &house.token.conf);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    if !names.is_empty() {
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    }
    let mapped = (3..).zip(sockets).map(|(child_fd, (_, parent_fd))| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mapped.collect()).expect("descriptors");
    command
}

/// A lane to which a door connects: somebody listens, and never says a word.
pub fn silent_lane(path: &Path) -> UnixListener {
    UnixListener::bind(path).expect("a socket")
}
