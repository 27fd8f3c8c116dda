//! The status for programs.

use super::todo::todo;
use ipc::{FeedState, Status};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What `--json` prints: objects by name instead of lists of pairs, for scripts.
#[derive(Serialize)]
struct View<'a> {
    version: &'a str,
    trouble: Option<&'a str>,
    agent: Option<AgentView<'a>>,
    token: &'a str,
    fingerprints: BTreeMap<&'a str, &'a str>,
    recipients: &'a [String],
    feed: FeedView<'a>,
    policy: &'a str,
    callback: Option<&'a str>,
    policy_loaded: Option<u64>,
    shadow: Option<ShadowView<'a>>,
    actions: BTreeMap<&'a str, u64>,
    doors: BTreeMap<&'a str, bool>,
    audit: Option<AuditView<'a>>,
    alarms: &'a [String],
    warnings: &'a [String],
    /// Callers of the HTTP API since the start, by cause.
    refused: BTreeMap<&'a str, u64>,
    /// Seconds that a registration is taken for still.
    registration_open: Option<u64>,
    /// Who must sign changes, in words.
    changes: Option<&'a str>,
    todo: Vec<String>,
}

#[derive(Serialize)]
struct ShadowView<'a> {
    policy: &'a str,
    judged: u64,
    differing: u64,
    skipped: u64,
    last: &'a [String],
}

#[derive(Serialize)]
struct AuditView<'a> {
    records: u64,
    /// How many of them a checkpoint covers.
    covered: u64,
    key: &'a str,
    memory: &'a str,
    frozen: bool,
    windows_full: bool,
}

#[derive(Serialize)]
struct AgentView<'a> {
    #[serde(rename = "agentID")]
    agent_id: &'a str,
    name: &'a str,
    /// Unix seconds.
    registered_at: u64,
}

/// `idle`, `connecting`, `open` or `closed`, the last with why and when it is tried again.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum FeedView<'a> {
    Idle,
    Connecting,
    Open,
    Closed { why: &'a str, retry_ms: u64 },
}

pub fn json(status: &Status) -> Value {
    let view = View {
        version: &status.version,
        trouble: status.trouble.as_deref(),
        agent: status.agent.as_ref().map(|agent| AgentView {
            agent_id: &agent.agent_id,
            name: &agent.name,
            registered_at: agent.registered_at,
        }),
        token: &status.token,
        fingerprints: status.fingerprints.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        recipients: &status.recipients,
        feed: match &status.feed {
            FeedState::Idle => FeedView::Idle,
            FeedState::Connecting => FeedView::Connecting,
            FeedState::Open => FeedView::Open,
            FeedState::Closed { why, retry_ms } => FeedView::Closed { why, retry_ms: *retry_ms },
        },
        policy: &status.policy,
        callback: status.callback.as_deref(),
        policy_loaded: status.policy_loaded,
        shadow: status.shadow.as_ref().map(|shadow| ShadowView {
            policy: &shadow.policy,
            judged: shadow.judged,
            differing: shadow.differing,
            skipped: shadow.skipped,
            last: &shadow.last,
        }),
        actions: status.actions.iter().map(|(state, count)| (state.as_str(), *count)).collect(),
        doors: status.doors.iter().map(|(door, here)| (door.as_str(), *here)).collect(),
        audit: status.audit.as_ref().map(|audit| AuditView {
            records: audit.records,
            covered: audit.covered,
            key: &audit.key,
            memory: &audit.memory,
            frozen: audit.frozen,
            windows_full: audit.windows_full,
        }),
        alarms: &status.alarms,
        warnings: &status.warnings,
        refused: status.refused.iter().map(|(cause, count)| (cause.as_str(), *count)).collect(),
        registration_open: status.registration_open,
        changes: status.changes.as_deref(),
        todo: todo(status),
    };
    json!(view)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An agent with which all is well.
    pub fn working() -> Status {
        Status {
            version: "0.1.0".into(),
            trouble: None,
            token: "signing-agent (SoftHSM)".into(),
            agent: Some(ipc::AgentStatus { agent_id: "a1".into(), name: "desk".into(), registered_at: 0 }),
            fingerprints: vec![("identity".into(), "ab12".repeat(16))],
            recipients: vec!["age1tag1qqq".into()],
            feed: FeedState::Open,
            policy: "policy.toml".into(),
            callback: None,
            actions: vec![("approved".into(), 12)],
            doors: vec![("api".into(), true), ("courier".into(), true)],
            audit: None,
            alarms: Vec::new(),
            policy_loaded: None,
            shadow: None,
            warnings: Vec::new(),
            refused: Vec::new(),
            registration_open: None,
            changes: None,
        }
    }
}
