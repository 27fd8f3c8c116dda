//! Killed while windows fill: what was signed for, and what is on record, never exceeds them.

use crate::storm::{POINTS, Random, house_under, kill, until_gone, until_well};
use serde_json::{Value, json};
use signing_agent_tests::{House, call, until};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, thread};

/// Every burst has one destination: a window for each fills in each burst. What goes in BTC shares one.
const POLICY: &str = "[currencies]\nETH = { code = 4, decimals = 0 }\nBTC = { code = 1, decimals = 0 }\n\n\
                      [[rule]]\nname = \"transfers\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n\n\
                      [[window]]\nname = \"a destination's\"\nperiod = \"24h\"\nper = \"destination\"\ncurrencies = [\"ETH\"]\n\
                      max_amount = \"100 ETH\"\n\n\
                      [[window]]\nname = \"all\"\nperiod = \"24h\"\ncurrencies = [\"BTC\"]\nmax_amount = \"1500 BTC\"\n";
const ETH: u64 = 4;
const BTC: u64 = 1;
const BURST: usize = 12;

struct Ordered {
    amount: u64,
    /// Which window it is in.
    window: String,
}

struct Filling {
    house: House,
    crash_at: PathBuf,
    random: Random,
    ordered: HashMap<String, Ordered>,
    kills: u64,
}

impl Filling {
    fn begin() -> Self {
        let (mut house, crash_at) = house_under(POLICY);
        assert_eq!(house.register("agent").status, 200, "{}", house.log());
        house.wait("feeds=1");
        for (fault, rate) in [(json!({"dropAfter": true}), 0.04), (json!({"status": 503}), 0.02)] {
            let order = json!({"endpoint": "put", "fault": fault, "rate": rate, "seed": 7});
            house.control("POST", "/faults", Some(order));
        }
        Self { house, crash_at, random: Random::new(), ordered: HashMap::new(), kills: 0 }
    }

    /// A burst that is more than its window takes; the ids.
    fn announce(&mut self, currency: u64) -> Vec<String> {
        let burst = self.ordered.len() as u64;
        let to = hex::encode([&burst.to_be_bytes()[..], &[0; 24]].concat());
        let mut ids = Vec::new();
        for _ in 0..BURST {
            let amount = 1 + self.random.below(30);
            let order = json!({"kind": "transfer", "amount": amount, "currency": currency, "destination": to});
            let id = self.house.order(order).remove(0);
            let window = if currency == ETH { to.clone() } else { "all".into() };
            self.ordered.insert(id.clone(), Ordered { amount, window });
            ids.push(id);
        }
        ids
    }

    /// The vault ends at this step of a burst, while a partner app wants all of it.
    fn kill_at(&mut self, point: &str) {
        fs::write(&self.crash_at, point).unwrap();
        let ids = self.announce(ETH);
        thread::scope(|scope| {
            scope.spawn(|| release(&self.house, &ids));
            until_gone(&self.house, &self.crash_at, point);
        });
        self.killed();
    }

    /// At a random moment: the vault, or all of the house.
    fn kill_at_random(&mut self, currency: u64) {
        let ids = self.announce(currency);
        let moment = Duration::from_micros(self.random.below(100_000));
        if self.kills % 4 == 3 {
            thread::sleep(moment);
            self.house.kill();
            self.house.run();
            release(&self.house, &ids);
        } else {
            thread::scope(|scope| {
                scope.spawn(|| release(&self.house, &ids));
                // The moment is what is random here; nothing waits for a condition.
                thread::sleep(moment);
                kill(&self.house, "vault");
            });
        }
        self.killed();
    }

    fn killed(&mut self) {
        self.kills += 1;
        until_well(&self.house);
        self.at_the_backend();
    }

    /// Nothing was signed for that a window had no room for; how much is used of each.
    fn at_the_backend(&self) -> HashMap<&str, u64> {
        let all = self.house.control("GET", "/actions", None);
        let signed = all["actions"].as_array().unwrap().iter().filter(|action| action["status"] == "approved");
        self.within(signed.map(|action| action["id"].as_str().unwrap()))
    }

    fn within<'a>(&self, ids: impl Iterator<Item = &'a str>) -> HashMap<&str, u64> {
        let mut used: HashMap<&str, u64> = HashMap::new();
        for id in ids {
            let Ordered { amount, window } = &self.ordered[id];
            *used.entry(window).or_default() += amount;
        }
        used.iter()
            .for_each(|(window, sum)| assert!(*sum <= limit(window), "{window}: {sum} after {} kills", self.kills));
        used
    }

    /// When all is calm: the same by the audit log, and what is held is held for want of room.
    fn end(self) -> u64 {
        self.house.control("DELETE", "/faults", None);
        let status = || -> Value {
            serde_json::from_slice(&self.house.output(&["status", "--json"]).stdout).unwrap_or_default()
        };
        let calm = || {
            let status = status();
            let number = |state: &str| status["actions"][state].as_u64().unwrap_or(0) as usize;
            number("approved") + number("held") == self.ordered.len()
        };
        until("each is approved or held", calm, || format!("{}\n{}", status(), self.house.log()));
        let path = self.house.dir.path().join("export");
        let file = path.to_str().unwrap();
        for arguments in [&["audit", "export", "--output", file][..], &["audit", "verify", file]] {
            let output = self.house.output(arguments);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let text = fs::read_to_string(&path).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let id = |record: &Value| record["action"].as_str().unwrap().to_owned();
        let of = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
        let approved: Vec<_> = of("decision").filter(|record| record["verdict"] == "approve").map(id).collect();
        let signed: Vec<_> = of("signed").map(id).collect();
        let used = self.within(approved.iter().map(String::as_str));
        assert_eq!(self.within(signed.iter().map(String::as_str)), used, "each approval is signed once");
        assert_eq!(self.at_the_backend(), used, "and arrives");
        for (id, Ordered { amount, window }) in self.ordered.iter().filter(|(id, _)| !approved.contains(*id)) {
            let used = used.get(window.as_str()).copied().unwrap_or_default();
            assert!(used + amount > limit(window), "{id}: {amount} had room beside {used} in {window}");
        }
        println!(
            "{} kills while windows filled: {} of {} approved, in {} windows, none exceeded",
            self.kills,
            approved.len(),
            self.ordered.len(),
            used.len()
        );
        self.house.assert_no_panic();
        self.kills
    }
}

fn limit(window: &str) -> u64 {
    if window == "all" { 1_500 } else { 100 }
}

/// The partner app wants each, and is told whatever it is told: where that is yes, it is so.
fn release(house: &House, ids: &[String]) {
    for id in ids {
        let Ok(address) = fs::read_to_string(house.state().join("lanes/http")) else { continue };
        let url = format!("http://{}/api/v1/client/action/{id}", address.trim());
        if let Ok(reply) = call("PUT", &url, &[], b"")
            && reply.status == 200
        {
            assert_eq!(house.action(id)["status"], "approved", "it was told 200\n{}", house.log());
        }
    }
}

/// The steps that an approval comes by.
fn steps() -> impl Iterator<Item = &'static str> {
    POINTS.into_iter().filter(|point| !["action.rejecting", "action.withdrawn"].contains(point))
}

#[test]
fn killed_while_windows_fill_no_more_is_signed_for_than_they_have() {
    let mut filling = Filling::begin();
    steps().for_each(|point| filling.kill_at(point));
    (0..4).for_each(|_| filling.kill_at_random(ETH));
    filling.end();
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn a_hundred_kills_while_windows_fill() {
    let mut filling = Filling::begin();
    for _ in 0..4 {
        steps().for_each(|point| filling.kill_at(point));
        (0..5).for_each(|_| filling.kill_at_random(ETH));
    }
    // One window for all that is left, which is full before the end.
    (0..30).for_each(|_| filling.kill_at_random(BTC));
    assert!(filling.end() >= 100);
}
