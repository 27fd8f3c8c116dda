//! An explanation, for people and for scripts.

use super::explain::Told;
use super::known::verdict_of_then;
use crate::words;
use ::policy::report::{By, Report, Then};
use ::policy::{Demand, Facts, RuleExplanation, Verdict, WalletFacts};
use ipc::KnownAction;

pub fn text(told: &Told) -> String {
    let mut rows = Vec::new();
    if let Some(known) = &told.known {
        rows.push(("action".to_owned(), format!("{}, {}", known.id, known.state)));
        rows.push(("first seen".to_owned(), words::time(known.seen)));
    }
    rows.push(("the feed calls it".to_owned(), told.claim.clone().unwrap_or_else(|| "nothing".into())));
    rows.push(("expires".to_owned(), told.expires.map_or_else(|| "at no known time".into(), words::time)));
    if let Some(known) = &told.known {
        rows.push(("decided then".to_owned(), then(known)));
    }
    rows.push(("policy".to_owned(), format!("{} (SHA-256 {})", told.source.name, told.source.hash())));
    rows.push(("judged as of".to_owned(), format!("{}, {}", words::time(told.at), told.at_words)));
    let mut text = words::table(&rows);
    let explanation = &told.explanation;
    for (n, facts) in explanation.messages.iter().enumerate() {
        text += &format!("\nMessage {}\n{}", n + 1, words::table(&rows_of(facts)));
    }
    text += "\nRules\n";
    text += &words::table(&explanation.rules.iter().map(row_of).collect::<Vec<_>>());
    let judgement = &explanation.judgement;
    text += &format!("\nVerdict: {}: {}\n", judgement.verdict.as_str(), words::plain(&judgement.why));
    match judgement.verdict {
        Verdict::Deny => text += "Nobody may release it.\n",
        Verdict::Hold => text += &format!("It may be released by {}.\n", words::plain(&judgement.release.to_string())),
        Verdict::Approve => {}
    }
    if !judgement.demands.is_empty() && judgement.verdict != Verdict::Deny {
        text += "\nAn approval takes of these windows; whether there is room is known when it is recorded\n";
        text += &words::table(&judgement.demands.iter().map(window).collect::<Vec<_>>());
    }
    text
}

/// What became of it, and by which policy.
fn then(known: &KnownAction) -> String {
    let verdict = match (&known.verdict, known.decided_by.as_deref()) {
        (None, None) => return "nothing yet".to_owned(),
        (_, Some("policy") | None) => verdict_of_then(known).as_str().to_owned(),
        (_, Some(by)) if known.state.starts_with("reject") => format!("rejected by {by}"),
        (_, Some(by)) => format!("hold, then released by {by}"),
    };
    let why = known.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let by = known.policy.as_deref().map(|hash| format!(" (policy SHA-256 {hash})")).unwrap_or_default();
    format!("{verdict}{why}{by}")
}

fn rows_of(facts: &Facts) -> Vec<(String, String)> {
    let mut rows = vec![("kind".to_owned(), facts.kind.to_owned()), ("SHA-256".to_owned(), facts.digest.clone())];
    let Some(wallet) = &facts.wallet else { return rows };
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            rows.push((name.to_owned(), value.to_owned()));
        }
    };
    let WalletFacts { transfer_type, currency, moves, total, fee, .. } = wallet;
    row("transfer type", transfer_type);
    row("currency", &currency.to_string());
    row("wallet", &wallet.wallet);
    row("owner", &wallet.owner);
    moves.iter().for_each(|one| row("moves", &format!("{} to {}", one.amount, one.to)));
    row("in all", total.as_deref().unwrap_or("something is negative"));
    row("fee", fee.as_deref().unwrap_or("something is negative"));
    wallet.participants.iter().for_each(|participant| row("participant", participant));
    wallet.expressions.iter().for_each(|expression| row("expression", expression));
    wallet.other_fields.iter().for_each(|field| row("also set", field));
    row("description", &wallet.description);
    row("wallet description", &wallet.wallet_description);
    rows
}

fn row_of(rule: &RuleExplanation) -> (String, String) {
    let failed: Vec<String> = match rule.failed.as_slice() {
        [Some(words)] => vec![words.clone()],
        many => {
            let of = |(n, failed): (usize, &Option<String>)| {
                failed.as_ref().map(|words| format!("message {}: {words}", n + 1))
            };
            many.iter().enumerate().filter_map(of).collect()
        }
    };
    let words = if failed.is_empty() { "met".to_owned() } else { format!("not met: {}", failed.join("; ")) };
    (format!("{} {:?}", rule.verdict.as_str(), rule.name), words)
}

fn window(demand: &Demand) -> (String, String) {
    let mut limits = Vec::new();
    if let Some(most) = demand.max_amount {
        let takes = demand.amount.map_or_else(|| "cannot be measured".into(), |amount| format!("takes {amount}"));
        limits.push(format!("{takes} of {most}"));
    }
    if let Some(most) = demand.max_count {
        limits.push(format!("one of {most} approvals"));
    }
    (demand.window.clone(), format!("{} in {} s", limits.join(", "), demand.period))
}

pub fn report(told: &Told) -> Report {
    let then = |known: &KnownAction| Then {
        action: known.id.to_string(),
        state: known.state.clone(),
        seen: known.seen,
        verdict: known.verdict.as_ref().map(|_| verdict_of_then(known).as_str()),
        rule: known.rule.clone(),
        why: known.why.clone(),
        decided_by: known.decided_by.clone(),
        policy: known.policy.clone(),
    };
    let by = By::of(&told.source.policy, told.source.name.clone());
    let then = told.known.as_ref().map(then);
    Report::new(&told.explanation, by, then, told.claim.clone(), told.expires, Some(told.at))
}
