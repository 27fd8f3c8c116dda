//! `signing-agent policy replay NEW.toml`: what another policy would have made of what was.

use super::known::{self, verdict_of_then, was_released};
use super::source::{Source, now, time};
use crate::context::Context;
use crate::error::Error;
use crate::progress::Progress;
use crate::words;
use ::policy::{Action, Approved, History, Verdict};
use ipc::KnownAction;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const UNKNOWN: &str = "Windows begin empty: what was approved before is not counted. Not known: what people would have done with what is held now (who released it then is taken to release it again), and what a \
                       callback would have said. Each action is judged as of when it was first seen.";

/// A decision that would be another one.
struct Change {
    id: String,
    seen: u64,
    then: Verdict,
    then_rule: Option<String>,
    verdict: Verdict,
    rule: Option<String>,
    why: String,
}

#[derive(Default)]
struct Replay {
    history: History,
    judged: u64,
    /// Their messages were never fetched.
    unread: u64,
    changes: Vec<Change>,
}

pub fn replay(context: &Context, file: &Path, since: &str) -> Result<(), Error> {
    let source = Source::of_file(file)?;
    let since = match ::policy::duration(since) {
        Ok(ago) => now().saturating_sub(ago),
        Err(words) => time("--since", since).map_err(|_| Error::Policy(format!("--since {words}; or RFC 3339")))?,
    };
    let places = context.places()?;
    let mut replay = Replay::default();
    let progress = Progress::of("judging", "actions");
    known::since(&places, since, |action| {
        replay.judge(&source, action);
        progress.more(1);
    })?;
    drop(progress);
    context.tell(|| replay.screen(&source, since), || replay.json(&source, since))
}

impl Replay {
    fn judge(&mut self, source: &Source, known: KnownAction) {
        if known.messages.is_empty() {
            self.unread += 1;
            return;
        }
        self.judged += 1;
        let action = Action {
            claimed_type: known.claim.as_deref(),
            messages: &known.messages,
            expires: known.expires,
            now: Some(known.seen),
        };
        let mut judgement = source.policy.judge(&action);
        if judgement.verdict == Verdict::Approve
            && let Err(words) = self.history.fits(&judgement, known.seen)
        {
            (judgement.verdict, judgement.why) = (Verdict::Hold, words);
        }
        let goes = match judgement.verdict {
            Verdict::Approve => true,
            Verdict::Hold => was_released(&known) && self.history.fits(&judgement, known.seen).is_ok(),
            Verdict::Deny => false,
        };
        if goes {
            self.history.push(Approved { at: known.seen, movements: judgement.movements });
        }
        let then = verdict_of_then(&known);
        if then != judgement.verdict {
            self.changes.push(Change {
                id: known.id.to_string(),
                seen: known.seen,
                then,
                then_rule: known.rule,
                verdict: judgement.verdict,
                rule: judgement.rule,
                why: judgement.why,
            });
        }
    }

    /// How many decisions would change in which way.
    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(format!("{} to {}", change.then.as_str(), change.verdict.as_str())).or_default() += 1;
        }
        counts
    }

    fn screen(&self, source: &Source, since: u64) -> String {
        let mut text = format!(
            "{} (SHA-256 {}), over {} actions since {}: {} decisions would change.\n",
            source.name,
            source.hash(),
            self.judged,
            words::time(since),
            self.changes.len()
        );
        if self.unread > 0 {
            text += &format!("{} actions more are left out: their messages were never fetched.\n", self.unread);
        }
        for change in &self.changes {
            let rule = |rule: &Option<String>| rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
            let row = format!(
                "{}  {}  {}{} -> {}{}: {}",
                words::time(change.seen),
                change.id,
                change.then.as_str(),
                rule(&change.then_rule),
                change.verdict.as_str(),
                rule(&change.rule),
                change.why
            );
            text += &format!("  {}\n", words::plain(&row));
        }
        for (way, count) in self.counts() {
            text += &format!("{count} from {way}\n");
        }
        text + UNKNOWN + "\n"
    }

    fn json(&self, source: &Source, since: u64) -> Value {
        let change = |change: &Change| {
            json!({
                "action": change.id,
                "seen": change.seen,
                "then": { "verdict": change.then.as_str(), "rule": change.then_rule },
                "now": { "verdict": change.verdict.as_str(), "rule": change.rule, "why": change.why },
            })
        };
        json!({
            "policy": { "source": source.name, "hash": source.hash() },
            "since": since,
            "judged": self.judged,
            "withoutMessages": self.unread,
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "counts": self.counts(),
            "notKnown": UNKNOWN,
        })
    }
}
