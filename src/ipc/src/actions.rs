//! What is told of actions.

use crate::types::{ActionId, ActionState};
use serde::{Deserialize, Serialize};

/// An action in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionLine {
    pub id: ActionId,
    pub state: ActionState,
    /// The feed's `type`.
    pub claim: Option<String>,
    /// Unix seconds, as all times here.
    pub expires: Option<u64>,
    pub seen: u64,
    pub settled: Option<u64>,
    pub verdict: Option<String>,
    pub rule: Option<String>,
    /// Bounded words.
    pub why: Option<String>,
    /// `policy`, or who else let it go or rejected it.
    pub decided_by: Option<String>,
    /// What its messages say, in bounded words; empty where they were never fetched.
    pub facts: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionList {
    pub actions: Vec<ActionLine>,
    /// To ask on from; `None` where there are no more.
    pub next: Option<(u64, ActionId)>,
}

/// All that is known of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionStory {
    pub line: ActionLine,
    /// SHA-256 of the policy that judged it last, hex.
    pub policy: Option<String>,
    /// What releases it, in bounded words, where it is held.
    pub release: Option<String>,
    /// Who has said so far that it be approved.
    pub approvals: Vec<String>,
    /// SHA-256 of each message, hex; and what each says, in bounded words.
    pub digests: Vec<String>,
    pub facts: Vec<String>,
    /// What happened to it, oldest first; bounded.
    pub timeline: Vec<Moment>,
}

/// A record of the audit log about an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The record's number.
    pub record: u64,
    /// Unix seconds.
    pub at: u64,
    /// The record's kind, such as `judged`.
    pub what: String,
    /// Bounded words.
    pub words: String,
}

/// What the ledger has of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAction {
    pub id: ActionId,
    /// `seen`, `held`, `approving`, `rejecting`, `approved`, `rejected`, `expired`, `failed` or `unknown`.
    pub state: String,
    /// The feed's `type`.
    pub claim: Option<String>,
    /// Unix seconds, and when it was first seen.
    pub expires: Option<u64>,
    pub seen: u64,
    /// Empty where they were never fetched.
    pub messages: Vec<Vec<u8>>,
    /// What the policy of then said: `approve`, `hold` or `deny`; with the rule, and why it is as it is.
    pub verdict: Option<String>,
    pub rule: Option<String>,
    pub why: Option<String>,
    /// `policy`, or who else let it go or rejected it; absent where nobody did.
    pub decided_by: Option<String>,
    /// SHA-256 of the policy of then, hex, where that is known.
    pub policy: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionPage {
    pub actions: Vec<KnownAction>,
    /// Whether there are more after the last.
    pub more: bool,
}
