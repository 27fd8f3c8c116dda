//! What was found, for people: the worst first, each with what to type; and for scripts.

use crate::error::Error;
use crate::words;
use ipc::{Finding, FindingHealth};
use serde::Serialize;
use std::io::IsTerminal;

pub fn text(by: &str, findings: Vec<Finding>) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    painted(by, findings, colour)
}

fn painted(by: &str, mut findings: Vec<Finding>, colour: bool) -> String {
    findings.sort_by_key(|found| std::cmp::Reverse(found.health));
    let width = findings.iter().map(|found| found.check.len()).max().unwrap_or_default();
    let mut text = format!("Looked at by {}.\n\n", words::plain(by));
    for found in &findings {
        let (label, paint) = label(found.health);
        let label = if colour { format!("\x1b[{paint}m{label:7}\x1b[0m") } else { format!("{label:7}") };
        text += &format!("{label}  {:width$}  {}\n", words::plain(&found.check), words::plain(&found.words));
        if !found.remedy.is_empty() {
            text += &format!("{:7}  {:width$}  → {}\n", "", "", words::plain(&found.remedy));
        }
    }
    let count = |health| findings.iter().filter(|found| found.health == health).count();
    let (faults, warnings) = (count(FindingHealth::Fault), count(FindingHealth::Warning));
    let unknown = count(FindingHealth::Unknown);
    text += &format!(
        "\nfaults: {faults}, warnings: {warnings}, not known: {unknown}, good: {}\n",
        count(FindingHealth::Good)
    );
    text
}

/// And the colour of it.
fn label(health: FindingHealth) -> (&'static str, u8) {
    match health {
        FindingHealth::Fault => ("FAULT", 31),
        FindingHealth::Warning => ("WARNING", 33),
        FindingHealth::Unknown => ("UNKNOWN", 35),
        FindingHealth::Good => ("ok", 32),
    }
}

fn name(health: FindingHealth) -> &'static str {
    match health {
        FindingHealth::Good => "good",
        FindingHealth::Unknown => "unknown",
        FindingHealth::Warning => "warning",
        FindingHealth::Fault => "fault",
    }
}

#[derive(Serialize)]
struct View<'a> {
    by: &'a str,
    findings: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    check: &'a str,
    /// `good`, `unknown`, `warning` or `fault`.
    health: &'static str,
    words: &'a str,
    remedy: &'a str,
}

pub fn json(by: &str, findings: &[Finding]) -> Result<String, Error> {
    let findings = findings.iter().map(|found| Line {
        check: &found.check,
        health: name(found.health),
        words: &found.words,
        remedy: &found.remedy,
    });
    let findings = findings.collect();
    words::json(&View { by, findings })
}

#[cfg(test)]
mod tests {
    use super::super::found::{fault, good, warning};
    use super::*;

    #[test]
    fn the_worst_comes_first_with_what_to_type_and_nothing_steers_the_terminal() {
        let findings = vec![
            good("token", "it is there"),
            fault("frozen", "\x1b[2Jan operator stopped all signing", "`signing-agent unfreeze`"),
            warning("policy", "there is none", "write one"),
        ];
        let expected = "Looked at by the vault.\n\n\
                        FAULT    frozen  [2Jan operator stopped all signing\n                 → `signing-agent unfreeze`\n\
                        WARNING  policy  there is none\n                 → write one\n\
                        ok       token   it is there\n\n\
                        faults: 1, warnings: 1, not known: 0, good: 1\n";
        assert_eq!(painted("the vault", findings.clone(), false), expected);
        assert!(painted("the vault", findings.clone(), true).contains("\x1b[31mFAULT  \x1b[0m"));
        assert!(json("the vault", &findings).unwrap().contains("\"health\": \"fault\""));
    }
}
