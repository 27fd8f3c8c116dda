//! The whole house: a token, a simulated backend, and the agent's binaries under `signing-agent run`.

use crate::{Client, Token};
use custody_simulator::{Options, Reply, Simulator, call};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A policy that approves every wallet asset.
pub const APPROVE_ALL: &str = "[[rule]]\nname = \"everything\"\nverdict = \"approve\"\nunlimited = true\n";

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a house is built with.
#[derive(Clone)]
pub struct Settings {
    /// `policy.toml`; none if absent.
    pub policy: Option<String>,
    pub recovery: Vec<String>,
    pub log_level: &'static str,
    pub simulator: Options,
    /// Where the binaries are, if not beside this one.
    pub bin: Option<PathBuf>,
    /// The M-Pin PIN.
    pub pin: u64,
    /// More of the configuration, whole sections.
    pub more: String,
    /// More of `[api]`, whole lines: who is let in.
    pub api: String,
    /// How the house's own questions come to the door: plain and with nothing, unless it says otherwise.
    pub client: Client,
    /// More of `[hsm]`, whole lines.
    pub hsm: String,
    /// A module in the place of the token's own.
    pub module: Option<PathBuf>,
    /// What the agent has in its environment besides.
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: None,
            recovery: Vec::new(),
            log_level: "debug",
            simulator: Options::default(),
            bin: None,
            pin: 0,
            more: String::new(),
            api: "auth = \"none\"".into(),
            client: Client::default(),
            hsm: String::new(),
            module: None,
            environment: Vec::new(),
        }
    }
}

impl Settings {
    pub fn with_policy(policy: &str) -> Self {
        Self { policy: Some(policy.to_owned()), ..Self::default() }
    }
}

/// Dropping it stops the agent and removes its directory.
pub struct House {
    pub dir: TempDir,
    pub token: Token,
    pub simulator: Simulator,
    pub settings: Settings,
    run: Option<Child>,
    partner: Option<Value>,
}

/// A program of this workspace, as built beside the running one.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let beside = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    beside.unwrap_or_else(|| panic!("{name} is not built: `cargo build --workspace --bins` first, as `make test` does"))
}

impl House {
    /// A token, a simulator and a configuration; nothing is initialised or started.
    pub fn empty(settings: Settings) -> Self {
        let dir = TempDir::with_prefix("signing-agent-").expect("a temporary directory");
        let token = Token::make(&dir.path().join("token"));
        let simulator = Simulator::start(settings.simulator.clone()).expect("the simulator starts");
        let house = Self { dir, token, simulator, settings, run: None, partner: None };
        house.write_config();
        house
    }

    /// An initialised house, running.
    pub fn start(settings: Settings) -> Self {
        let mut house = Self::empty(settings);
        let init = house.command(&["init"]).output().expect("init runs");
        assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        house.run();
        house
    }

    /// A running house whose agent is registered and has its feed open.
    pub fn registered(settings: Settings) -> Self {
        let mut house = Self::start(settings);
        let reply = house.register("test-agent");
        assert_eq!(reply.status, 200, "{}\n{}", String::from_utf8_lossy(&reply.body), house.log());
        house.wait("feeds=1");
        house
    }

    /// Writes the configuration, and the policy that it names, from the settings.
    pub fn write_config(&self) {
        let path = |path: &Path| toml_text(&path.display().to_string());
        let recovery: Vec<String> = self.settings.recovery.iter().map(|text| toml_text(text)).collect();
        let policy = match &self.settings.policy {
            Some(text) => {
                std::fs::write(self.dir.path().join("policy.toml"), text).expect("policy.toml is written");
                "[policy]\nfile = \"policy.toml\"\n"
            }
            None => "",
        };
        let text = format!(
            "[backend]\nurl = {url}\nresource = {resource}\npin = {mpin}\n\n[api]\nlisten = \"127.0.0.1:0\"\n{api}\n\n\
             [hsm]\nmodule = {module}\ntoken = {label}\npin_file = {pin}\n{hsm}\n\
             [sealing]\nrecovery_recipients = [{recovery}]\n\n{policy}\n\
             [state]\ndir = \"state\"\n\n[log]\nlevel = \"{level}\"\n{more}",
            url = toml_text(&self.simulator.url()),
            resource = toml_text(&self.settings.simulator.resource),
            module = path(self.settings.module.as_ref().unwrap_or(&self.token.module)),
            mpin = self.settings.pin,
            api = self.settings.api,
            hsm = self.settings.hsm,
            label = toml_text(&self.token.label),
            pin = path(&self.token.pin_file),
            recovery = recovery.join(", "),
            level = self.settings.log_level,
            more = self.settings.more,
        );
        std::fs::write(self.config(), text).expect("the configuration is written");
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("signing-agent.toml")
    }
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// `signing-agent ARGUMENTS --config …` with the token's environment, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = match &self.settings.bin {
            Some(dir) => dir.join("signing-agent"),
            None => binary("signing-agent"),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg("--config").arg(self.config()).env("SOFTHSM2_CONF", &self.token.conf);
        command.envs(self.settings.environment.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    /// What is told to a monitoring system now, by its whole name with labels; nothing where nobody answers.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let address = self.address();
        let reply = self.settings.client.call("GET", &address, "/metrics", b"");
        let text = reply.map(|reply| String::from_utf8_lossy(&reply.body).into_owned()).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("signing_agent_"));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// One of them, without labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics().get(name).copied()
    }

    /// Runs a command to its end.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("signing-agent starts")
    }

    /// Starts `signing-agent run`, and waits until its vault says that it is ready, or who asks is not let in.
    pub fn run(&mut self) {
        self.run_unready();
        let ready = |reply: &Reply| reply.status == 401 || reply.json()["Ready"] == true;
        until("the agent is ready", || self.health().is_some_and(|reply| ready(&reply)), || self.log());
    }

    /// Starts `signing-agent run`, and waits until its port is open.
    pub fn run_unready(&mut self) {
        self.run_by(self.command(&["run"]));
    }

    /// The same, by a command that becomes `signing-agent run`.
    pub fn run_by(&mut self, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("signing-agent starts");
        self.run = Some(child);
        until("the port is open", || self.state().join("lanes/http").exists(), || self.log());
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.run.take().expect("the agent runs");
        signal(child.id(), Signal::TERM);
        child.wait().expect("the agent ends")
    }

    /// SIGKILL to `run`, which takes the rooms with it; returns when the last of them is gone.
    pub fn kill(&mut self) {
        let rooms = self.rooms();
        let mut child = self.run.take().expect("the agent runs");
        child.kill().expect("it can be killed");
        child.wait().expect("the agent ends");
        let gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
        until("the rooms are gone", || rooms.iter().all(|(_, pid)| gone(*pid)), String::new);
        let _ = std::fs::remove_file(self.state().join("lanes/http"));
    }

    /// Whether this user may look into the rooms. Who may not is shown to be refused, and told what is not looked at.
    pub fn may_look_inside(&self, what: &str) -> bool {
        if crate::looks_inside() {
            return true;
        }
        for (name, pid) in self.rooms() {
            assert!(File::open(format!("/proc/{pid}/mem")).is_err(), "{name} can be read by its own user");
        }
        eprintln!("NOT LOOKED AT: {what}: that takes CAP_SYS_PTRACE (root; in a container --cap-add SYS_PTRACE)");
        false
    }

    /// The process of `signing-agent run`.
    pub fn pid(&self) -> u32 {
        self.run.as_ref().expect("the agent runs").id()
    }

    /// Puts another policy in the place of the one that the configuration names, by a rename, as editors and deployments do it.
    pub fn put_policy(&self, text: &str) {
        let aside = self.dir.path().join("policy.toml.next");
        std::fs::write(&aside, text).expect("the policy is written");
        std::fs::rename(aside, self.dir.path().join("policy.toml")).expect("it is put in its place");
    }

    /// The rooms' names and process ids.
    pub fn rooms(&self) -> Vec<(String, u32)> {
        let Some(run) = &self.run else { return Vec::new() };
        let mut found: Vec<u32> = Vec::new();
        if let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", run.id())) {
            for task in tasks.flatten() {
                let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            }
        }
        let name = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let program = line.split(|b| *b == 0).next()?.to_vec();
            let name = Path::new(&String::from_utf8(program).ok()?).file_name()?.to_str()?.to_owned();
            Some((name.strip_prefix("signing-agent-")?.to_owned(), *pid))
        };
        found.iter().filter_map(name).collect()
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
    /// All that the rooms have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits for a line of the log that holds all of these words.
    pub fn logged(&self, words: &[&str]) {
        let said = || self.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
        until(&format!("the log says {words:?}"), said, || self.log());
    }

    /// For the end of a test: none of the rooms has panicked.
    pub fn assert_no_panic(&self) {
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    // ---- as a partner app

    /// Where the agent listens, `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        let address = std::fs::read_to_string(self.state().join("lanes/http")).expect("the agent listens");
        address.trim().to_owned()
    }

    /// The agent's own URL for a path such as `/api/v1/client`.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.settings.client.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address())
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        self.ask_as(&self.settings.client, method, path, body)
    }

    /// The same as somebody else.
    pub fn ask_as(&self, client: &Client, method: &str, path: &str, body: &str) -> Reply {
        client
            .call(method, &self.address(), path, body.as_bytes())
            .unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", self.log()))
    }

    fn health(&self) -> Option<Reply> {
        self.settings.client.call("GET", &self.address(), "/api/v1/healthcheck/status", b"").ok()
    }

    /// The keys of a partner that the simulator knows: `apiKey` and `base64PrivateKey`.
    pub fn partner(&mut self) -> Value {
        if self.partner.is_none() {
            self.partner = Some(self.control("GET", "/new-partner", None));
        }
        self.partner.clone().expect("just made")
    }

    /// `POST /register` with a partner's keys.
    pub fn register(&mut self, name: &str) -> Reply {
        let partner = self.partner();
        let body = json!({"name": name, "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
        self.ask("POST", "/api/v1/register", &body.to_string())
    }

    pub fn approve(&self, id: &str) -> Reply {
        self.ask("PUT", &format!("/api/v1/client/action/{id}"), "")
    }
    pub fn reject(&self, id: &str) -> Reply {
        self.ask("DELETE", &format!("/api/v1/client/action/{id}"), "")
    }

    // ---- as the custody backend

    /// The simulator's control API; panics where it refuses.
    pub fn control(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let reply = call(method, &format!("{}{path}", self.simulator.control()), &[], body.as_bytes());
        let reply = reply.unwrap_or_else(|e| panic!("control {method} {path}: {e}"));
        assert!(reply.status == 200, "control {method} {path}: {} {}\n{}", reply.status, reply.json(), self.log());
        reply.json()
    }

    /// Creates actions; their ids.
    pub fn order(&self, order: Value) -> Vec<String> {
        let created = self.control("POST", "/actions", Some(order));
        let ids = created.as_array().or_else(|| created["actions"].as_array()).expect("actions were made").clone();
        ids.iter().map(|action| action["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// What the backend knows of an action.
    pub fn action(&self, id: &str) -> Value {
        self.control("GET", &format!("/actions/{id}"), None)
    }

    pub fn fault(&self, endpoint: &str, fault: Value, times: u64) {
        self.control("POST", "/faults", Some(json!({"endpoint": endpoint, "fault": fault, "times": times})));
    }

    /// Waits until the simulator's numbers are as the query says; the stats then.
    pub fn wait(&self, query: &str) -> Value {
        self.control("GET", &format!("/wait?{query}&timeoutMs={}", PATIENCE.as_millis()), None)
    }

    pub fn stats(&self) -> Value {
        self.control("GET", "/stats", None)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut run) = self.run.take() {
            signal(run.id(), Signal::TERM);
            let end = Instant::now() + Duration::from_secs(20);
            while matches!(run.try_wait(), Ok(None)) {
                if Instant::now() > end {
                    let _ = run.kill();
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Waits for a condition; panics with what `more` says where it does not come.
pub fn until(what: &str, condition: impl Fn() -> bool, more: impl Fn() -> String) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}\n{}", more());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    let sent = i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, signal));
    assert!(matches!(sent, Some(Ok(()))), "{signal:?} to {pid}: {sent:?}");
}

/// A TOML string: JSON's escapes are TOML's.
fn toml_text(text: &str) -> String {
    json!(text).to_string()
}
