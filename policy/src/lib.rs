//! Enters: the bytes that somebody wants signed, what the feed calls them, and the text of `policy.toml`.
//! Leaves: what the bytes say, and a verdict on them: approve, hold or deny, with the reason in words.
//! Never: I/O, a clock, a key, a float; nor an approval of something that was not understood, unless a rule says so.

#![deny(clippy::float_arithmetic)]

pub mod asset;
pub mod cases;
mod conditions;
mod explain;
mod facts;
mod history;
mod judge;
mod language;
mod lists;
mod money;
mod plain;
mod release;
pub mod report;
mod rules;
mod schedule;
mod subject;
mod verdict;
mod warnings;
mod windows;
pub mod wire;

pub use asset::{Decoded, IdDoc, WalletAsset, decode};
pub use explain::{Explanation, RuleExplanation};
pub use facts::{Facts, Move, WalletFacts};
pub use history::{Approved, History};
pub use judge::{Action, ActionKind, Judgement};
pub use release::{Approvers, Release};
pub use rules::Policy;
pub use schedule::duration;
pub use verdict::Verdict;
pub use warnings::Warning;
pub use windows::{Demand, Movement, Used, Which};

/// Why a policy was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `LINE:COLUMN: what is wrong`, for the caller to put the file's name before it.
    #[error(transparent)]
    Refused(#[from] config::strict::Error),
}

// One build a mutant: see there.
#[cfg(all(test, feature = "mutants"))]
extern crate self as policy;
#[cfg(all(test, feature = "mutants"))]
#[path = "../tests/one_build/mod.rs"]
mod one_build;
