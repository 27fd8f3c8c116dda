//! Findings of this side.

use ipc::{Finding, FindingHealth, bounded};
use std::fmt::Display;

pub fn good(check: &str, words: impl Display) -> Finding {
    found(check, FindingHealth::Good, &words, &"")
}

pub fn unknown(check: &str, words: impl Display, remedy: impl Display) -> Finding {
    found(check, FindingHealth::Unknown, &words, &remedy)
}

pub fn warning(check: &str, words: impl Display, remedy: impl Display) -> Finding {
    found(check, FindingHealth::Warning, &words, &remedy)
}

pub fn fault(check: &str, words: impl Display, remedy: impl Display) -> Finding {
    found(check, FindingHealth::Fault, &words, &remedy)
}

fn found(check: &str, health: FindingHealth, words: &dyn Display, remedy: &dyn Display) -> Finding {
    let (words, remedy) = (bounded(&words.to_string()), bounded(&remedy.to_string()));
    Finding { check: check.to_owned(), health, words, remedy }
}
