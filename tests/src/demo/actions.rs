//! The feed at work: what policy approves, what the partner app decides, what nobody gets.

use crate::play::{Done, Play};
use crate::screen::{Paint, pad};
use serde_json::{Value, json};
use std::io;

const BURST: usize = 200;

/// What the demo makes of an action in the end.
struct Row<'a> {
    id: &'a str,
    what: &'a str,
    verdict: &'a str,
    by: &'a str,
}

impl Play {
    pub fn actions(&mut self) -> Done {
        self.screen.title("4  Actions on the feed, under this policy.toml")?;
        self.policy_shown()?;
        self.screen.line("")?;
        self.screen.why("ms: from the announcement on the feed to the backend's settlement.")?;
        self.head()?;
        let mut transfers = 0;
        let mut held = Vec::new();
        for (withdraw, amount, currency, messages) in [
            (false, 6400, 1, 1),
            (false, 25_000, 4, 1),
            (true, 1200, 1, 1),
            (false, 310, 1, 2),
            (true, 48_000, 4, 1),
            (false, 7750, 4, 1),
            (true, 99, 1, 1),
            (false, 52, 1, 1),
        ] {
            let kind = if withdraw { "withdraw" } else { "transfer" };
            let order = json!({"kind": kind, "amount": amount, "currency": currency, "messageCount": messages});
            let id = self.announce(order)?;
            if withdraw {
                self.held(&id)?;
                held.push(id);
            } else {
                transfers += u64::from(self.approved(&id, "policy", None, messages)?);
            }
            self.screen.pause(1);
        }
        self.cases.add("transfers, by policy", "5 approved", format!("{transfers} approved"));
        let untouched = held.iter().filter(|id| self.is_untouched(id)).count();
        self.cases.add("withdrawals until the app decides", "3 unsigned", format!("{untouched} unsigned"));

        self.screen.line("  Now the partner app decides on the three that are held:")?;
        self.screen.pause(3);
        let (mut released, mut rejected) = (0, false);
        for (index, id) in held.iter().enumerate() {
            if index == 1 {
                rejected = self.rejected(id)?;
            } else {
                let reply = self.house.approve(id);
                let what = format!("PUT /action/{}… → {}", head_of(id), reply.status);
                released += u64::from(self.approved(id, "app", Some(&what), 1)? && reply.status == 200);
            }
            self.screen.pause(2);
        }
        self.cases.add("withdrawals, PUT by the app", "2 approved", format!("{released} approved"));
        let seen = if rejected { "rejected, unsigned" } else { "not so" };
        self.cases.add("withdrawal, DELETE by the app", "rejected, unsigned", seen);
        self.burst()
    }

    /// What must never be signed, and what only the partner app may release.
    pub fn refusals(&mut self) -> Done {
        self.screen.title("5  What policy does not let through")?;
        self.head()?;
        let iddoc = self.announce(json!({"kind": "iddoc", "description": "mallory"}))?;
        let denied = self.denied(&iddoc)?;
        let reply = self.house.approve(&iddoc);
        self.screen.why(&format!("PUT by the partner app → {}: {}", reply.status, reply.json()["Detail"]))?;
        let seen = format!("{denied}, PUT {}", reply.status);
        self.cases.add("IDDoc slipped in as a message", "denied, PUT 403", seen);
        self.screen.pause(2);

        let masked = self.announce(json!({"kind": "withdraw", "type": "ApproveTransfer", "amount": 50_000}))?;
        let denied = self.denied(&masked)?;
        self.cases.add("withdrawal called a transfer", "denied", denied);
        self.screen.pause(2);

        let swap = self.announce(json!({"kind": "transfer", "type": "ApproveSwap", "amount": 640}))?;
        let denied = self.denied(&swap)?;
        self.cases.add("message that a rule denies", "denied", denied);
        self.screen.pause(2);

        for (kind, name) in [("opaque", "transfer with an unknown field"), ("junk", "opaque message, no asset at all")]
        {
            let id = self.announce(json!({"kind": kind}))?;
            self.held(&id)?;
            self.screen.why(&self.reason(&id))?;
            let seen = if self.is_untouched(&id) { "held, unsigned" } else { "not held" };
            self.cases.add(name, "held, unsigned", seen);
            self.screen.pause(2);
        }
        Ok(())
    }

    /// Has the partner app reject it; whether the backend has it so, with nothing signed.
    fn rejected(&self, id: &str) -> io::Result<bool> {
        let reply = self.house.reject(id);
        let what = format!("DELETE /action/{}… → {}", head_of(id), reply.status);
        self.within(|| self.house.action(id)["status"] != "pending");
        let action = self.house.action(id);
        let right = action["status"] == "rejected" && signatures(&action) == 0 && reply.status == 200;
        let status = action["status"].as_str().unwrap_or_default();
        let row = Row { id, what: &what, verdict: status, by: "app" };
        self.row(&row, if right { "unsigned" } else { "NOT SO" })?;
        Ok(right)
    }

    fn burst(&mut self) -> Done {
        let ids = self.house.order(json!({"kind": "transfer", "count": BURST, "currency": 1}));
        self.signatures += BURST as u64;
        let brief = || self.house.control("GET", "/actions?brief=true", None);
        let ours = |all: &Value| -> Vec<Value> {
            let all = all["actions"].as_array().into_iter().flatten();
            all.filter(|action| ids.iter().any(|id| action["id"] == json!(id))).cloned().collect()
        };
        let once = |action: &&Value| action["status"] == "approved" && action["approvals"] == 1;
        self.within(|| ours(&brief()).iter().filter(once).count() == BURST);
        let all = ours(&brief());
        let approved = all.iter().filter(once).count();
        let took: Vec<u64> = all.iter().filter_map(|action| action["tookUs"].as_u64()).collect();
        let longest = took.iter().max().copied().unwrap_or_default() as f64 / 1e6;
        let verified = self.screen.paint(if approved == BURST { Paint::Green } else { Paint::Red }, "verified");
        self.screen.line(&format!(
            "  {BURST} transfers at once: {approved} approved in {longest:.2} s ({:.0} a second), each {verified}",
            approved as f64 / longest.max(1e-6)
        ))?;
        self.cases.add("a burst of transfers, each once", format!("{BURST} approved"), format!("{approved} approved"));
        self.screen.pause(3);
        Ok(())
    }

    fn announce(&self, order: Value) -> Result<String, io::Error> {
        self.house.order(order).pop().ok_or_else(|| io::Error::other("the simulator made no action"))
    }

    /// Waits for the approval; whether it came, and each message's signature was verified, once.
    fn approved(&mut self, id: &str, by: &str, what: Option<&str>, messages: usize) -> io::Result<bool> {
        self.signatures += messages as u64;
        self.within(|| self.house.action(id)["status"] != "pending");
        let action = self.house.action(id);
        let right = action["status"] == "approved" && action["approvals"] == 1 && signatures(&action) == messages;
        let facts = facts(&action);
        let first = what.or(facts.first().map(String::as_str)).unwrap_or_default();
        let status = action["status"].as_str().unwrap_or_default();
        self.row(&Row { id, what: first, verdict: status, by }, if right { "verified" } else { "NOT SO" })?;
        if what.is_none() {
            for more in facts.iter().skip(1) {
                self.screen.line(&format!("  {:8}{more}", ""))?;
            }
        }
        Ok(right)
    }

    fn held(&self, id: &str) -> io::Result<()> {
        let held = self.within(|| self.log_of(id, "held: ").is_some());
        let row = Row {
            id,
            what: &first_fact(&self.house.action(id)),
            verdict: if held { "held" } else { "NOT HELD" },
            by: "policy",
        };
        self.row(&row, if self.is_untouched(id) { "unsigned" } else { "NOT SO" })
    }

    /// Waits until the backend has it rejected, by policy alone; whether it did, and nothing was signed.
    fn denied(&self, id: &str) -> io::Result<&'static str> {
        self.within(|| self.house.action(id)["status"] != "pending");
        let action = self.house.action(id);
        let right = action["status"] == "rejected" && signatures(&action) == 0 && self.log_of(id, "denied: ").is_some();
        let word = if right { "denied" } else { "not denied" };
        let row = Row { id, what: &first_fact(&action), verdict: word, by: "policy" };
        self.row(&row, if right { "unsigned" } else { "NOT SO" })?;
        self.screen.why(&self.reason(id))?;
        Ok(word)
    }

    /// Still for somebody to decide: not settled, and nothing signed for it.
    fn is_untouched(&self, id: &str) -> bool {
        let action = self.house.action(id);
        action["status"] == "pending" && action["approvals"] == 0 && signatures(&action) == 0
    }

    /// What the vault says why, from its log.
    fn reason(&self, id: &str) -> String {
        self.log_of(id, "held: ")
            .or_else(|| self.log_of(id, "denied: "))
            .unwrap_or_else(|| "no reason is logged".into())
    }

    fn log_of(&self, id: &str, word: &str) -> Option<String> {
        let field = format!(" action={id}");
        let log = self.house.log();
        let line =
            log.lines().find(|line| line.starts_with("vault") && line.ends_with(&field) && line.contains(word))?;
        let (_, why) = line.split_once(word)?;
        why.strip_suffix(&field).map(str::to_owned)
    }

    fn head(&self) -> io::Result<()> {
        let text = "  action  what the bytes say                 verdict   by          ms  backend";
        self.screen.line(&self.screen.paint(Paint::Dim, text))
    }

    fn row(&self, row: &Row<'_>, backend: &str) -> io::Result<()> {
        let action = self.house.action(row.id);
        let took = action["tookUs"].as_f64().map(|us| format!("{:.1}", us / 1000.0)).unwrap_or_default();
        let paint = match row.verdict {
            "approved" => Paint::Green,
            "held" | "rejected" | "denied" => Paint::Yellow,
            _ => Paint::Red,
        };
        let verdict = self.screen.paint(paint, &pad(row.verdict, 8));
        let proof = match backend {
            "verified" => Paint::Green,
            "unsigned" => Paint::Dim,
            _ => Paint::Red,
        };
        let (id, what, by) = (pad(&head_of(row.id), 6), pad(row.what, 33), pad(row.by, 6));
        let line = format!("  {id}  {what}  {verdict}  {by} {took:>7}  {}", self.screen.paint(proof, backend));
        self.screen.line(&line)
    }
}

fn head_of(id: &str) -> String {
    id.chars().take(6).collect()
}

fn signatures(action: &Value) -> usize {
    action["signatures"].as_array().map_or(0, Vec::len)
}

/// What policy reads in each message; without its last word in brackets, for the line is short.
fn facts(action: &Value) -> Vec<String> {
    let messages = action["messages"].as_array().into_iter().flatten();
    let octets = messages.filter_map(|message| hex::decode(message.as_str()?).ok());
    let summaries = octets.map(|octets| policy::decode(&octets).summary(&octets));
    summaries
        .map(|text| text.split(" fee ").flat_map(|text| text.split(" (")).next().unwrap_or_default().to_owned())
        .collect()
}

fn first_fact(action: &Value) -> String {
    facts(action).into_iter().next().unwrap_or_default()
}
