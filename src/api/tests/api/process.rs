//! The program itself: its socket is handed over as systemd does it, its exit codes tell how it ended.

use crate::support::{PATIENCE, Reply, Vault, WELL, connect, registered, request};
use command_fds::{CommandFdExt, FdMapping};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_signing-agent-api");
const CONFIG: &str = r#"
[backend]
url = "https://backend.example/api/v1/p"
[hsm]
module = "/nowhere/module.so"
[log]
level = "trace"
"#;

/// The program with a listener as its descriptor 3. The shell stands for the supervisor's shim: `LISTEN_PID` must be the
/// process' own.
fn start(listener: &TcpListener, lane: &Path, config: &Path) -> Child {
    let socket: OwnedFd = listener.try_clone().unwrap().into();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" --config \"$1\"", PROGRAM])
        .arg(config)
        .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "http")])
        .env(ipc::LANE_VARIABLE, lane)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .fd_mappings(vec![FdMapping { parent_fd: socket, child_fd: 3 }])
        .unwrap();
    command.spawn().unwrap()
}

struct Place {
    listener: TcpListener,
    addr: SocketAddr,
    config: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

fn place(config: &str) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing-agent.toml");
    std::fs::write(&path, config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    Place { listener, addr, config: path, _dir: dir }
}

fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    let mut stream = connect(addr);
    stream.write_all(request(method, path, "Connection: close\r\n", body).as_bytes()).unwrap();
    Reply::read(&mut stream)
}

/// Waits, and looks that nothing of the registration is in the log.
fn ended(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("the-api-key") && !log.contains("dGhlIHBlbQ"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    output
}

#[test]
fn it_retires_after_a_registration_and_a_fresh_one_takes_over_on_the_same_socket() {
    let place = place(CONFIG);
    let vault = Vault::new(Box::new(registered));
    let first = start(&place.listener, &vault.lane, &place.config);
    let reply = ask(place.addr, "POST", "/api/v1/register", WELL);
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(reply.json()["feedURL"], format!("ws://{}/api/v1/client/feed", place.addr));
    // A client that comes while nobody accepts waits in the backlog.
    let mut early = connect(place.addr);
    early.write_all(request("GET", "/api/v1/client", "Connection: close\r\n", "").as_bytes()).unwrap();
    let output = ended(first);
    assert_eq!(output.status.code(), Some(i32::from(ipc::EXIT_RETIRED)));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("/api/v1/register"), "{log}");

    let vault = Vault::new(Box::new(registered));
    let second = start(&place.listener, &vault.lane, &place.config);
    assert_eq!(Reply::read(&mut early).json()["agentID"], "5zPW");
    vault.hang_up();
    assert_eq!(ended(second).status.code(), Some(i32::from(ipc::EXIT_LANE_LOST)));
}

#[test]
fn it_stops_cleanly_when_told() {
    let place = place(CONFIG);
    let vault = Vault::new(Box::new(registered));
    let child = start(&place.listener, &vault.lane, &place.config);
    let shown = ask(place.addr, "GET", "/api/v1/healthcheck/config", "").json();
    assert_eq!(shown["backend"]["url"], "https://backend.example/api/v1/p");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(ended(child).status.code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_any_more_does_not_end_it() {
    let place = place(CONFIG);
    let vault = Vault::new(Box::new(registered));
    let mut child = start(&place.listener, &vault.lane, &place.config);
    drop(child.stderr.take());
    for _ in 0..3 {
        assert_eq!(ask(place.addr, "GET", "/api/v1/client", "").status, 200);
    }
    // Clients that hang up before their answer do no harm either (EPIPE, not SIGPIPE).
    for _ in 0..20 {
        connect(place.addr).write_all(request("GET", "/api/v1/client", "", "").as_bytes()).unwrap();
    }
    assert_eq!(ask(place.addr, "GET", "/api/v1/client", "").status, 200);
    vault.hang_up();
    assert_eq!(ended(child).status.code(), Some(i32::from(ipc::EXIT_LANE_LOST)));
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let well = place(CONFIG);
    let nowhere = Path::new("/nowhere/api.sock");
    let output = ended(start(&well.listener, nowhere, &well.config));
    assert_eq!(output.status.code(), Some(i32::from(ipc::EXIT_LANE_LOST)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/api.sock"));

    let broken = place("[backend]\nurl = 7\n");
    let output = ended(start(&broken.listener, nowhere, &broken.config));
    assert_eq!(output.status.code(), Some(i32::from(ipc::EXIT_CONFIG)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("signing-agent.toml:2:"));

    let run = |arguments: &[&str]| Command::new(PROGRAM).args(arguments).output().unwrap();
    let output = run(&["--config", well.config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no sockets were handed over"));
    for wrong in [["--listen"].as_slice(), &["--config"], &["serve"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = run(&["--version"]);
    assert_eq!(output.stdout, format!("signing-agent-api {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}
