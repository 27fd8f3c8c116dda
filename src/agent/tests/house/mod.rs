//! A copy of `signing-agent` in a directory of its own, with rooms that a test writes as shell scripts.
#![allow(dead_code)] // each test program uses its part

use ipc::{Answer, Ask, FeedState, Framed, Status};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that any condition is waited for.
const DEADLINE: Duration = Duration::from_secs(30);
/// A program that is written while another thread forks is "busy" until the fork has become its program.
static WRITING: Mutex<()> = Mutex::new(());

/// A room that waits to be ended.
pub const IDLE: &str = "exec sleep 1000";

pub struct House {
    pub dir: TempDir,
}

impl House {
    pub fn new() -> House {
        let house = House { dir: tempfile::tempdir().unwrap() };
        let agent = house.path("signing-agent");
        let built = env!("CARGO_BIN_EXE_signing-agent");
        if fs::hard_link(built, &agent).is_err() {
            let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            fs::copy(built, &agent).unwrap();
        }
        house.configure("");
        for room in ["vault", "api", "courier"] {
            house.room(room, IDLE);
        }
        house
    }

    /// Writes the configuration; `more` is what the test adds to it.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "[backend]\nurl = \"http://127.0.0.1:1\"\n[api]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n{more}"
        );
        fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// A room as a script; `$H` is the house.
    pub fn room(&self, room: &str, script: &str) {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(&format!("signing-agent-{room}"));
        fs::write(&path, format!("#!/bin/sh\nH='{}'\n{script}\n", self.dir.path().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A room that goes on as the test function `role`, ignored otherwise, of this test program.
    pub fn role(&self, room: &str, role: &str) {
        let program = std::env::current_exe().unwrap();
        let go = format!("tr '\\0' '\\n' < /proc/$$/environ > $H/{room}.env\nexport HOUSE=$H ROOM={room}\n");
        self.room(room, &format!("{go}exec '{}' --exact {role} --ignored --nocapture", program.display()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn lane(&self, name: &str) -> PathBuf {
        self.path("state/lanes").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("signing-agent"));
        // Relative on purpose: rooms are told the absolute path.
        command.current_dir(self.dir.path()).args(["--config", "agent.toml"]).args(arguments);
        command.env_remove("SIGNING_AGENT_ADMIN_LANE").stdin(Stdio::null());
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        output(self.command(arguments))
    }

    pub fn run(&self) -> Run {
        Run::start(self.command(&["run"]))
    }
}

/// A vault on this lane for ever, which answers so; it notes what it is asked.
pub fn vault(lane: &Path, mut answer: impl FnMut(&Ask) -> Answer + Send + 'static) -> Arc<Mutex<Vec<Ask>>> {
    fs::create_dir_all(lane.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(lane).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if let Ok(Some(Framed { id, what })) = ipc::read_frame::<Ask>(&mut stream) {
                let answer = answer(&what);
                notes.lock().unwrap().push(what);
                // Who asked may have gone.
                let _ = ipc::write_frame(&mut stream, id, &answer);
            }
        }
    });
    asked
}

/// The status of an agent that is not registered.
pub fn fresh() -> Status {
    Status {
        version: "0.1.0".into(),
        trouble: None,
        token: "signing-agent (SoftHSM)".into(),
        agent: None,
        fingerprints: vec![("identity".into(), "ab12".into())],
        recipients: vec!["age1tag1qqq".into()],
        feed: FeedState::Idle,
        policy: "none: everything is held".into(),
        callback: None,
        actions: Vec::new(),
        doors: vec![("api".into(), true), ("courier".into(), false)],
        audit: None,
        alarms: Vec::new(),
        policy_loaded: None,
        shadow: None,
        warnings: Vec::new(),
        refused: Vec::new(),
        registration_open: None,
        changes: None,
    }
}

/// Exit code, stdout, stderr.
pub fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub fn output(mut command: Command) -> Output {
    let child = {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    child.wait_with_output().unwrap()
}

/// A `signing-agent run`, killed on drop.
pub struct Run {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Run {
    pub fn start(mut command: Command) -> Run {
        let mut child = {
            let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Run { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for the log to have all of these words.
    pub fn says(&self, words: &[&str]) {
        until(|| words.iter().all(|word| self.log().contains(word)), || format!("{words:?} in\n{}", self.log()));
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        until(
            || {
                ended = self.child.try_wait().unwrap();
                ended.is_some()
            },
            || format!("the end of run, which said\n{}", self.log.lock().unwrap()),
        );
        ended.unwrap()
    }

    /// What it wrote on stdout, after its end.
    pub fn stdout(&mut self) -> String {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn until(mut condition: impl FnMut() -> bool, what: impl Fn() -> String) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain for {}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether this process lives; one that waits to be reaped does not.
pub fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
