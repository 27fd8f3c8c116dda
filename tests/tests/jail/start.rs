//! A room whose walls cannot be built does not start, and says which.

use crate::room::{command, command_with, house, silent_lane};
use signing_agent_tests::{House, Signal, looks_inside, signal, until};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Output};
use std::thread;
use std::time::Duration;

const ROOMS: [&str; 3] = ["api", "courier", "vault"];
const REQUIRED: &str = "\n[jail]\nlandlock = \"required\"\n";

/// The room under a kernel that answers ENOSYS to a system call.
fn without(house: &House, room: &str, call: &str) -> Child {
    let inject = format!("inject={call}:error=ENOSYS");
    let mut command = command(house, room, &["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    command.env("SIGNING_AGENT_LANE", house.dir.path().join("lane")).spawn().expect("strace is installed")
}

/// It must end by itself.
fn ended(child: Child) -> Output {
    let pid = child.id();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.starts_with(" Z"))
    };
    until("the room ends", gone, String::new);
    child.wait_with_output().unwrap()
}

fn is_looked_at() -> bool {
    let looked_at = looks_inside();
    if !looked_at {
        eprintln!("NOT LOOKED AT: rooms on a kernel without the walls: strace takes CAP_SYS_PTRACE");
    }
    looked_at
}

#[test]
fn a_room_whose_filter_cannot_be_installed_does_not_start() {
    if !is_looked_at() {
        return;
    }
    let house = house("");
    let _lane = silent_lane(&house.dir.path().join("lane"));
    for room in ROOMS {
        let output = ended(without(&house, room, "seccomp"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{room}: {said}");
        assert!(said.contains("seccomp") && said.contains("the room does not start without it"), "{room}: {said}");
    }
}

#[test]
fn a_room_that_requires_landlock_does_not_start_where_the_kernel_lacks_it() {
    if !is_looked_at() {
        return;
    }
    let house = house(REQUIRED);
    let _lane = silent_lane(&house.dir.path().join("lane"));
    for room in ROOMS {
        let output = ended(without(&house, room, "landlock_create_ruleset"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{room}: {said}");
        assert!(said.contains("Landlock: this kernel has it not"), "{room}: {said}");
    }
}

#[test]
fn a_room_that_does_not_require_it_says_what_is_missing_and_works() {
    if !is_looked_at() {
        return;
    }
    let house = house("");
    let _lane = silent_lane(&house.dir.path().join("lane"));
    for room in ROOMS {
        let mut child = without(&house, room, "landlock_create_ruleset");
        let mut stderr = child.stderr.take().unwrap();
        let reader = thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).map(|_| said)
        });
        // The filter is the last wall: whoever has it has come past Landlock.
        let status = || std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        until("the filter stands", || status().contains("Seccomp:\t2"), status);
        signal(child.id(), Signal::TERM);
        let code = child.wait().unwrap().code();
        let said = reader.join().unwrap().unwrap();
        assert!(said.contains("Landlock: this kernel has it not"), "{room}: {said}");
        assert_eq!(code, Some(0), "{room}: {said}");
    }
}

#[test]
fn every_thread_of_a_running_agents_rooms_has_its_filters() {
    let mut house = house(REQUIRED);
    house.run();
    for (room, pid) in house.rooms() {
        let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let filters = if room == "vault" { 3 } else { 1 };
        until("the filters stand", || status().contains(&format!("Seccomp_filters:\t{filters}")), status);
        // Of every thread of it.
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{room}: {status}");
        }
    }
}

/// sd_notify(3): what systemd hears of a room that it starts, lets live, and stops.
#[test]
fn a_room_tells_systemd_that_it_is_ready_and_alive_and_that_it_stops() {
    let house = house("");
    let _lane = silent_lane(&house.dir.path().join("lane"));
    let path = house.dir.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hear = |room: &str| {
        let mut message = [0; 64];
        let length = systemd.recv(&mut message).unwrap_or_else(|e| panic!("{room} says nothing: {e}"));
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    for room in ROOMS {
        let mut command = command(&house, room, &[]);
        command.env("SIGNING_AGENT_LANE", house.dir.path().join("lane")).env("NOTIFY_SOCKET", &path);
        let mut child = command.env("WATCHDOG_USEC", "600000").spawn().unwrap();
        assert_eq!(hear(room), "READY=1");
        assert_eq!([hear(room), hear(room)], ["WATCHDOG=1", "WATCHDOG=1"]);
        signal(child.id(), Signal::HUP);
        assert_eq!([hear(room), hear(room)], ["WATCHDOG=1", "WATCHDOG=1"], "{room} goes on");
        signal(child.id(), Signal::TERM);
        let last = std::iter::repeat_with(|| hear(room)).find(|word| word != "WATCHDOG=1");
        assert_eq!(last.as_deref(), Some("STOPPING=1"), "{room}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{room}");
    }
}

/// As a service its socket comes from systemd, whatever `[api] listen` says.
#[test]
fn an_http_socket_off_loopback_is_refused_wherever_it_comes_from() {
    let house = house("");
    let lane = house.dir.path().join("lane");
    let _lane = silent_lane(&lane);
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut command = command_with(&house, "api", &[], vec![("http", everywhere.into())]);
    let output = command.env("SIGNING_AGENT_LANE", &lane).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("is for loopback alone"), "{said}");
}
