//! What may be asked of the vault.

use crate::credentials::{Credentials, Scope};
use crate::types::{ActionId, Registration};
use serde::{Deserialize, Serialize};

/// An ask. Which lane may ask which is the table in the vault's gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    // ---- the api's lane
    /// Register this agent with the custody backend. → `Registered`
    Register(Registration),
    /// Who is this agent? → `Client`
    Client,
    /// Approve or reject an action on the asker's word and what it came with; the operator may ask it too. → `Decided`, once
    /// the backend has accepted it, or `Counted`: more people are needed
    Decide { action: ActionId, verb: Verb, credentials: Credentials },
    /// The raw feed after this sequence number, 0 for what comes from now on. Held open until there is some. → `Feed`
    FeedAfter { sequence: u64 },
    /// → `Health`
    Health,

    // ---- the courier's lane
    /// Held open until the vault wants something done outside. → `Errand`, or `Retire`: end yourself
    NextErrand,
    /// What became of an errand. → `Noted`
    ErrandDone { errand: u64, outcome: Outcome },
    /// Where to open the feed, and one pass for it. Held open until the agent is registered. → `FeedTicket`
    FeedTicket,
    /// → `Noted`
    FeedState(FeedState),
    /// A text message of the feed, as it came. → `Noted`, once what it says is on disk
    FeedMessage(String),

    // ---- the admin lane
    /// → `Status`
    Status,
    /// Make what is missing of the token's keys, the deed and the state directory. → `Initialised`
    Init(InitOptions),
    /// The audit log's lines from this record on. → `AuditPage`
    AuditFrom { record: u64 },
    /// Make a checkpoint of the audit log as it is now. → `AuditCheckpoint`
    AuditCheckpoint,
    /// Take the state directory as it is, although the token remembers a later one; it starts frozen. → `Recovered`
    AcceptRollback,
    /// Stop all signing, or allow it again; it outlives restarts. → `Noted`
    Freeze(bool),
    /// The wall clock, which jumped, is right as it is now. → `Noted`
    ConfirmClock,
    /// What an approver is to sign about an action, good for so many seconds. → `Statement`
    Statement { action: ActionId, verb: Verb, seconds: u64 },
    /// Make a bearer token, good for so many seconds or until it is revoked. → `TokenAdded`
    TokenAdd { name: String, scope: Scope, seconds: Option<u64> },
    /// → `Tokens`
    Tokens,
    /// → `Noted`
    TokenRevoke { name: String },
    /// Read the policy's file again, and the shadow's. → `PolicyReloaded`
    PolicyReload,
    /// The text of the policy in force, from this octet on. → `PolicyPart`
    PolicyText { offset: u64 },
    /// What is known of an action. → `Action`
    Action(ActionId),
    /// The actions that were first seen at or after `since` (Unix seconds), in the order of that; after the one that is
    /// named, where one is. → `ActionPage`
    ActionsSince { since: u64, after: Option<(u64, ActionId)> },
}

/// What a partner app wants of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verb {
    Approve,
    Reject,
}

/// What the operator says with `signing-agent init`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitOptions {
    /// Write the configuration's recipients into the deed, and seal the keys to them anew.
    pub amend: bool,
    /// The PIN that the token refused has been looked after: it may be tried again.
    pub try_pin_again: bool,
}

/// What came back from an errand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The backend answered.
    Reply {
        status: u16,
        /// At most [`crate::MAX_REPLY`] octets.
        body: Vec<u8>,
        /// The reply's `Retry-After`, seconds.
        retry_after: Option<u32>,
    },
    /// It did not.
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// No answer within the errand's time: whether the backend acted is not known.
    Timeout,
    /// A broken connection, a reply that is no HTTP or too long; with bounded words. Whether the backend acted is not known.
    Transport(String),
    /// No connection came about, or the request was never sent for another cause; with bounded words. The backend did nothing.
    NotSent(String),
}

/// The feed's connection, as the courier sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedState {
    /// Not asked for: the agent is not registered.
    Idle,
    Connecting,
    Open,
    /// Lost or refused, with bounded words; the next try comes in so many milliseconds.
    Closed {
        why: String,
        retry_ms: u64,
    },
}
