//! The machine: disk, kernel, and systemd's units.

use super::Subject;
use super::found::{fault, good, unknown, warning};
use ipc::Finding;
use rustix::process::{Resource, getrlimit};
use std::path::Path;
use std::process::{Command, Stdio};

/// Room for the ledger: below the first a person looks, below the second there is soon none.
const LITTLE: u64 = 512 << 20;
const LEAST: u64 = 64 << 20;
const LEAST_FILES: u64 = 1000;

pub fn disk(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "disk-space";
    let dir = subject.config.state.dir.display();
    let free = match rustix::fs::statvfs(&subject.config.state.dir) {
        Ok(free) => free,
        Err(e) => return vec![unknown(CHECK, format!("{dir}: {e}"), "see the fault of `state-directory`")],
    };
    let left = free.f_bavail.saturating_mul(free.f_frsize);
    let remedy = format!("make room: `df -h {dir}`, `df -i {dir}`; nothing is signed that cannot be recorded");
    let words = format!("{} MiB are left at {dir}", left >> 20);
    vec![match left {
        _ if free.f_files > 0 && free.f_favail < LEAST_FILES => {
            fault(CHECK, format!("{} more files have room at {dir}", free.f_favail), remedy)
        }
        ..LEAST => fault(CHECK, words, remedy),
        LEAST..LITTLE => warning(CHECK, words, remedy),
        _ => good(CHECK, words),
    }]
}

/// What the walls are made of.
pub fn kernel() -> Vec<Finding> {
    let landlock = match jail::Ground::missing() {
        None => good("kernel-landlock", "all of it"),
        Some(missing) => warning(
            "kernel-landlock",
            missing,
            "boot a kernel of 6.12 or later with landlock in its lsm=; [jail] landlock = \"required\" then insists on it",
        ),
    };
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let seccomp = match actions.as_deref().map(|all| all.split_whitespace().any(|action| action == "kill_process")) {
        Ok(true) => good("kernel-seccomp", "filters can end a room"),
        _ => fault(
            "kernel-seccomp",
            "this kernel has no seccomp filters: no room starts",
            "boot one with CONFIG_SECCOMP_FILTER",
        ),
    };
    // Of this command; a unit of systemd has a limit of its own, and says so if it is too low.
    let limit = getrlimit(Resource::Memlock).current;
    let memory = match limit {
        Some(least) if least < 64 << 10 => warning(
            "kernel-memlock",
            format!("{least} octets may be locked: keys take two pages"),
            "`ulimit -l 8192` before `signing-agent run`",
        ),
        _ => good("kernel-memlock", "keys can be locked in memory"),
    };
    vec![landlock, seccomp, memory]
}

/// Only for the system's own agent, where systemd runs.
pub fn units(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "units";
    if subject.path != Path::new(config::DEFAULT_PATH) || !Path::new("/run/systemd/system").is_dir() {
        return Vec::new();
    }
    if systemctl(&["show", "--property=LoadState", "--value", "signing-agent.target"]).as_deref() != Some("loaded") {
        return vec![good(CHECK, "there are none: this agent is no service of systemd")];
    }
    let mut findings = Vec::new();
    for room in ["vault", "api", "courier"] {
        let unit = format!("signing-agent-{room}.service");
        let state = systemctl(&["is-active", &unit]).unwrap_or_default();
        if state != "active" {
            let remedy = format!("`journalctl -u {unit} -n 50` says why; then `systemctl restart {unit}`");
            findings.push(fault(CHECK, format!("{unit} is {state}"), remedy));
        }
    }
    let enabled = systemctl(&["is-enabled", "signing-agent.target"]).unwrap_or_default();
    if enabled != "enabled" {
        let words = format!("signing-agent.target is {enabled}: the agent is not started at boot");
        findings.push(warning(CHECK, words, "`systemctl enable signing-agent.target`"));
    }
    if findings.is_empty() {
        findings.push(good(CHECK, "all rooms are active, and started at boot"));
    }
    findings
}

/// Its word, whatever its exit code says.
fn systemctl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
