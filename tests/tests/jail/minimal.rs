//! The filters allow what the rooms do, and nothing that no room does: a whole house at work under strace, in its jail, and each
//! rule that nothing of it needed must say in its comment that it is untraced, and when it is needed.

use serde_json::Value;
use signing_agent_tests::{APPROVE_ALL, Client, House, Pki, Settings, Signal, binary, looks_inside, signal, until};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Number of arguments, and the arguments, of each system call made by one room.
type Calls = BTreeMap<String, BTreeSet<Vec<u64>>>;

/// `PID<comm> name(0x1, 0x2) = 0` or `PID<comm> name(0x1 <unfinished ...>`: the kernel's name of the process tells the room.
/// What a room calls before its filter stands does not count. A trace has one vault; a door is one thread.
fn read(trace: &str, jailed: &mut BTreeMap<&'static str, Calls>) {
    let mut sealed: BTreeSet<&str> = BTreeSet::new();
    for line in trace.lines() {
        let Some((who, what)) = line.split_once(char::is_whitespace) else { continue };
        let room = match who.split_once('<').map(|(_, comm)| comm.trim_end_matches('>')) {
            Some("signing-agent-a") => "api",
            Some("signing-agent-c") => "courier",
            Some("signing-agent-v") => "vault",
            _ => continue,
        };
        let one = if room == "vault" { room } else { who };
        let Some((name, rest)) = what.trim_start().split_once('(') else { continue };
        if name == "seccomp" {
            sealed.insert(one);
            continue;
        }
        if !sealed.contains(one) || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let numbers = rest.split([')', '<']).next().unwrap_or_default().split(", ");
        let number = |text: &str| {
            let text = text.trim();
            text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
        };
        let arguments = numbers.map_while(number).collect();
        jailed.entry(room).or_default().entry(name.to_owned()).or_default().insert(arguments);
    }
}

fn rules(room: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/seccomp/x86_64").join(format!("{room}.json"));
    let filters: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    filters["allow"]["filter"].as_array().unwrap().clone()
}

fn was_needed(rule: &Value, calls: &Calls, pids: &BTreeSet<u64>) -> bool {
    let Some(made) = calls.get(rule["syscall"].as_str().unwrap()) else { return false };
    let empty = Vec::new();
    let conditions = rule["args"].as_array().unwrap_or(&empty);
    made.iter().any(|arguments| {
        conditions.iter().all(|condition| {
            let mask = condition["op"]["masked_eq"].as_u64().unwrap_or(u64::MAX);
            let mask = if condition["type"] == "dword" { mask & 0xffff_ffff } else { mask };
            let Some(given) = arguments.get(usize::try_from(condition["index"].as_u64().unwrap()).unwrap()) else {
                return false;
            };
            match condition["val"].as_u64() {
                Some(value) => given & mask == value,
                None => pids.contains(given),
            }
        })
    })
}

/// All that a house does in its usual days.
fn a_usual_day(house: &mut House) {
    assert_eq!(house.register("traced").status, 200, "{}", house.log());
    house.wait("feeds=1");
    house.order(serde_json::json!({"count": 20}));
    house.wait("settled=20");
    let held = house.order(serde_json::json!({"kind": "withdraw"})).remove(0);
    until("it is held", || house.approve(&held).status == 200, || house.log());
    for command in [&["status"][..], &["freeze"], &["unfreeze"], &["audit", "export"]] {
        let output = house.output(command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The backend goes away and comes back.
    house.fault("put", serde_json::json!({"dropAfter": true}), 1);
    house.order(serde_json::json!({}));
    house.wait("settled=22");
    let (_, api) = house.rooms().into_iter().find(|(name, _)| name == "api").unwrap();
    signal(api, Signal::HUP);
    house.logged(&["nothing is reloaded on SIGHUP"]);
}

#[test]
fn what_a_filter_allows_is_needed_or_explained() {
    if !cfg!(target_arch = "x86_64") || !looks_inside() {
        eprintln!("NOT LOOKED AT: which allowed calls are made: that takes strace, x86-64 and CAP_SYS_PTRACE");
        return;
    }
    let mut house = House::empty(Settings::with_policy(&format!(
        "{APPROVE_ALL}\n[[rule]]\nname = \"people\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\n"
    )));
    // By name, so that the courier resolves one.
    let text = std::fs::read_to_string(house.config()).unwrap().replace("http://127.0.0.1:", "http://localhost:");
    std::fs::write(house.config(), text).unwrap();
    let trace = house.dir.path().join("trace");
    let traced = |house: &House, arguments: &[&str], file: &Path| {
        // As a grandchild (-D), so that the agent stays this test's own child.
        let mut strace = Command::new("strace");
        strace.args(["-D", "-f", "-Y", "-qq", "-e", "signal=none", "-e", "raw=!execve", "-o"]).arg(file);
        strace.arg(binary("signing-agent")).args(arguments).arg("--config").arg(house.config());
        strace.env("SOFTHSM2_CONF", &house.token.conf);
        strace
    };
    let (first, second) = (trace.with_extension("init"), trace.with_extension("run"));
    assert!(traced(&house, &["init"], &first).output().expect("strace is installed").status.success());
    let run = traced(&house, &["run"], &second);
    house.run_by(run);
    until("the agent is ready", || house.ask("GET", "/api/v1/healthcheck/ready", "").status == 200, || house.log());
    a_usual_day(&mut house);
    assert!(house.stop().success(), "{}", house.log());
    assert!(!house.log().contains("SIGSYS"), "{}", house.log());

    // Once more with TLS, whose files are read again.
    let pki = Pki::default();
    house.settings.api += &format!("\n{}", pki.house(house.dir.path()));
    house.settings.client = Client::https(&pki, None);
    house.write_config();
    let third = trace.with_extension("tls");
    let run = traced(&house, &["run"], &third);
    house.run_by(run);
    until("the agent is ready", || house.ask("GET", "/api/v1/healthcheck/ready", "").status == 200, || house.log());
    signal(house.rooms().into_iter().find(|(name, _)| name == "api").unwrap().1, Signal::HUP);
    house.logged(&["the TLS files were read again"]);
    assert!(house.stop().success(), "{}", house.log());

    let traces = [first, second, third].map(|file| std::fs::read_to_string(file).unwrap());
    let mut jailed = BTreeMap::new();
    traces.iter().for_each(|trace| read(trace, &mut jailed));
    let pids = traces.iter().flat_map(|trace| trace.lines());
    let pids = pids.filter_map(|line| line.split('<').next()?.trim().parse().ok()).collect();
    let mut unexplained = Vec::new();
    for (room, file) in [("api", "api"), ("api", "api-tls"), ("courier", "courier"), ("vault", "vault")] {
        let calls = &jailed[room];
        assert!(calls.len() > 15, "{room}: the trace shows {calls:?}");
        for rule in rules(file) {
            let untraced = rule["comment"].as_str().unwrap().starts_with("untraced:");
            if !untraced && !was_needed(&rule, calls, &pids) {
                unexplained.push(format!("{file}: {rule}"));
            }
        }
    }
    assert!(unexplained.is_empty(), "allowed, never used, and not explained:\n{}", unexplained.join("\n"));
}
