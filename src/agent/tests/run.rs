//! What `signing-agent run` promises of the rooms that it starts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::{House, IDLE, Run, lives, until};
use rustix::process::Signal;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const ROOMS: [&str; 3] = ["vault", "api", "courier"];
const FILES: [&str; 4] = ["api.sock", "courier.sock", "admin.sock", "http"];

/// Starts a run and waits until each room has told its pid in `ROOM.pid`.
fn run_until_all_live(house: &House) -> Run {
    let run = house.run();
    let told = |room: &&str| house.read(&format!("{room}.pid")).ends_with('\n');
    until(|| ROOMS.iter().all(told), || format!("three rooms in\n{}", run.log()));
    run
}

fn pids(house: &House) -> Vec<String> {
    ROOMS.iter().map(|room| house.read(&format!("{room}.pid"))).collect()
}

#[test]
#[ignore = "a room's part in another test"]
fn tell_what_was_handed_over() {
    let (Ok(house), Ok(room)) = (std::env::var("HOUSE"), std::env::var("ROOM")) else { return };
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    let sockets = open.filter(|to| to.to_string_lossy().starts_with("socket:")).count();
    let mut told = format!("sockets {sockets}\ngroup {}\n", rustix::process::getpgrp().as_raw_nonzero());
    if room == "api" {
        let http = jail::Sockets::take().unwrap().tcp("http").unwrap();
        told += &format!("http {}\n", http.local_addr().unwrap());
    }
    if room == "vault" {
        let mut sockets = jail::Sockets::take().unwrap();
        for name in ["lane-courier", "lane-admin", "lane-api"] {
            let lane = sockets.unix(name).unwrap();
            told += &format!("{name} {}\n", lane.local_addr().unwrap().as_pathname().unwrap().display());
        }
    }
    fs::write(format!("{house}/{room}.told"), told).unwrap();
    fs::write(format!("{house}/{room}.pid"), format!("{}\n", std::process::id())).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn each_room_gets_its_own_sockets_and_no_other() {
    let house = House::new();
    ROOMS.iter().for_each(|room| house.role(room, "tell_what_was_handed_over"));
    let mut run = run_until_all_live(&house);
    let groups: Vec<String> = pids(&house).iter().map(|pid| format!("group {}", pid.trim())).collect();
    let address = house.read("state/lanes/http");
    assert!(address.starts_with("127.0.0.1:") && address.ends_with('\n') && !address.contains(":0\n"), "{address:?}");
    run.says(&[&format!("listening on http://{}", address.trim())]);

    assert_eq!(house.read("api.told"), format!("sockets 1\n{}\nhttp {address}", groups[1]));
    assert_eq!(house.read("courier.told"), format!("sockets 0\n{}\n", groups[2]));
    let lane = |name| house.lane(name).display().to_string();
    let (courier, admin, api) = (lane("courier.sock"), lane("admin.sock"), lane("api.sock"));
    let lanes = format!("lane-courier {courier}\nlane-admin {admin}\nlane-api {api}\n");
    assert_eq!(house.read("vault.told"), format!("sockets 3\n{}\n{lanes}", groups[0]));

    for name in ["api.sock", "courier.sock", "admin.sock"] {
        assert_eq!(fs::metadata(house.lane(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    for dir in ["state", "state/lanes"] {
        assert_eq!(fs::metadata(house.path(dir)).unwrap().permissions().mode() & 0o777, 0o700, "{dir}");
    }
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(0));
    assert_eq!(run.stdout(), "", "a room's words on stdout are not this command's result");
}

#[test]
fn a_door_gets_little_of_the_environment_and_the_vault_all() {
    let house = House::new();
    ROOMS.iter().for_each(|room| house.role(room, "tell_what_was_handed_over"));
    let mut command = house.command(&["run"]);
    command.env_clear().envs([
        ("TOKEN_PIN", "1"),
        ("SOFTHSM2_CONF", "2"),
        ("SSL_CERT_FILE", "3"),
        ("LISTEN_FDNAMES", "4"),
        ("NOTIFY_SOCKET", "5"),
    ]);
    let run = Run::start(command);
    until(|| ROOMS.iter().all(|room| house.path(&format!("{room}.pid")).exists()), || run.log());
    let names = |room: &str| {
        let environment = house.read(&format!("{room}.env"));
        let mut names: Vec<String> = environment.lines().map(|line| line.split('=').next().unwrap().into()).collect();
        names.sort();
        names
    };
    assert_eq!(names("courier"), ["LISTEN_PID", "SIGNING_AGENT_LANE", "SSL_CERT_FILE"]);
    assert_eq!(names("api"), ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "SIGNING_AGENT_LANE", "SSL_CERT_FILE"]);
    let vault = ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "SOFTHSM2_CONF", "SSL_CERT_FILE", "TOKEN_PIN"];
    assert_eq!(names("vault"), vault);
    let lane = |name: &str| format!("SIGNING_AGENT_LANE={}\n", house.lane(name).display());
    assert!(house.read("api.env").contains(&lane("api.sock")), "{}", house.read("api.env"));
    assert!(house.read("courier.env").contains(&lane("courier.sock")), "{}", house.read("courier.env"));
}

#[test]
fn a_room_is_told_the_absolute_path_of_the_configuration() {
    let house = House::new();
    house.room("api", "echo \"$@\" > $H/api.arguments; exec sleep 1000");
    let run = house.run();
    until(|| house.read("api.arguments").ends_with('\n'), || run.log());
    assert_eq!(house.read("api.arguments"), format!("--config {}\n", house.path("agent.toml").display()));
}

#[test]
fn a_room_that_retires_is_started_anew_at_once_and_alone() {
    let house = House::new();
    house.room("api", "[ -e $H/again ] && exec sleep 1000; touch $H/again; sleep 0.2; exit 10");
    let run = house.run();
    run.says(&["api retired; started anew in 0 ms"]);
    assert!(!run.log().contains("courier") && !run.log().contains("vault"), "{}", run.log());
}

#[test]
fn a_room_that_crashes_waits_longer_each_time_and_its_clients_queue() {
    let house = House::new();
    house.room("vault", "kill -SEGV $$");
    house.room("api", "exit 11");
    let run = house.run();
    run.says(&[
        "vault was ended by SIGSEGV; started anew in 100 ms",
        "api lost its lane; started anew in 100 ms",
        "in 200 ms",
        "in 400 ms",
    ]);
    for name in ["api.sock", "courier.sock", "admin.sock"] {
        UnixStream::connect(house.lane(name)).unwrap();
    }
    TcpStream::connect(house.read("state/lanes/http").trim()).unwrap();
    run.says(&["vault was ended by SIGSEGV; started anew in 800 ms"]);
    assert!(!run.log().contains("courier"), "{}", run.log());
}

#[test]
fn a_room_that_refuses_the_configuration_ends_the_run_with_78() {
    let house = House::new();
    house.room("vault", "echo 'vault: no such token' >&2; exit 78");
    house.room("courier", "trap 'touch $H/courier.ended; exit 0' TERM; touch $H/up; while :; do sleep 0.02; done");
    let mut run = house.run();
    assert_eq!(run.end().code(), Some(78), "{}", run.log());
    run.says(&["vault: no such token", "vault refuses the configuration; it is not started again"]);
    assert_eq!(house.path("up").exists(), house.path("courier.ended").exists(), "asked to end if it had begun");
    assert!(FILES.iter().all(|name| !house.lane(name).exists()));
}

#[test]
fn sigterm_ends_the_doors_before_the_vault_each_when_it_has_finished() {
    let house = House::new();
    for room in ROOMS {
        let work = format!("echo {room} asked >> $H/order; sleep 0.2; echo {room} done >> $H/order; exit 0");
        let told = if room == "courier" { String::new() } else { format!("trap 'touch $H/told-{room}' HUP;") };
        house.room(room, &format!("{told} trap '{work}' TERM; echo $$ > $H/{room}.pid; while :; do sleep 0.02; done"));
    }
    for signal in [Signal::TERM, Signal::INT] {
        let _ = fs::remove_file(house.path("order"));
        ROOMS.iter().for_each(|room| drop(fs::remove_file(house.path(&format!("{room}.pid")))));
        let mut run = run_until_all_live(&house);
        run.signal(Signal::HUP);
        run.says(&["SIGHUP: the vault reads its policy again"]);
        for told in ["told-vault", "told-api"] {
            until(|| house.path(told).exists(), || run.log());
            fs::remove_file(house.path(told)).unwrap();
        }
        run.signal(signal);
        assert_eq!(run.end().code(), Some(0), "{}", run.log());
        let order = "api asked\napi done\ncourier asked\ncourier done\nvault asked\nvault done\n";
        assert_eq!(house.read("order"), order);
        assert!(FILES.iter().all(|name| !house.lane(name).exists()), "{signal:?}: sockets and address are removed");
    }
}

#[test]
fn the_port_is_closed_once_the_api_has_ended() {
    let house = House::new();
    house.room("api", "echo $$ > $H/api.pid; exec sleep 1000");
    house.room(
        "courier",
        "trap 'touch $H/asked; while :; do sleep 0.02; done' TERM; echo > $H/up; while :; do sleep 0.02; done",
    );
    let run = house.run();
    until(|| house.path("up").exists() && house.read("api.pid").ends_with('\n'), || run.log());
    let address = house.read("state/lanes/http");
    run.signal(Signal::TERM);
    until(|| house.path("asked").exists(), || run.log());
    assert!(TcpStream::connect(address.trim()).is_err(), "a client would wait in vain");
}

#[test]
fn a_room_that_does_not_end_is_killed_in_the_end() {
    let house = House::new();
    house.room("courier", "trap '' TERM; echo $$ > $H/courier.pid; while :; do sleep 0.1; done");
    let mut run = house.run();
    until(|| house.read("courier.pid").ends_with('\n'), || run.log());
    let asked = Instant::now();
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(12), "it has 12 s: {:?}", asked.elapsed());
    run.says(&["courier has not ended within 12 s and is killed"]);
    assert!(!lives(&house.read("courier.pid")));
}

#[test]
fn the_second_sigterm_does_not_wait() {
    let house = House::new();
    for room in ROOMS {
        house.room(room, &format!("trap '' TERM; echo $$ > $H/{room}.pid; while :; do sleep 0.1; done"));
    }
    let mut run = run_until_all_live(&house);
    let asked = Instant::now();
    run.signal(Signal::TERM);
    run.says(&["SIGTERM: the rooms end"]);
    run.signal(Signal::INT);
    assert_eq!(run.end().code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(pids(&house).iter().all(|pid| !lives(pid)));
}

#[test]
fn no_room_outlives_a_run_that_is_killed_and_the_next_run_clears_up() {
    let house = House::new();
    for room in ROOMS {
        house.room(room, &format!("echo $$ > $H/{room}.pid; exec sleep 1000"));
    }
    let mut killed = run_until_all_live(&house);
    killed.signal(Signal::KILL);
    killed.end();
    until(|| pids(&house).iter().all(|pid| !lives(pid)), || "the rooms' end".into());
    assert!(FILES.iter().all(|name| house.lane(name).exists()), "what a killed run leaves");

    ROOMS.iter().for_each(|room| fs::remove_file(house.path(&format!("{room}.pid"))).unwrap());
    let mut next = run_until_all_live(&house);
    UnixStream::connect(house.lane("admin.sock")).unwrap();
    next.signal(Signal::TERM);
    assert_eq!(next.end().code(), Some(0));
}

#[test]
fn a_second_run_is_refused_while_one_lives() {
    let house = House::new();
    let first = house.run();
    first.says(&["listening on"]);
    let second = house.output(&["run"]);
    let words = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{words}");
    assert!(words.contains("in use by another `signing-agent`"), "{words}");
    UnixStream::connect(house.lane("admin.sock")).unwrap();
}

#[test]
fn what_run_cannot_do_it_says() {
    let house = House::new();
    let run = |code: i32, words: &str| {
        let output = house.output(&["run"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with("signing-agent: ") && said.contains(words), "{said}");
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = house.read("agent.toml").replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    fs::write(house.path("agent.toml"), text).unwrap();
    run(1, "is another program listening there?");
    assert!(FILES.iter().all(|name| !house.lane(name).exists()), "nothing is left behind");

    house.configure("[log]\nlevle = \"info\"\n");
    run(78, "agent.toml:8:1: unknown key \"levle\" in [log]; did you mean \"level\"?");

    house.configure("");
    if !Path::new("/usr/libexec/signing-agent/signing-agent-courier").exists() {
        fs::remove_file(house.path("signing-agent-courier")).unwrap();
        run(1, "signing-agent-courier is neither beside this program nor in /usr/libexec/signing-agent");
        house.room("courier", IDLE);
    }
    let text = house.read("agent.toml").replace("\"state\"", &format!("\"{}\"", "x".repeat(108)));
    fs::write(house.path("agent.toml"), text).unwrap();
    run(1, "a socket's path has at most 107 octets");

    house.configure("");
    fs::write(house.path("blocked"), "").unwrap();
    let text = house.read("agent.toml").replace("\"state\"", "\"blocked/state\"");
    fs::write(house.path("agent.toml"), text).unwrap();
    run(1, "blocked/state");
}

#[test]
fn a_room_does_not_start_for_a_parent_that_has_gone() {
    let house = House::new();
    let shim = |parent: u32| {
        let mut command = house.command(&["shim", "--parent", &parent.to_string(), "--", "/bin/sh", "-c"]);
        command.arg("echo $LISTEN_PID $$; exit 7");
        house::output(command)
    };
    let orphan = shim(1);
    assert_eq!((orphan.status.code(), orphan.stdout.as_slice()), (Some(1), &b""[..]));
    let child = shim(std::process::id());
    let told = String::from_utf8(child.stdout).unwrap();
    let pids: Vec<&str> = told.split_whitespace().collect();
    assert_eq!((child.status.code(), pids.len(), pids[0]), (Some(7), 2, pids[1]));
}

/// Root's `init` beside a service that is not up must not leave files that the service cannot read.
#[test]
fn another_users_state_directory_is_left_alone() {
    let house = House::new();
    let state = house.path("state");
    fs::create_dir(&state).unwrap();
    if std::os::unix::fs::chown(&state, Some(65534), None).is_err() {
        eprintln!("NOT LOOKED AT: another user's state directory: giving one away takes root");
        return;
    }
    for command in ["run", "init"] {
        let output = house.output(&[command]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(
            said.contains("another user (65534)") && said.contains("systemctl start signing-agent.target"),
            "{said}"
        );
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "{command}");
    }
}
