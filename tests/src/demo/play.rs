//! The inner process: the story, from the token to the result.

use crate::guard::NOBODY_READS;
use crate::result::Cases;
use crate::screen::{Paint, Screen, wrap};
use serde_json::{Value, json};
use signing_agent_tests::{House, Settings};
use std::cell::Cell;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// What is expected to happen happens within this time, or it is seen not to happen.
const PATIENCE: Duration = Duration::from_secs(20);

const POLICY: &str = r#"[[rule]]
name = "transfers between our wallets"
verdict = "approve"
action_types = ["ApproveTransfer"]
unlimited = true

[[rule]]
name = "withdrawals wait for the partner app"
verdict = "hold"
action_types = ["ApproveWithdraw"]

[[rule]]
name = "no swaps"
verdict = "deny"
action_types = ["ApproveSwap"]
"#;

pub struct Play {
    pub house: House,
    pub screen: Screen,
    pub cases: Cases,
    /// Signatures that the backend should have verified by the end, the IDDoc's included.
    pub signatures: u64,
    patience: Cell<Duration>,
}

pub type Done = Result<(), Box<dyn Error>>;

/// Plays it. Where something is not as expected it ends at once, and leaves the house to the guard, with the log in it.
pub fn play() -> ExitCode {
    // The tools that the house is built with panic where something fails: their words, without a backtrace.
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.payload();
        let words = words.downcast_ref::<String>().map(String::as_str).or(words.downcast_ref::<&str>().copied());
        let words = words.unwrap_or("something failed without a word");
        let first: Vec<&str> = words.lines().take(3).collect();
        let _ = writeln!(io::stderr(), "\ndemo: {}", first.join("\n  "));
        std::process::exit(1);
    }));
    match tell() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => std::process::exit(1),
        Err(error) => {
            let reader_left =
                error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
            if !reader_left {
                let _ = writeln!(io::stderr(), "demo: {error}");
            }
            std::process::exit(if reader_left { NOBODY_READS.into() } else { 1 });
        }
    }
}

/// The number of cases that were not as expected.
fn tell() -> Result<usize, Box<dyn Error>> {
    let begun = Instant::now();
    let screen = Screen::new();
    screen.line(&screen.paint(Paint::Bold, "The signing agent, end to end"))?;
    screen.line("An agent registers with a simulated custody backend and decides what to sign;")?;
    screen.line("the backend verifies each signature. All of it is thrown away in about 10 s.")?;
    let settings = Settings { log_level: "info", ..Settings::with_policy(POLICY) };
    screen.title("1  A throwaway token, and the keys that are born in it")?;
    let mut play = Play {
        house: House::empty(settings),
        screen,
        cases: Cases::default(),
        signatures: 0,
        patience: Cell::new(PATIENCE),
    };
    let wrong = play.through(begun);
    if !matches!(wrong, Ok(0)) {
        // Dropped, it would take the log away; the guard wants to show it, and clears up after that.
        std::mem::forget(play);
    }
    wrong
}

impl Play {
    fn through(&mut self, begun: Instant) -> Result<usize, Box<dyn Error>> {
        self.keys()?;
        self.rooms()?;
        self.registration()?;
        self.actions()?;
        self.refusals()?;
        self.close(begun)
    }

    fn keys(&mut self) -> Done {
        let init = self.house.output(&["init"]);
        if !init.status.success() {
            return Err(format!("signing-agent init: {}", String::from_utf8_lossy(&init.stderr)).into());
        }
        let said = String::from_utf8_lossy(&init.stdout).into_owned();
        self.screen.line("  signing-agent init; SHA-256 of the public keys, the private ones stay inside:")?;
        let mut keys = 0;
        for (name, print) in
            said.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(_, print)| print.len() == 64)
        {
            self.screen.line(&format!("  {:<14}{}", name.trim(), groups(print)))?;
            keys += 1;
        }
        self.cases.add("keys born in the token", "3 keys", format!("{keys} keys"));
        self.screen.pause(3);
        Ok(())
    }

    fn rooms(&mut self) -> Done {
        self.house.run();
        self.screen.title("2  The backend's simulator, and the agent as three processes")?;
        let rooms = self.house.rooms();
        for (name, what) in [
            ("vault", "token, BLS key, policy, ledger; it decides and signs"),
            ("api", "the door to the partner app"),
            ("courier", "the door to the backend"),
        ] {
            if let Some((_, pid)) = rooms.iter().find(|(room, _)| room == name) {
                self.screen.line(&format!("  {name:<8} pid {pid:<8} {what}"))?;
            }
        }
        self.screen.line(&format!("  {:<8} pid {:<8} this program", "backend", std::process::id()))?;
        self.cases.add("rooms, each a process", "3 running", format!("{} running", rooms.len()));
        self.screen.pause(3);
        Ok(())
    }

    fn registration(&mut self) -> Done {
        self.screen.title("3  Registration, as a partner app does it: POST /api/v1/register")?;
        self.screen.line("  First the backend lies: the IDDoc that the agent is to sign is not its own.")?;
        self.refused_registration("IDDoc with another key", "other-key")?;
        self.refused_registration("IDDoc with another identity", "other-identity")?;

        self.screen.line("  Now it is honest.")?;
        let before = self.doors();
        let reply = self.house.register("demo-agent");
        let body = reply.json();
        let agent_id = body["agentID"].as_str().unwrap_or_default().to_owned();
        let line = format!("HTTP {}", reply.status);
        self.screen
            .fact("answer", &self.screen.paint(if reply.status == 200 { Paint::Green } else { Paint::Red }, &line))?;
        if reply.status != 200 {
            return Err(format!("the registration failed: {body}").into());
        }
        self.signatures += 1;
        self.screen.fact("agentID", &agent_id)?;
        self.screen.fact("feedURL", body["feedURL"].as_str().unwrap_or_default())?;
        let status: Value = serde_json::from_slice(&self.house.output(&["status", "--json"]).stdout)?;
        self.screen.fact("BLS key", &groups(status["fingerprints"]["BLS"].as_str().unwrap_or_default()))?;

        let (anew, now) = self.doors_anew(&before);
        let pids: Vec<String> = now.iter().map(|(room, pid)| format!("{room} {pid}")).collect();
        let words = format!("started anew ({}): what passed them is gone", pids.join(", "));
        self.screen.fact("doors", if anew { &words } else { "NOT STARTED ANEW" })?;

        let agents = self.house.control("GET", "/agents", None);
        let finished = agents.as_array().is_some_and(|all| {
            all.iter().any(|agent| agent["accountCode"] == json!(agent_id) && agent["finished"] == true)
        });
        let feed = self.within(|| self.house.stats()["feeds"] == 1);
        let seen = format!("HTTP {}, feed {}", reply.status, if feed && finished { "open" } else { "closed" });
        self.cases.add("registration, honest backend", "HTTP 200, feed open", seen);
        self.cases.add("doors after it", "started anew", if anew { "started anew" } else { "the old ones" });
        self.screen.pause(3);
        Ok(())
    }

    fn refused_registration(&mut self, name: &'static str, fault: &str) -> Done {
        let doors = self.doors();
        let init_before = number(&self.house.stats(), "initOk");
        self.house.fault("init", json!({"iddoc": fault}), 1);
        let reply = self.house.register("demo-agent");
        let stats = self.house.stats();
        // One that was refused would be among the refusals.
        let finish = number(&stats, "finishOk") > 0 || stats["refusals"] != json!([]);
        let asked = number(&stats, "initOk") == init_before + 1;
        let finish = if finish || !asked { "a finish" } else { "no finish" };
        self.cases.add(name, "HTTP 502, no finish", format!("HTTP {}, {finish}", reply.status));
        let refused = self.screen.paint(Paint::Yellow, "refused");
        self.screen.line(&format!("  {refused} {name}: HTTP {}, {finish} was sent", reply.status))?;
        // So that the next one is not answered by doors that are about to go.
        self.doors_anew(&doors);
        self.screen.why(reply.json()["Detail"].as_str().unwrap_or("no words"))?;
        self.screen.pause(2);
        Ok(())
    }

    fn doors(&self) -> Vec<(String, u32)> {
        let mut doors: Vec<_> = self.house.rooms().into_iter().filter(|(room, _)| room != "vault").collect();
        doors.sort();
        doors
    }

    /// Whether both doors become other processes than they were; and the doors then.
    fn doors_anew(&self, before: &[(String, u32)]) -> (bool, Vec<(String, u32)>) {
        let fresh = |now: &[(String, u32)]| now.len() == 2 && before.iter().all(|old| !now.contains(old));
        let anew = self.within(|| fresh(&self.doors()));
        (anew && before.len() == 2, self.doors())
    }

    /// Whether the condition comes in time. After one that did not, there is no more long waiting: the demo has failed.
    pub fn within(&self, condition: impl Fn() -> bool) -> bool {
        let end = Instant::now() + self.patience.get();
        while !condition() {
            if Instant::now() > end {
                self.patience.set(Duration::from_millis(500));
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    pub fn policy_shown(&self) -> Done {
        let file = std::fs::read_to_string(self.house.dir.path().join("policy.toml"))?;
        for line in file.lines().filter(|line| !line.is_empty()) {
            let paint = if line.starts_with("[[") { Paint::Dim } else { Paint::Plain };
            self.screen.line(&format!("    {}", self.screen.paint(paint, line)))?;
        }
        self.screen.pause(6);
        Ok(())
    }

    fn close(&mut self, begun: Instant) -> Result<usize, Box<dyn Error>> {
        let stats = self.house.stats();
        let all = self.house.control("GET", "/actions", None);
        let kept = |action: &Value| action["signatures"].as_array().map_or(0, Vec::len) as u64;
        let verified: u64 = all["actions"].as_array().into_iter().flatten().map(kept).sum();
        let verified = verified + number(&stats, "finishOk");
        let refusals = stats["refusals"].as_array().cloned().unwrap_or_default();
        self.cases.add(
            "refused by the backend",
            "nothing",
            match refusals.first() {
                None => "nothing".to_owned(),
                Some(first) => format!("{}: {first}", refusals.len()),
            },
        );
        self.cases.add("signatures that it verified", self.signatures.to_string(), verified.to_string());
        let end = self.house.stop();
        self.cases.add(
            "the agent stops on SIGTERM",
            "exit code 0",
            end.code().map_or("a signal".into(), |code| format!("exit code {code}")),
        );

        self.screen.title("Result")?;
        self.cases.show(&self.screen)?;
        let wrong = self.cases.wrong();
        self.screen.line("")?;
        let every = verified == self.signatures && refusals.is_empty();
        let words =
            if every { "every signature verified by the backend" } else { "signatures verified by the backend" };
        let paint = if every { Paint::Green } else { Paint::Red };
        self.screen.line(&self.screen.paint(paint, &format!("{words}: {verified} of {}", self.signatures)))?;
        self.screen.line(&format!(
            "{} of {} cases as expected, in {:.1} s",
            self.cases.count() - wrong,
            self.cases.count(),
            begun.elapsed().as_secs_f64()
        ))?;
        if wrong == 0 {
            self.screen.line("")?;
            let next = "Next: `make test`; then README.md: \"A real backend, a real token\", \"Policy\", \"What a captured \
                        room can and cannot do\".";
            for line in wrap(next, crate::screen::WIDTH) {
                self.screen.line(&line)?;
            }
        }
        Ok(wrong)
    }
}

pub fn number(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().unwrap_or_default()
}

/// A fingerprint as it is compared by eye: its first half in groups of four.
fn groups(hex: &str) -> String {
    let groups: Vec<&str> =
        hex.as_bytes().chunks(4).take(8).filter_map(|four| std::str::from_utf8(four).ok()).collect();
    format!("{} …", groups.join(" "))
}
