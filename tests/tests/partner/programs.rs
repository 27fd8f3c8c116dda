//! The examples of partner apps, docs/examples/partner.py and partner.mjs, as they stand in the documents.

use crate::agent::{Agent, Door, SCOPES, authority, certify};
use serde_json::json;
use signing_agent_tests::{Settings, Signal, signal, until};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The system's own, which Debian's python3-websocket is for.
const PYTHON: &str = "/usr/bin/python3";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Example {
    Python,
    Node,
}

const BOTH: [Example; 2] = [Example::Python, Example::Node];

impl Example {
    fn file(self) -> PathBuf {
        let name = if self == Example::Python { "partner.py" } else { "partner.mjs" };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name)
    }

    /// Not started; with nothing in its environment but what it needs.
    fn command(self, agent: &Agent, variables: &[(&str, PathBuf)]) -> Command {
        let mut command = Command::new(if self == Example::Python { PYTHON } else { "node" });
        command.arg(self.file()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        // Debian's own node looks there by itself; others are told.
        command.env("NODE_PATH", "/usr/share/nodejs").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SIGNING_AGENT_URL", agent.url());
        command.envs(variables.iter().map(|(name, path)| (format!("SIGNING_AGENT_{name}_FILE"), path)));
        command
    }
}

/// Files that an app is told of, by the names of their variables.
type Brought = Vec<(&'static str, PathBuf)>;

/// What an app brings to this agent.
fn brought(agent: &Agent) -> Brought {
    let mut files = Vec::new();
    if agent.token.is_some() {
        files.push(("TOKEN", agent.path("app-token")));
    }
    if agent.door != Door::Token {
        files.push(("CA", agent.path("ca.pem")));
    }
    if agent.door == Door::Certificate {
        files.extend([("CERT", agent.path("my-app.pem")), ("KEY", agent.path("my-app.key"))]);
    }
    files
}

struct App {
    child: Child,
    said: PathBuf,
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl App {
    fn start(agent: &Agent, mut command: Command, decisions: usize) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let said = agent.path(&format!("said-{}", NUMBER.fetch_add(1, Ordering::SeqCst)));
        let file = File::create(&said).unwrap();
        command.arg(decisions.to_string()).stdin(Stdio::null());
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn says(&self, words: &str) {
        until(&format!("the app says {words:?}"), || self.said().contains(words), || self.said());
    }

    /// Waits for its end; its exit status.
    fn ends(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// It registers the agent, hears the feed, approves transfers, declines the rest, and ends.
fn lives(example: Example, door: Door) {
    let mut agent = Agent::start(door);
    let registration = ("REGISTRATION", agent.registration());
    let files = [brought(&agent), vec![registration]].concat();
    for second in [false, true] {
        // The second time it is registered already, and goes on.
        let mut app = App::start(&agent, example.command(&agent, &files), 3);
        app.says("agent ");
        agent.listeners(1);
        agent.house.wait("feeds=1");
        agent.house.control("POST", "/feed", Some(json!({"raw": "no JSON"})));
        agent.house.control("POST", "/feed", Some(json!({"raw": "[\"no action\"]"})));
        let ids = ["transfer", "withdraw", "transfer"].map(|kind| agent.order(json!({"kind": kind})));
        assert_eq!(app.ends(), Some(0), "{}\n{}", app.said(), agent.house.log());
        let (said, code) = (app.said(), agent.house.control("GET", "/agents", None)[0]["accountCode"].clone());
        assert!(said.starts_with(&format!("agent {}\n", code.as_str().unwrap())), "{said}");
        for (id, status) in ids.iter().zip(["approved", "rejected", "approved"]) {
            agent.ended(id, status);
            assert!(said.contains(&format!("{status} {id} Approve")), "second time {second}: {said}");
        }
        assert_eq!(said.lines().count(), 4, "{said}");
        agent.listeners(0);
    }
    agent.house.assert_no_panic();
}

#[test]
fn the_python_example_decides_with_a_token() {
    lives(Example::Python, Door::Token);
}

#[test]
fn the_python_example_decides_with_a_token_over_tls() {
    lives(Example::Python, Door::TokenOverTls);
}

#[test]
fn the_python_example_decides_with_a_certificate() {
    lives(Example::Python, Door::Certificate);
}

#[test]
fn the_node_example_decides_with_a_token() {
    lives(Example::Node, Door::Token);
}

#[test]
fn the_node_example_decides_with_a_token_over_tls() {
    lives(Example::Node, Door::TokenOverTls);
}

#[test]
fn the_node_example_decides_with_a_certificate() {
    lives(Example::Node, Door::Certificate);
}

/// A registered agent, by its own words.
fn registered(door: Door, settings: Settings) -> Agent {
    let mut agent = Agent::with(door, settings);
    let body = fs::read_to_string(agent.registration()).unwrap();
    let (host, header, length) = (agent.address(), agent.header(), body.len());
    let request =
        format!("POST /api/v1/register HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: {length}\r\n\r\n{body}");
    let reply = crate::agent::exchange(&mut *agent.wire(), &request).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.json());
    agent.house.wait("feeds=1");
    agent
}

#[test]
fn the_examples_open_the_feed_again_when_it_ends() {
    for example in BOTH {
        let agent = registered(Door::Token, Settings::default());
        let mut app = App::start(&agent, example.command(&agent, &brought(&agent)), 2);
        agent.listeners(1);
        let first = agent.order(json!({}));
        app.says(&format!("approved {first} "));
        let api = agent.house.rooms().into_iter().find(|(name, _)| name == "api").unwrap().1;
        signal(api, Signal::KILL);
        app.says("the feed has ended");
        agent.listeners(1);
        let second = agent.order(json!({}));
        assert_eq!(app.ends(), Some(0), "{}", app.said());
        agent.ended(&first, "approved");
        agent.ended(&second, "approved");
    }
}

#[test]
fn the_examples_decide_what_was_held_before_they_came() {
    for example in BOTH {
        let agent = registered(Door::Token, Settings::default());
        let ids = ["transfer", "withdraw"].map(|kind| agent.order(json!({"kind": kind})));
        ids.iter().for_each(|id| agent.house.logged(&["held: ", id]));
        let mut app = App::start(&agent, example.command(&agent, &brought(&agent)), 2);
        assert_eq!(app.ends(), Some(0), "{}", app.said());
        agent.ended(&ids[0], "approved");
        agent.ended(&ids[1], "rejected");
    }
}

#[test]
fn the_examples_say_that_the_policy_denies_and_that_a_token_may_not_decide_and_go_on() {
    const DENY: &str = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\nkinds = [\"wallet\"]\n";
    for example in BOTH {
        let mut agent = registered(Door::Token, Settings::with_policy(DENY));
        let command = |agent: &Agent| example.command(agent, &brought(agent));
        let mut app = App::start(&agent, command(&agent), 1);
        agent.listeners(1);
        let id = agent.order(json!({}));
        assert_eq!(app.ends(), Some(0), "{}", app.said());
        assert!(app.said().contains(&format!("refused 403 {id} ApproveTransfer ")), "{}", app.said());
        agent.house.put_policy("release = \"client\"\n");
        assert!(agent.house.output(&["policy", "reload"]).status.success());
        let reader = agent.add_token("reader", "read,feed");
        fs::write(agent.path("app-token"), &reader).unwrap();
        agent.token = Some(reader);
        let mut app = App::start(&agent, command(&agent), 1);
        agent.listeners(1);
        let id = agent.order(json!({}));
        assert_eq!(app.ends(), Some(0), "{}", app.said());
        let said = app.said();
        assert!(said.contains(&format!("refused 403 {id} ")) && said.contains("token-scope"), "{said}");
        agent.ended(&id, "pending");
    }
}

#[test]
fn the_examples_go_on_where_an_action_takes_the_token_that_they_have_not() {
    let agent = registered(Door::Certificate, Settings::with_policy("release = \"token\"\n"));
    for example in BOTH {
        let mut app = App::start(&agent, example.command(&agent, &brought(&agent)), 2);
        agent.listeners(1);
        let ids = ["transfer", "withdraw"].map(|kind| agent.order(json!({"kind": kind})));
        assert_eq!(app.ends(), Some(0), "{}", app.said());
        let said = app.said();
        for id in ids {
            assert!(said.contains(&format!("refused 401 {id} Approve")) && said.contains("token-needed"), "{said}");
            agent.ended(&id, "pending");
            assert_eq!(agent.house.output(&["reject", &id]).status.code(), Some(0));
        }
    }
}

/// They end by themselves, not well, and say why; what they say has no token in it. All at once: who is not
/// let in by TLS tries for seconds.
fn refused(agent: &Agent, cases: &[(Brought, &[&str])]) {
    let all = cases.iter().flat_map(|(files, words)| BOTH.map(|example| (example, files, words)));
    let started: Vec<_> = all
        .map(|(example, files, words)| (App::start(agent, example.command(agent, files), 1), example, words))
        .collect();
    for (mut app, example, words) in started {
        assert_eq!(app.ends(), Some(1), "{example:?}: {}", app.said());
        let said = app.said();
        assert!(words.iter().any(|words| said.contains(words)), "{example:?}: {said}");
        assert!(!said.contains("signing-agent-"), "{said}");
    }
}

#[test]
fn an_example_with_a_wrong_token_or_none_ends_and_says_so() {
    let agent = registered(Door::Token, Settings::default());
    let (wrong, deaf) = (agent.path("wrong"), agent.path("deaf"));
    fs::write(&wrong, "signing-agent-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").unwrap();
    fs::write(&deaf, agent.add_token("deaf", "read,decide")).unwrap();
    refused(
        &agent,
        &[
            (vec![("TOKEN", wrong)], &["token-unknown"]),
            (vec![], &["token-missing"]),
            (vec![("TOKEN", deaf)], &["no feed for this app"]),
        ],
    );
}

#[test]
fn an_example_believes_no_agent_whose_certificate_it_does_not_know_and_shows_it_no_token() {
    let agent = registered(Door::TokenOverTls, Settings::default());
    authority(agent.house.dir.path(), "other");
    let token = ("TOKEN", agent.path("unseen"));
    fs::write(&token.1, agent.add_token("unseen", SCOPES)).unwrap();
    let unknown = &["unable to get local issuer", "unable to verify", "self-signed", "self signed", "verify failed"];
    let other = vec![token.clone(), ("CA", agent.path("other.pem"))];
    refused(&agent, &[(vec![token.clone()], unknown), (other, unknown)]);
    let used = || {
        let list = agent.house.output(&["token", "list", "--json"]).stdout;
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        list.as_array().unwrap().iter().find(|one| one["name"] == "unseen").unwrap()["used"].clone()
    };
    assert_eq!(used(), json!(null));
    // It would have been seen.
    let files = [token, ("CA", agent.path("ca.pem"))];
    let app = App::start(&agent, Example::Python.command(&agent, &files), 1);
    app.says("agent ");
    until("the token was used", || used() != json!(null), || used().to_string());
}

#[test]
fn an_example_without_the_right_certificate_ends_and_says_so() {
    let agent = registered(Door::Certificate, Settings::default());
    authority(agent.house.dir.path(), "other");
    certify(agent.house.dir.path(), "other", "stranger", "extendedKeyUsage=clientAuth\n");
    let ca = ("CA", agent.path("ca.pem"));
    let stranger = vec![ca.clone(), ("CERT", agent.path("stranger.pem")), ("KEY", agent.path("stranger.key"))];
    let words = &["no agent (0): GET /client: "];
    refused(&agent, &[(vec![ca], words), (stranger, words)]);
}

#[test]
fn the_examples_have_less_than_a_hundred_lines_and_need_what_debian_has() {
    for example in BOTH {
        let text = fs::read_to_string(example.file()).unwrap();
        assert!(text.lines().count() < 100, "{example:?}: {}", text.lines().count());
        assert!(text.lines().all(|line| line.len() <= 140), "{example:?}");
    }
    let python = Command::new(PYTHON).args(["-c", "import websocket"]).status().unwrap();
    let node = Command::new("node").args(["-e", "require('ws')"]).env("NODE_PATH", "/usr/share/nodejs").status();
    assert!(python.success() && node.unwrap().success(), "`make tools` installs what they need");
}
