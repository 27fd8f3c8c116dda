//! `signing-agent actions …` against a vault that a test plays.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::{House, fresh, texts, until, vault};
use ipc::{ActionId, ActionLine, ActionList, ActionQuery, ActionState, ActionStory, Answer, Ask, Moment};
use rustix::process::Signal;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

fn line(n: u64, state: ActionState) -> ActionLine {
    ActionLine {
        id: ActionId::try_from(format!("w{n}")).unwrap(),
        state,
        claim: Some("ApproveWithdraw\x1b[2J".into()),
        expires: None,
        seen: 1_000_000 + n,
        settled: None,
        verdict: None,
        rule: None,
        why: None,
        decided_by: None,
        facts: "0.5 ETH".into(),
    }
}

/// The actions that a vault knows.
type Known = Arc<Mutex<Vec<ActionLine>>>;

/// Answers as the vault does: the newest first, in pages.
fn answer(known: &Known, ask: &Ask) -> Answer {
    let mut all = known.lock().unwrap().clone();
    all.sort_by_key(|line| std::cmp::Reverse((line.seen, line.id.clone())));
    match ask {
        Ask::Actions(ActionQuery { states, since, after, limit }) => {
            let behind = |line: &ActionLine| after.as_ref().is_none_or(|after| (line.seen, line.id.clone()) < *after);
            all.retain(|line| {
                (states.is_empty() || states.contains(&line.state)) && line.seen >= *since && behind(line)
            });
            let more = all.len() > usize::from(*limit);
            all.truncate((*limit).into());
            let next = all.last().filter(|_| more).map(|last| (last.seen, last.id.clone()));
            Answer::ActionList(ActionList { actions: all, next })
        }
        Ask::ActionStory(id) => {
            let story = |line: ActionLine| ActionStory {
                line,
                policy: None,
                release: Some("anybody".into()),
                approvals: Vec::new(),
                digests: vec!["cd34".into()],
                facts: vec!["0.5 ETH".into()],
                timeline: vec![Moment { record: 1, at: 2, what: "judged".into(), words: "hold".into() }],
            };
            Answer::ActionStory(all.into_iter().find(|line| line.id == *id).map(|line| Box::new(story(line))))
        }
        Ask::Status => Answer::Status(Box::new(fresh())),
        _ => Answer::Noted,
    }
}

fn known(house: &House, all: Vec<ActionLine>) -> (Known, Arc<Mutex<Vec<Ask>>>) {
    let known = Arc::new(Mutex::new(all));
    let own = known.clone();
    let asked = vault(&house.lane("admin.sock"), move |ask| answer(&own, ask));
    (known, asked)
}

#[test]
fn a_list_takes_as_many_pages_as_it_needs_and_says_where_there_is_more() {
    let house = House::new();
    let (_, asked) = known(&house, (0..450).map(|n| line(n, ActionState::Held)).collect());
    let (code, out, err) = texts(&house.output(&["actions", "list", "--limit", "420"]));
    assert_eq!((code, out.lines().count()), (Some(0), 421), "{err}");
    assert_eq!(asked.lock().unwrap().len(), 3, "200 each");
    assert!(err.contains("there are more: --limit 1680") && !out.contains('\x1b'), "{err}");
    let (_, out, err) = texts(&house.output(&["actions", "list", "--limit", "500", "--json"]));
    let all: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((all["actions"].as_array().unwrap().len(), &all["more"], err.as_str()), (450, &false.into(), ""));
    assert_eq!((&all["actions"][0]["actionID"], &all["actions"][0]["status"]), (&"w449".into(), &"held".into()));
}

#[test]
fn a_list_is_of_the_states_and_the_time_that_were_asked_for() {
    let house = House::new();
    let (_, asked) = known(&house, vec![line(1, ActionState::Held), line(2, ActionState::Approved)]);
    let (code, out, _) = texts(&house.output(&["actions", "list", "--status", "held,seen", "--since", "1000001"]));
    assert_eq!(code, Some(0));
    assert!(out.contains("w1") && !out.contains("w2"), "{out}");
    let Ask::Actions(query) = asked.lock().unwrap()[0].clone() else { panic!() };
    assert_eq!((query.states, query.since), (vec![ActionState::Held, ActionState::Seen], 1_000_001));
    let (code, out, _) = texts(&house.output(&["actions", "list", "--status", "failed"]));
    assert_eq!((code, out.as_str()), (Some(0), "There are no such actions.\n"));
}

#[test]
fn a_story_is_told_and_of_what_is_not_known_that_it_is_not() {
    let house = House::new();
    known(&house, vec![line(1, ActionState::Held)]);
    let (code, out, _) = texts(&house.output(&["actions", "show", "w1"]));
    assert!(code == Some(0) && out.starts_with("w1: held\n") && !out.contains('\x1b'), "{out:?}");
    let (code, out, err) = texts(&house.output(&["actions", "show", "w2"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("the ledger has no action w2"), "{err}");
}

#[test]
fn a_watch_in_a_pipe_is_a_line_for_each_change_until_ctrl_c() {
    let house = House::new();
    let (known, _) = known(&house, vec![line(1, ActionState::Approved), line(2, ActionState::Held)]);
    let out = house.path("out");
    let mut command = house.command(&["actions", "watch", "--every", "1s"]);
    let mut watch = {
        command.stdout(File::create(&out).unwrap()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let told =
        |n: usize| until(|| house.read("out").lines().count() == n, || format!("{n} lines in {}", house.read("out")));
    told(1);
    assert!(house.read("out").contains("held       w2  ApproveWithdraw [2J: 0.5 ETH\n"), "{}", house.read("out"));
    known.lock().unwrap()[1].state = ActionState::Approving;
    told(2);
    known.lock().unwrap()[1].state = ActionState::Approved;
    known.lock().unwrap().push(line(3, ActionState::Rejected));
    told(4);
    assert!(!house.read("out").contains("w1"), "{}", house.read("out"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&watch), Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[test]
fn a_watch_ends_where_nobody_is_there_at_its_start_and_where_nobody_reads() {
    let house = House::new();
    assert_eq!(texts(&house.output(&["actions", "watch"])).0, Some(3));
    let (known, _) = known(&house, vec![line(1, ActionState::Held)]);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(ours);
    let mut command = house.command(&["actions", "watch", "--json"]);
    command.stdout(std::os::fd::OwnedFd::from(theirs)).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    drop(known);
}

#[test]
fn on_a_terminal_a_watch_is_a_table_and_leaves_the_terminal_as_it_was() {
    for end in [&b"q"[..], b"\x03"] {
        let house = House::new();
        known(&house, vec![line(1, ActionState::Held)]);
        let typed = "exec ".to_owned()
            + &house.path("signing-agent").display().to_string()
            + " --config agent.toml actions watch";
        let mut command = std::process::Command::new("script");
        command
            .args(["-qfec", &typed, "out"])
            .current_dir(house.dir.path())
            // A shell that is not replaced by it would say by itself that it was interrupted.
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut script = command.spawn().expect("util-linux's script is there");
        until(|| house.read("out").contains("w1"), || house.read("out"));
        script.stdin.as_mut().unwrap().write_all(end).unwrap();
        until(|| script.try_wait().unwrap().is_some(), || house.read("out"));
        let out = house.read("out");
        assert!(out.contains("\x1b[?1049h") && out.contains("\x1b[?25h\x1b[?1049l"), "{out:?}");
        assert!(out.contains("\x1b[33mheld\x1b[0m") && !out.contains("\x1b[2J"), "{out:?}");
        assert_eq!(script.wait().unwrap().code(), Some(0), "{out:?}");
    }
}
