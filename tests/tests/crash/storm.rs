//! A house that is killed again and again while it works.

use crate::invariants;
use rustix::process::Signal;
use serde_json::json;
use signing_agent_tests::{House, Settings, signal, until};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

/// Steps of approvals, rejections, the ledger and the audit log. A registration's are [`REGISTRATION_POINTS`].
pub const POINTS: [&str; 15] = [
    "action.seen",
    "action.judged",
    "action.recorded",
    "action.signed",
    "action.kept",
    "action.submitted",
    "action.answered",
    "action.settled",
    "action.rejecting",
    "action.withdrawn",
    "ledger.before-commit",
    "ledger.after-commit",
    "audit.before-checkpoint",
    "audit.checkpoint-kept",
    "audit.memory-written",
];

pub const REGISTRATION_POINTS: [&str; 8] = [
    "registration.init-answered",
    "registration.row-written",
    "registration.bls-written",
    "registration.mpin-written",
    "registration.before-finish",
    "registration.finish-answered",
    "registration.deed-written",
    "registration.registered",
];

/// Steps of forgetting a registration that the backend refused.
pub const FORGETTING_POINTS: [&str; 3] =
    ["registration.forgetting", "registration.bls-removed", "registration.mpin-removed"];

/// Steps of a second opinion.
pub const CALLBACK_POINTS: [&str; 2] = ["callback.asked", "callback.answered"];

/// What is killed at random moments, in turn.
const ROOMS: [&str; 3] = ["vault", "api", "courier"];

/// The seams' variables (`config::seams`).
const CRASH_AT: &str = "SIGNING_AGENT_TEST_CRASH_AT";
const SPEED: &str = "SIGNING_AGENT_TEST_SPEED";

/// Transfers are approved, withdrawals denied, what is no asset waits for the partner app: also where that asks before the feed has
/// said what it is called, which a deny rule that names action types alone would take for its own.
const POLICY: &str = "[[rule]]\nname = \"transfers\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n\
                      \n[[rule]]\nname = \"withdrawals\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n\
                      kinds = [\"wallet\"]\n";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is to become of the actions, by their ids, and what the partner app was told of them.
#[derive(Default)]
pub struct Expected {
    pub approved: Vec<String>,
    pub rejected: Vec<String>,
    /// Whether the partner app approves it.
    pub decided: Vec<(String, bool)>,
}

pub struct Storm {
    pub house: House,
    pub expected: Expected,
    kills: BTreeMap<String, u64>,
    random: Random,
    crash_at: PathBuf,
}

impl Storm {
    /// A registered house before a backend that fails now and then.
    pub fn begin() -> Self {
        let (house, crash_at) = house();
        let mut house = house;
        assert_eq!(house.register("agent").status, 200, "{}", house.log());
        house.wait("feeds=1");
        let random = Random::new();
        let arm = |endpoint: &str, fault: serde_json::Value, rate: f64| {
            let order = json!({"endpoint": endpoint, "fault": fault, "rate": rate, "seed": random.next()});
            house.control("POST", "/faults", Some(order));
        };
        arm("get", json!({"status": 500}), 0.03);
        arm("get", json!({"drop": true}), 0.02);
        arm("put", json!({"dropAfter": true}), 0.04);
        arm("put", json!({"status": 503}), 0.02);
        arm("put", json!({"delayMs": 20}), 0.2);
        arm("delete", json!({"dropAfter": true}), 0.03);
        Self { house, expected: Expected::default(), kills: BTreeMap::new(), random, crash_at }
    }

    /// Has the vault end itself at this step, with work and a partner app around it.
    pub fn kill_at(&mut self, point: &str) {
        fs::write(&self.crash_at, point).unwrap();
        let held = self.announce();
        let (house, crash_at) = (&self.house, &self.crash_at);
        thread::scope(|scope| {
            scope.spawn(|| decide(house, &held));
            until_gone(house, crash_at, point);
        });
        self.expected.decided.extend(held);
        self.killed(point);
    }

    /// A vault that is killed, and its next one as soon as it has opened.
    pub fn kill_at_the_start(&mut self) {
        fs::write(&self.crash_at, "start.opened").unwrap();
        self.kill_room("vault");
        until_gone(&self.house, &self.crash_at, "start.opened");
        self.killed("start.opened");
    }

    /// So many kills: of each room in turn, a tenth of a second at the most after work came.
    pub fn kill_each_in_turn(&mut self, kills: usize) {
        ROOMS.iter().cycle().take(kills).for_each(|room| self.kill_at_random(room));
        let least = (kills / ROOMS.len()) as u64;
        assert!(ROOMS.iter().all(|room| self.kills[*room] >= least), "{:?}", self.kills);
    }

    fn kill_at_random(&mut self, room: &str) {
        let held = self.announce();
        let moment = Duration::from_micros(self.random.below(100_000));
        let house = &self.house;
        thread::scope(|scope| {
            scope.spawn(|| decide(house, &held));
            // The moment is what is random here; nothing waits for a condition.
            thread::sleep(moment);
            kill(house, room);
        });
        self.expected.decided.extend(held);
        self.killed(room);
    }

    /// All rooms and their parent at once.
    pub fn kill_run(&mut self) {
        let held = self.announce();
        self.house.kill();
        self.house.run();
        decide(&self.house, &held);
        self.expected.decided.extend(held);
        self.killed("run");
    }

    fn kill_room(&mut self, room: &str) {
        kill(&self.house, room);
        *self.kills.entry(room.to_owned()).or_default() += 1;
    }

    fn killed(&mut self, what: &str) {
        *self.kills.entry(what.to_owned()).or_default() += 1;
        until_well(&self.house);
    }

    /// A batch of each kind; what the partner app shall decide of it.
    fn announce(&mut self) -> Vec<(String, bool)> {
        self.expected.approved.extend(self.house.order(json!({"kind": "transfer", "count": 4})));
        self.expected.rejected.extend(self.house.order(json!({"kind": "withdraw", "count": 2})));
        let held = self.house.order(json!({"kind": "opaque", "count": 2}));
        held.into_iter().zip([true, false]).collect()
    }

    /// When all is calm, the invariants; how many kills there were.
    pub fn end(self) -> u64 {
        self.house.control("DELETE", "/faults", None);
        invariants::hold(&self.house, &self.expected);
        let kills: u64 = self.kills.values().sum();
        let Expected { approved, rejected, decided } = &self.expected;
        println!(
            "{kills} kills over {} actions, none lost, doubled or contradicted: {:?}",
            approved.len() + rejected.len() + decided.len(),
            self.kills
        );
        kills
    }
}

/// An initialised house that runs, and the file that names where its vault crashes.
pub fn house() -> (House, PathBuf) {
    house_under(POLICY)
}

/// The same under another policy.
pub fn house_under(policy: &str) -> (House, PathBuf) {
    let settings = Settings {
        log_level: "info",
        more: "[audit]\ncheckpoint_seconds = 1\n".into(),
        ..Settings::with_policy(policy)
    };
    let mut house = House::empty(settings);
    let crash_at = house.dir.path().join("crash-at");
    house.settings.environment = vec![(CRASH_AT, crash_at.clone()), (SPEED, "20".into())];
    assert!(house.output(&["init"]).status.success());
    house.run();
    (house, crash_at)
}

/// The partner app's word, again and again until it has an answer that stands.
fn decide(house: &House, held: &[(String, bool)]) {
    for (id, approve) in held {
        let wanted = if *approve { "approved" } else { "rejected" };
        let decided = || {
            let Ok(address) = fs::read_to_string(house.state().join("lanes/http")) else { return false };
            let url = format!("http://{}/api/v1/client/action/{id}", address.trim());
            let method = if *approve { "PUT" } else { "DELETE" };
            match signing_agent_tests::call(method, &url, &[], b"") {
                Ok(reply) if reply.status == 200 => {
                    assert_eq!(house.action(id)["status"], wanted, "it was told 200\n{}", house.log());
                    true
                }
                // Where the answer to a rejection was lost, the backend does not say what became of it.
                Ok(reply) if reply.status == 409 => {
                    assert_eq!(house.action(id)["status"], wanted, "{}", reply.json());
                    true
                }
                _ => false,
            }
        };
        until(&format!("{id} is {wanted}"), decided, || house.log());
    }
}

pub fn until_gone(house: &House, crash_at: &Path, point: &str) {
    until(&format!("the vault crashes at {point}"), || !crash_at.exists(), || house.log());
}

/// All rooms are up, the vault is ready and the feed open.
pub fn until_well(house: &House) {
    let end = Instant::now() + PATIENCE;
    let well = || {
        let address = fs::read_to_string(house.state().join("lanes/http")).ok()?;
        let url = format!("http://{}/api/v1/healthcheck/ready", address.trim());
        let reply = signing_agent_tests::call("GET", &url, &[], b"").ok()?;
        (reply.status == 200 && reply.json()["WebSocket"]["ReadyState"] == "OPEN").then_some(())
    };
    while well().is_none() {
        assert!(Instant::now() < end, "the agent does not come back\n{}", house.log());
        thread::sleep(Duration::from_millis(5));
    }
}

/// SIGKILL to a room that lives.
pub fn kill(house: &House, room: &str) {
    let living = Cell::new(0);
    let lives = || {
        house.rooms().iter().find(|(name, _)| name == room).is_some_and(|(_, pid)| {
            living.set(*pid);
            true
        })
    };
    until(&format!("{room} lives"), lives, || house.log());
    signal(living.get(), Signal::KILL);
}

/// SplitMix64, its seed printed, or given by CRASH_SEED.
pub struct Random(Cell<u64>);

impl Random {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("CRASH_SEED").map_or(now, |seed| seed.parse().expect("CRASH_SEED is a number"));
        println!("CRASH_SEED={seed}");
        Self(Cell::new(seed))
    }

    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let z = self.0.get();
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }
}
