//! What the vault tells of itself: the health endpoints, and `signing-agent status`.

use crate::asks::FeedState;
use serde::{Deserialize, Serialize};

/// What the health endpoints of the HTTP API tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Nothing stands in the way of an approval.
    pub ready: bool,
    /// What stands in the way, in bounded words; empty where `ready`.
    pub reasons: Vec<String>,
    pub registered: bool,
    pub feed: FeedState,
    /// The backend's feed URL; empty before registration.
    pub remote_feed_url: String,
    /// Seconds since the feed was last heard of: opened, or brought a message.
    pub feed_age: Option<u64>,
    /// The expiry of the unsettled action that expires next, Unix seconds.
    pub next_expiry: Option<u64>,
    /// What does not stand in the way yet, in bounded words.
    pub warnings: Vec<String>,
}

/// What `signing-agent status` tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// `None` where the vault can work; else what stands in the way and what to do.
    pub trouble: Option<String>,
    pub token: String,
    pub agent: Option<AgentStatus>,
    /// SHA-256 fingerprints, hex, of the public keys' octets, by name.
    pub fingerprints: Vec<(String, String)>,
    pub recipients: Vec<String>,
    pub feed: FeedState,
    /// The policy's source and SHA-256 (hex).
    pub policy: String,
    /// Whom approvals need a second opinion of, and what is the matter with it; `None` where nobody is asked.
    pub callback: Option<String>,
    /// Numbers of actions by state.
    pub actions: Vec<(String, u64)>,
    pub doors: Vec<(String, bool)>,
    pub audit: Option<AuditStatus>,
    /// What a person should look at, newest last; bounded.
    pub alarms: Vec<String>,
    /// When the policy's file was read, Unix seconds; `None` where there is none.
    pub policy_loaded: Option<u64>,
    /// `None` where the configuration names no shadow.
    pub shadow: Option<ShadowStatus>,
    /// What is not trouble yet, in bounded words.
    pub warnings: Vec<String>,
    /// Callers that were refused since the start, by cause.
    pub refused: Vec<(String, u64)>,
    /// Seconds that a registration is taken for still.
    pub registration_open: Option<u64>,
    /// How many of whom a change needs, in words; `None`: the operator alone.
    pub changes: Option<String>,
}

/// What a policy that is only judged beside would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// Its source and SHA-256 (hex); or what is wrong with it.
    pub policy: String,
    /// How many actions it judged since it was loaded,
    pub judged: u64,
    /// of how many it says something else,
    pub differing: u64,
    /// and how many it had no time for.
    pub skipped: u64,
    /// The last differences in words, newest last; bounded.
    pub last: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditStatus {
    pub records: u64,
    /// How many of them the last checkpoint covers.
    pub covered: u64,
    /// The checkpoints' key (C2SP signed-note's vkey).
    pub key: String,
    /// What the token remembers of the ledger, and what that is worth.
    pub memory: String,
    pub frozen: bool,
    /// Windows that reach back to before a restore count as full.
    pub windows_full: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    pub agent_id: String,
    pub name: String,
    /// Unix seconds.
    pub registered_at: u64,
}
