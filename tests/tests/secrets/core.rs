//! A room that is aborted leaves no core file, whatever the limits say.

use signing_agent_tests::{House, Settings, Signal, signal, until};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files of the directories that look like a core.
fn cores(dirs: &[&Path]) -> Vec<PathBuf> {
    let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap().flatten());
    entries.map(|entry| entry.path()).filter(|p| p.file_name().unwrap().to_string_lossy().contains("core")).collect()
}

/// `command` with an unlimited core limit, in `dir`.
fn unlimited(command: &Command, dir: &Path) -> Command {
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh"]).arg(command.get_program());
    wrapped.args(command.get_args()).current_dir(dir);
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// `command` without capabilities: with them root reads all.
fn powerless(command: &Command) -> Command {
    if !signing_agent_tests::looks_inside() {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        return same;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(command.get_program());
    wrapped.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

/// Whether the kernel would write this process's memory out (prctl(2), PR_GET_DUMPABLE): only then another process of its user
/// may read its environment (ptrace(2), PTRACE_MODE_READ).
fn dumpable(pid: u32) -> bool {
    let mut look = Command::new("sh");
    look.args(["-c", &format!("cat /proc/{pid}/environ >/dev/null")]).stderr(Stdio::null());
    let mut look = powerless(&look);
    look.stderr(Stdio::null()).status().expect("sh starts").success()
}

/// Else its core limit alone would stand between a room and a core file.
#[test]
fn no_room_is_dumpable() {
    let mut house = House::empty(Settings::default());
    assert!(house.output(&["init"]).status.success());
    house.run_by(powerless(&house.command(&["run"])));
    let mut plain = Command::new("sleep");
    let mut plain = powerless(plain.arg("600")).spawn().expect("sleep starts");
    until("what is dumpable is seen to be", || dumpable(plain.id()), String::new);
    plain.kill().and_then(|()| plain.wait()).expect("it ends");
    let named = || house.rooms().len() == 3 && house.log().contains("ready");
    until("all rooms are there", named, || house.log());
    for (name, pid) in house.rooms() {
        assert!(!dumpable(pid), "{name} is dumpable");
    }
}

#[test]
fn no_room_leaves_a_core_file_when_it_is_aborted() {
    let mut house = House::empty(Settings::default());
    assert!(house.output(&["init"]).status.success());
    let dir = house.dir.path().join("cwd");
    fs::create_dir(&dir).unwrap();

    // What is seen here is what a room without walls would leave.
    let mut control = Command::new("sh");
    let ended = unlimited(control.args(["-c", "kill -ABRT $$"]), &dir).status().unwrap();
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if ended.core_dumped() {
        assert_eq!(!cores(&[&dir]).is_empty(), !pattern.starts_with(['|', '/']), "core_pattern {pattern}");
    } else {
        eprintln!(
            "NOT LOOKED AT: core files, of which this machine writes none ({ended}); what remains is dumpability"
        );
    }
    for core in cores(&[&dir]) {
        fs::remove_file(core).unwrap();
    }

    house.run_by(unlimited(&house.command(&["run"]), &dir));
    let all = || ["api", "courier", "vault"].iter().all(|name| house.rooms().iter().any(|(room, _)| room == name));
    let ready = || {
        let status = house.output(&["status", "--json"]).stdout;
        serde_json::from_slice(&status).is_ok_and(|status: serde_json::Value| {
            all() && status["doors"]["api"] == true && status["doors"]["courier"] == true
        })
    };
    for name in ["api", "courier", "vault"] {
        until("all rooms are there", ready, || house.log());
        let rooms = house.rooms();
        let pid = rooms.iter().find(|(room, _)| room == name).unwrap().1;
        signal(pid, Signal::ABORT);
        let ended = || house.log().contains(&format!("{name} was ended by SIGABRT"));
        until("it has ended", ended, || house.log());
        let state = house.state();
        let places = [dir.as_path(), house.dir.path(), &state, &state.join("lanes")];
        assert_eq!(cores(&places), Vec::<PathBuf>::new(), "{name}, by core_pattern {pattern}");
    }
    until("all rooms are there", ready, || house.log());
}
