//! The table of walls. Each attempt is made by the room itself as soon as its jail stands, before the first byte from outside;
//! and again without the jail, where it must succeed: else the table would prove nothing.

use crate::is_root;
use crate::room::{ATTEMPT, NO_JAIL, command, house, silent_lane};
use signing_agent_tests::{House, Pki, until};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// How an attempt ends.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum End {
    /// By SIGSYS: the filter does not allow it.
    Killed,
    /// By the second filter, or by Landlock.
    Refused(&'static str),
    Succeeded,
}
use End::{Killed, Refused};

const NOT_PERMITTED: End = Refused("Operation not permitted");
const DENIED: End = Refused("Permission denied");

/// Everything that is tried, by every room that cannot need it.
const ATTEMPTS: &[&str] = &[
    "process-execve",
    "process-execveat",
    "process-fork",
    "process-clone3",
    "process-ptrace",
    "process-read-memory",
    "process-open-memory",
    "process-kill",
    "process-tgkill",
    "process-abort-another",
    "process-take-files",
    "process-limits",
    "socket-inet-stream",
    "socket-other-stream",
    "socket-inet-datagram",
    "socket-inet6-stream",
    "socket-raw",
    "socket-unix",
    "socket-pair",
    "socket-netlink",
    "socket-packet",
    "socket-lane",
    "socket-bind",
    "socket-listen",
    "file-read",
    "file-write",
    "file-create",
    "file-directory",
    "file-remove",
    "file-rename",
    #[cfg(target_arch = "x86_64")]
    "file-unlink",
    #[cfg(target_arch = "x86_64")]
    "file-move",
    "file-link",
    "file-symlink",
    "file-mknod",
    "file-mkdir",
    "file-chmod",
    "file-chown",
    "file-truncate",
    "file-attribute",
    "file-handle",
    "file-watch",
    "memory-map-write-exec",
    "memory-map-exec",
    "memory-protect-exec",
    "memory-protect-exec-by-key",
    "memory-file",
    "memory-faults",
    "memory-shared",
    "memory-dumpable",
    "kernel-mount",
    "kernel-fsopen",
    "kernel-chroot",
    "kernel-unshare",
    "kernel-setns",
    "kernel-io-uring",
    "kernel-bpf",
    "kernel-keys",
    "kernel-perf",
    "kernel-user",
    "kernel-capabilities",
    "kernel-personality",
    "kernel-filter",
    "kernel-terminal",
    "kernel-owner",
    "kernel-nice",
    #[cfg(target_arch = "x86_64")]
    "kernel-other-architecture",
];

/// `None` where the room needs just this.
fn expected(room: &str, attempt: &str) -> Option<End> {
    Some(match (room, attempt) {
        ("courier", "socket-inet-stream" | "socket-inet-datagram" | "socket-inet6-stream") => return None,
        ("courier", "socket-bind" | "file-read" | "file-directory") => DENIED,
        // It reads its certificates again, and nothing else.
        ("api-tls", "file-read" | "file-directory") => DENIED,
        ("vault", "process-clone3") => Refused("Function not implemented"),
        ("vault", "socket-pair") => Killed,
        ("vault", socket) if socket.starts_with("socket-") => NOT_PERMITTED,
        (
            "vault",
            "file-read"
            | "file-write"
            | "file-create"
            | "file-directory"
            | "file-unlink"
            | "file-move"
            | "process-open-memory",
        ) => DENIED,
        _ => Killed,
    })
}

/// What an attempt lays hands on.
struct Victim {
    dir: TempDir,
    process: Child,
    address: usize,
    _socket: UnixListener,
}

impl Victim {
    fn new() -> Self {
        let dir = TempDir::with_prefix("outside-").unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        let process = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        // The stack pointer, of a process that sleeps in a system call (proc(5)): last but one.
        let stack = || -> Option<usize> {
            let text = std::fs::read_to_string(format!("/proc/{}/syscall", process.id())).ok()?;
            usize::from_str_radix(text.split_whitespace().rev().nth(1)?.strip_prefix("0x")?, 16).ok()
        };
        until("it sleeps", || !is_root() || stack().is_some(), String::new);
        let address = stack().unwrap_or(0);
        let _socket = silent_lane(&dir.path().join("socket"));
        Self { dir, process, address, _socket }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn attempt(house: &House, room: &str, name: &str, jailed: bool) -> (End, String) {
    let victim = Victim::new();
    let lane = victim.dir.path().join("lane");
    let _lane = silent_lane(&lane);
    let mut command = command(house, room.split('-').next().unwrap(), &[]);
    command.env("SIGNING_AGENT_LANE", &lane);
    let what = format!("{name} {} {} {}", victim.process.id(), victim.address, victim.dir.path().display());
    command.env(ATTEMPT, what);
    if !jailed {
        command.env(NO_JAIL, "1");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = ["Operation not permitted", "Permission denied", "Function not implemented"]
        .into_iter()
        .find(|words| said.contains(&format!("attempt {name}: refused: {words}")));
    let end = match (output.status.signal(), refused) {
        (Some(31), _) => Killed,
        (None, Some(words)) => Refused(words),
        (None, None) if said.contains(&format!("attempt {name}: succeeded")) => End::Succeeded,
        _ => panic!("{room} {name}, jailed: {jailed}: {} {said}", output.status),
    };
    (end, said)
}

fn all_are_stopped(room: &str) {
    let mut house = house("");
    if room == "api-tls" {
        house.settings.api += &format!("\n{}", Pki::default().house(house.dir.path()));
        house.write_config();
    }
    let (mut stopped, mut controlled) = (0, 0);
    for name in ATTEMPTS {
        let Some(expected) = expected(room, name) else { continue };
        let (end, said) = attempt(&house, room, name, true);
        assert_eq!(end, expected, "{room} {name}: {said}");
        stopped += 1;
        if is_root() {
            let (end, said) = attempt(&house, room, name, false);
            if end == Refused("Function not implemented") {
                eprintln!("NOT LOOKED AT: {name} without the jail: this kernel does not have it");
                continue;
            }
            assert_eq!(end, End::Succeeded, "without the jail: {room} {name}: {said}");
            controlled += 1;
        }
    }
    println!("{room}: {stopped} attempts, all stopped; {controlled} of them made without the jail, where all succeed");
    if controlled == 0 {
        eprintln!("NOT LOOKED AT: what the attempts do without the jail: that takes root");
    }
    assert!(stopped >= 60, "{stopped}");
}

#[test]
fn a_captured_api_is_stopped_whatever_it_tries() {
    all_are_stopped("api");
}

#[test]
fn a_captured_api_with_tls_is_stopped_whatever_it_tries() {
    all_are_stopped("api-tls");
}

#[test]
fn a_captured_courier_is_stopped_whatever_it_tries() {
    all_are_stopped("courier");
}

#[test]
fn a_captured_vault_is_stopped_whatever_it_tries() {
    all_are_stopped("vault");
}
