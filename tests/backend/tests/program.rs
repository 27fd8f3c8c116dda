#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use custody_simulator::{Options, Simulator, call};
use serde_json::Value;

fn run(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_custody-simulator"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn it_says_where_it_is_and_ends_when_its_input_closes() {
    let (mut child, places) = run(&["--until-stdin-closes", "--resource", "coreclient"]);
    let control = places["control"].as_str().unwrap().to_owned();
    assert!(places["url"].as_str().unwrap().ends_with("/api/v1/p"));
    assert!(places["feed"].as_str().unwrap().ends_with("/api/v1/p/coreclient/feed"));
    assert_eq!(call("GET", &format!("{control}/stats"), &[], b"").unwrap().status, 200);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_ends_on_sigterm() {
    let (mut child, _) = run(&[]);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_listens_on_loopback_only_and_stops_with_its_handle() {
    let anywhere = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    assert!(Simulator::start(anywhere).is_err());
    for base in ["api", "/api/", "/{a}"] {
        assert!(Simulator::start(Options { base: base.into(), ..Options::default() }).is_err());
    }
    let simulator = Simulator::start(Options::default()).unwrap();
    let address = simulator.control().replace("http://", "").replace("/control", "");
    assert!(TcpStream::connect(&address).is_ok());
    drop(simulator);
    assert!(TcpStream::connect(&address).is_err());
}
