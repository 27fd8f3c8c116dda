//! Running the cases: each is judged, and what came is held against what was expected.

use super::message::build;
use super::raw::{RawApprovers, RawCase, RawExpect, RawPast, RawRelease};
use super::units::{amount, code, folded, octets, time};
use super::{Error, Place, Suite};
use crate::explain::Explanation;
use crate::history::{Approved, History};
use crate::judge::Action;
use crate::money::Currencies;
use crate::release::{Approvers, Release};
use crate::rules::Policy;
use crate::schedule::duration;
use crate::verdict::Verdict;
use crate::windows::Movement;
use config::strict;

/// Wednesday.
const NOON: &str = "2026-12-02T12:00:00Z";
const AN_HOUR: &str = "1h";

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    /// In the file, from 1.
    pub line: usize,
    pub verdict: Verdict,
    pub rule: Option<String>,
    pub why: String,
    /// Nothing: it is as expected.
    pub mismatches: Vec<Mismatch>,
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `verdict`, `rule`, `why`, `release`, `contradiction`, `window`, or `failed "RULE"`.
    pub what: String,
    pub expected: String,
    pub came: String,
}

impl Suite<'_> {
    /// Judges every case under the policy of this text.
    pub fn run(&self, policy_text: &str) -> Result<Vec<Outcome>, Error> {
        let policy = Policy::parse(policy_text).map_err(Error::Policy)?;
        self.file.case.iter().map(|case| Ok(self.outcome(case, &policy)?)).collect()
    }

    fn outcome(&self, case: &toml::Spanned<RawCase>, policy: &Policy) -> Result<Outcome, strict::Error> {
        let place = Place { text: self.text };
        let (here, case) = (case.span().start, case.get_ref());
        let defaults = &self.file.defaults;
        let now = match case.time.as_ref().or(defaults.time.as_ref()) {
            Some(unknown) if unknown.get_ref() == "unknown" => None,
            Some(written) => Some(place.value(written, |text| time(text))?),
            None => Some(time(NOON).map_err(|words| place.fault(here, words))?),
        };
        // Where the clock is not to be trusted, the feed's expiry and the windows are still of some time.
        let of_then = now.unwrap_or(time(NOON).map_err(|words| place.fault(here, words))?);
        let expires = match case.expires_in.as_ref().or(defaults.expires_in.as_ref()) {
            Some(never) if never.get_ref() == "never" => None,
            Some(written) => Some(of_then + place.value(written, |text| duration(text))?),
            None => Some(of_then + duration(AN_HOUR).map_err(|words| place.fault(here, words))?),
        };
        let claim = case.claim.as_ref().or(defaults.claim.as_ref()).map(|claim| claim.get_ref().as_str());
        let messages = messages(case, here, &place, &policy.currencies)?;
        let history = history(&case.ledger, &place, &policy.currencies, of_then)?;
        let action =
            Action { claimed_type: claim.filter(|claim| !claim.is_empty()), messages: &messages, expires, now };
        let mut explanation = policy.explain(&action);
        let judgement = &mut explanation.judgement;
        // As the ledger does it: where a window has no room, what policy approves is held.
        let room = history.fits(judgement, of_then);
        if let (Verdict::Approve, Err(words)) = (judgement.verdict, &room) {
            (judgement.verdict, judgement.why) = (Verdict::Hold, words.clone());
        }
        let judgement = &explanation.judgement;
        Ok(Outcome {
            name: case.name.get_ref().clone(),
            line: place.fault(case.name.span().start, "").line,
            verdict: judgement.verdict,
            rule: judgement.rule.clone(),
            why: judgement.why.clone(),
            mismatches: compare(&case.expect, &explanation, &room.err().unwrap_or_default()),
        })
    }
}

fn messages(
    case: &RawCase,
    here: usize,
    place: &Place<'_>,
    currencies: &Currencies,
) -> Result<Vec<Vec<u8>>, strict::Error> {
    let hex = |text: &toml::Spanned<String>| place.value(text, |text| octets(text));
    let built = case.facts.iter().chain(&case.more_facts).map(|facts| build(facts, place, currencies));
    match (&case.message, &case.messages, &case.facts) {
        (Some(message), None, None) if case.more_facts.is_empty() => Ok(vec![hex(message)?]),
        (None, Some(messages), None) if case.more_facts.is_empty() => messages.iter().map(hex).collect(),
        (None, None, Some(_)) => built.collect(),
        _ => {
            Err(place.fault(here, "a case has one of message, messages and facts (and more_facts only besides facts)"))
        }
    }
}

fn history(ledger: &[RawPast], place: &Place<'_>, currencies: &Currencies, now: u64) -> Result<History, strict::Error> {
    let mut history = History::default();
    for past in ledger {
        let currency = place.optional(&past.currency, |written| code(currencies, written))?.unwrap_or_default();
        let amount = |written: &super::TextOrNumber| {
            amount(currencies, written).and_then(|n| u64::try_from(n).map_err(|_| "must not be negative".into()))
        };
        let wallet = place.optional(&past.wallet, |text| octets(text).map(|_| text.to_lowercase()))?;
        let movement = Movement {
            currency,
            wallet: wallet.unwrap_or_else(|| "01".repeat(32)),
            destination: folded(currencies, currency, past.destination.as_deref().unwrap_or_default()),
            amount: place.optional(&past.amount, amount)?.unwrap_or_default(),
            rule: past.rule.clone(),
        };
        let at = now.saturating_sub(place.value(&past.ago, |text| duration(text))?);
        let times = place.optional_number(&past.times, 10_000)?.unwrap_or(1);
        for _ in 0..times {
            history.push(Approved { at, movements: vec![movement.clone()] });
        }
    }
    Ok(history)
}

impl Place<'_> {
    fn optional_number(&self, written: &Option<toml::Spanned<u32>>, most: u32) -> Result<Option<u32>, strict::Error> {
        let Some(written) = written else { return Ok(None) };
        let fits = |n: &u32| if *n <= most { Ok(*n) } else { Err(format!("at most {most}")) };
        self.value(written, fits).map(Some)
    }
}

/// `full`: the words of a window that has no room for it, whoever approves; empty: there is none.
fn compare(expect: &RawExpect, explanation: &Explanation, full: &str) -> Vec<Mismatch> {
    let judgement = &explanation.judgement;
    let mut all = Vec::new();
    let mut want = |met: bool, what: &str, expected: String, came: String| {
        if !met {
            all.push(Mismatch { what: what.to_owned(), expected, came });
        }
    };
    want(
        judgement.verdict == expect.verdict,
        "verdict",
        expect.verdict.as_str().into(),
        format!("{} ({})", judgement.verdict.as_str(), judgement.why),
    );
    if let Some(rule) = &expect.rule {
        let came = judgement.rule.as_deref().unwrap_or_default();
        want(rule == came, "rule", rule_name(rule), rule_name(came));
    }
    if let Some(why) = &expect.why {
        want(judgement.why.contains(why), "why", format!("…{why}…"), judgement.why.clone());
    }
    if let Some(written) = &expect.release {
        let expected = release(written);
        want(judgement.release == expected, "release", expected.to_string(), judgement.release.to_string());
    }
    if let Some(contradiction) = expect.contradiction {
        let came = judgement.contradiction;
        want(came == contradiction, "contradiction", contradiction.to_string(), came.to_string());
    }
    if let Some(window) = &expect.window {
        let met = if window.is_empty() { full.is_empty() } else { full.contains(window) };
        let words = |words: &str| if words.is_empty() { "all have room".to_owned() } else { words.to_owned() };
        want(met, "window", words(window), words(full));
    }
    for (name, condition) in &expect.failed {
        let failed: Option<Vec<&str>> = explanation
            .rules
            .iter()
            .find(|rule| rule.name == *name)
            .map(|rule| rule.failed.iter().flatten().map(String::as_str).collect());
        let met = failed.as_ref().is_some_and(|failed| failed.iter().any(|words| words.contains(condition)));
        let came = match failed {
            None => "there is no such rule".to_owned(),
            Some(failed) if failed.is_empty() => "the rule is met".to_owned(),
            Some(failed) => failed.join("; "),
        };
        want(met, &format!("failed {name:?}"), format!("…{condition}…"), came);
    }
    all
}

fn rule_name(name: &str) -> String {
    if name.is_empty() { "no rule".to_owned() } else { format!("{name:?}") }
}

fn release(written: &RawRelease) -> Release {
    match written {
        RawRelease::Client => Release::client(),
        RawRelease::Token => Release { token: true, ..Release::client() },
        RawRelease::Nobody => Release { nobody: true, ..Release::client() },
        RawRelease::Approvers(RawApprovers { approvers, of }) => Release {
            approvers: [Approvers { needed: *approvers, of: of.iter().cloned().collect() }].into(),
            ..Release::client()
        },
        RawRelease::All(all) => all.iter().fold(Release::client(), |sum, one| sum.and(&release(one))),
    }
}
