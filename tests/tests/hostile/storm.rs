//! Random mixtures of everything that a backend can do wrong, and what holds when it is over.

use crate::random::Random;
use crate::{POLICY, SPEED, health, mischief, peaks, rooms, status};
use custody_simulator::Door;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signing_agent_tests::{House, Settings, until};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

/// The rooms' memory together, KiB, of a debug build.
const MOST: u64 = 200 << 10;

struct Storm {
    house: House,
    random: Random,
    agent: String,
    before: Vec<(String, u32)>,
    transfers: Vec<String>,
    withdrawals: Vec<String>,
    /// What waits for the partner app, and whether that approves it.
    held: Vec<(String, bool)>,
    /// Of these the backend says now this, now that.
    wavering: Vec<String>,
    /// Digests of messages that policy or the partner app approves.
    approvable: BTreeSet<String>,
    mischief: BTreeMap<String, u64>,
}

#[test]
fn what_a_hostile_backend_mixes_costs_nothing_but_time() {
    weather(Duration::from_secs(12));
}

#[test]
#[ignore = "takes two minutes: make test-long"]
fn two_minutes_of_a_hostile_backend_cost_nothing_but_time() {
    weather(Duration::from_secs(110));
}

fn weather(time: Duration) {
    let mut storm = Storm::begin();
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < time {
        storm.round();
        rounds += 1;
    }
    storm.end(rounds);
}

impl Storm {
    fn begin() -> Self {
        let random = Random::new();
        let environment = vec![(SPEED, "20".into())];
        let house = House::registered(Settings { environment, log_level: "info", ..Settings::with_policy(POLICY) });
        let agent = house.ask("GET", "/api/v1/client", "").json()["agentID"].as_str().unwrap().to_owned();
        let before = rooms(&house);
        Self {
            house,
            random,
            agent,
            before,
            transfers: Vec::new(),
            withdrawals: Vec::new(),
            held: Vec::new(),
            wavering: Vec::new(),
            approvable: BTreeSet::new(),
            mischief: BTreeMap::new(),
        }
    }

    fn round(&mut self) {
        let random = &self.random;
        let mut done: Vec<String> =
            (0..1 + random.below(3)).map(|_| mischief::at_an_endpoint(&self.house, random)).collect();
        self.work();
        let random = &self.random;
        for _ in 0..random.below(4) {
            let genuine = &self.transfers[random.below(self.transfers.len())];
            done.push(mischief::on_the_feed(&self.house, random, &self.agent, genuine));
        }
        if random.once_in(4) {
            done.push(mischief::at_the_door(&self.house, random));
        }
        self.waver();
        // How long it lasts is random too; nothing waits for a condition.
        thread::sleep(Duration::from_millis(self.random.next() % 700));
        if done.iter().any(|name| name.starts_with("the port")) {
            self.house.simulator.stand(Door::Open).unwrap();
        }
        if !self.random.once_in(3) {
            self.house.control("DELETE", "/faults", None);
        }
        for name in done {
            *self.mischief.entry(name).or_default() += 1;
        }
    }

    /// Genuine actions, announced out of order and more than once.
    fn work(&mut self) {
        let (mut transfers, withdrawals) =
            (self.create("transfer", 1 + self.random.below(5)), self.create("withdraw", 1));
        let held = self.create("opaque", self.random.below(2));
        let approve = self.random.once_in(2);
        self.approvable.extend(transfers.iter().map(|(_, digest)| digest.clone()));
        if approve {
            self.approvable.extend(held.iter().map(|(_, digest)| digest.clone()));
        }
        self.transfers.extend(transfers.iter().map(|(id, _)| id.clone()));
        self.withdrawals.extend(withdrawals.iter().map(|(id, _)| id.clone()));
        self.held.extend(held.iter().map(|(id, _)| (id.clone(), approve)));
        transfers.extend(withdrawals);
        transfers.extend(held);
        let mut order: Vec<String> = transfers.into_iter().map(|(id, _)| id).collect();
        order.extend(order.clone().into_iter().filter(|_| self.random.once_in(2)));
        self.random.shuffle(&mut order);
        order.iter().for_each(|id| self.announce(id));
    }

    /// An action of whose type, time, status or messages the backend says different things.
    fn waver(&mut self) {
        let kinds = ["transfer", "withdraw", "opaque"];
        let (first, second) = (kinds[self.random.below(3)], kinds[self.random.below(3)]);
        let Some((id, digest)) = self.create(first, 1).pop() else { return };
        let other = self.house.control("POST", "/actions", Some(json!({"kind": second, "announce": false})));
        let messages = other["actions"][0]["messages"].clone();
        self.approvable.extend((first == "transfer").then_some(digest));
        self.approvable.extend((second == "transfer").then(|| digest_of(&messages)));
        let claim = ["ApproveTransfer", "ApproveWithdraw", "ApproveOther"][self.random.below(3)];
        let expires = now() + [1, 3, 3600, 4_000_000_000][self.random.below(4)];
        let event = json!({
            "id": id, "coreClientID": self.agent, "type": claim, "status": "pending", "timestamp": 1, "expireTime": expires,
        });
        for what in (0..3).map(|_| self.random.below(3)) {
            match what {
                0 => self.announce(&id),
                1 => drop(self.house.control("POST", "/feed", Some(json!({"raw": event.to_string()})))),
                _ => {
                    let path = format!("/actions/{id}/messages");
                    self.house.control("POST", &path, Some(json!({"messages": messages})));
                }
            }
        }
        self.wavering.push(id);
    }

    fn announce(&self, id: &str) {
        self.house.control("POST", &format!("/actions/{id}/announce"), None);
    }

    /// Actions that no feed names yet, with their messages' digests.
    fn create(&self, kind: &str, count: usize) -> Vec<(String, String)> {
        if count == 0 {
            return Vec::new();
        }
        let order = json!({"kind": kind, "count": count, "announce": false});
        let created = self.house.control("POST", "/actions", Some(order));
        let of = |action: &Value| (action["id"].as_str().unwrap().to_owned(), digest_of(&action["messages"]));
        created["actions"].as_array().unwrap().iter().map(of).collect()
    }

    fn end(self, rounds: u64) {
        let house = &self.house;
        house.control("DELETE", "/faults", None);
        house.control("POST", "/feed/drop", None);
        let begun = Instant::now();
        until("the feed is open", || health(house)["WebSocket"]["ReadyState"] == "OPEN", || house.log());
        self.held.iter().for_each(|(id, approve)| decide(house, id, *approve));
        let all = self.settled();
        let took = begun.elapsed();
        self.nothing_is_contradicted(&all);
        self.nothing_is_signed_that_was_not_approved();
        assert_eq!(rooms(house), self.before, "no room was started anew\n{}", house.log());
        let (health, status) = (health(house), status(house));
        assert_eq!((&health["Ready"], &status["trouble"]), (&json!(true), &Value::Null), "{health} {status}");
        let peaks = peaks(&self.before);
        let sum: u64 = peaks.iter().map(|(_, peak)| peak).sum();
        println!(
            "{rounds} rounds, {} actions, {} of them wavering; all settled {took:.1?} after the end; {} faults fired; peak \
             memory {sum} KiB: {peaks:?}\n{:?}",
            all.len(),
            self.wavering.len(),
            house.stats()["faultsFired"],
            self.mischief
        );
        assert!(sum < MOST, "{sum} KiB");
        house.assert_no_panic();
    }

    /// Waits until each genuine action has come to the end that policy or the partner app gave it; all actions by id.
    fn settled(&self) -> HashMap<String, Value> {
        let held = self.held.iter().map(|(id, approve)| (id, if *approve { "approved" } else { "rejected" }));
        let ends: Vec<(&String, &str)> = (self.transfers.iter().map(|id| (id, "approved")))
            .chain(self.withdrawals.iter().map(|id| (id, "rejected")))
            .chain(held)
            .collect();
        let unsettled = || {
            let all = self.all();
            ends.iter()
                .filter(|(id, end)| all[*id]["status"] != **end)
                .map(|(id, _)| all[*id].clone())
                .collect::<Vec<_>>()
        };
        until(
            "all genuine actions are settled",
            || unsettled().is_empty(),
            || format!("{:#?}\n{}", unsettled(), self.house.log()),
        );
        self.all()
    }

    fn all(&self) -> HashMap<String, Value> {
        let all = self.house.control("GET", "/actions", None);
        let by_id = |action: &Value| (action["id"].as_str().unwrap().to_owned(), action.clone());
        all["actions"].as_array().unwrap().iter().map(by_id).collect()
    }

    /// Nothing was asked of the backend twice in different words, and no pass was used twice.
    fn nothing_is_contradicted(&self, all: &HashMap<String, Value>) {
        for action in all.values() {
            let asked = action["asked"].as_array().unwrap();
            assert!(asked.len() <= 1, "two different things were asked: {action}\n{}", self.house.log());
        }
        let stats = self.house.stats();
        assert_eq!((&stats["passesReplayed"], &stats["noncesReused"]), (&json!(0), &json!(0)), "{stats}");
        for refusal in stats["refusals"].as_array().unwrap() {
            let (endpoint, why) = (refusal["endpoint"].as_str().unwrap(), refusal["why"].as_str().unwrap());
            let known = match endpoint {
                // The feed named it, and the backend never knew it.
                "get" => why == "there is no such action",
                // It was done, and nobody heard of it.
                "delete" => why == "the action is rejected, not pending",
                // Its messages changed after they had been signed.
                "put" => why.starts_with("signature 0: ") || why == "the action is changed meanwhile, not pending",
                _ => false,
            };
            assert!(known, "{refusal}");
        }
    }

    /// By the agent's own audit log, which verifies, every message that it signed is one that was to be approved.
    fn nothing_is_signed_that_was_not_approved(&self) {
        let path = self.house.dir.path().join("export");
        let file = path.to_str().unwrap();
        for arguments in [["audit", "export", "--output", file].as_slice(), &["audit", "verify", file]] {
            let output = self.house.output(arguments);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut signed = 0;
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["kind"] == "signed" {
                for digest in record["messages"].as_array().unwrap() {
                    signed += 1;
                    assert!(self.approvable.contains(digest.as_str().unwrap()), "{record}");
                }
            }
        }
        assert!(signed >= self.transfers.len(), "{signed}");
    }
}

/// The partner app's word, until it has an answer that stands.
fn decide(house: &House, id: &str, approve: bool) {
    let end = if approve { "approved" } else { "rejected" };
    let decided = || {
        let reply = if approve { house.approve(id) } else { house.reject(id) };
        reply.status == 200 || house.action(id)["status"] == end
    };
    until(&format!("{id} is {end}"), decided, || house.log());
}

fn digest_of(messages: &Value) -> String {
    let message = hex::decode(messages[0].as_str().unwrap()).unwrap();
    hex::encode(Sha256::digest(message))
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}
