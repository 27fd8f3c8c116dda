//! `signing-agent status`: one screen, trouble first; or the same as JSON.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::words;
use ipc::{Answer, Ask, FeedState, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

pub fn status(config_path: &Path, as_json: bool) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    match places.ask(&Ask::Status, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Status(status)) => {
            words::print(&if as_json { json(&status)? } else { screen(&status) })?;
            if status.trouble.is_some() { Err(Error::Trouble) } else { Ok(()) }
        }
        Some(_) => Err(ask::beside_the_point()),
    }
}

fn screen(status: &Status) -> String {
    let mut text = String::new();
    if let Some(trouble) = &status.trouble {
        text += &format!("TROUBLE: {}\n\n", words::plain(trouble));
    }
    for alarm in &status.alarms {
        text += &format!("ALARM: {}\n", words::plain(alarm));
    }
    if !status.alarms.is_empty() {
        text.push('\n');
    }
    let mut rows: Vec<(&str, String)> = Vec::new();
    match &status.agent {
        Some(agent) => rows.extend([
            ("agent", agent.name.clone()),
            ("agentID", agent.agent_id.clone()),
            ("registered", words::time(agent.registered_at)),
        ]),
        None => rows.push(("agent", "not registered yet; a partner app does that (POST /api/v1/register)".into())),
    }
    rows.push(("token", status.token.clone()));
    rows.push(("feed", feed(&status.feed)));
    let read = status.policy_loaded.map(|at| format!(", read {}", words::time(at))).unwrap_or_default();
    rows.push(("policy", format!("{}{read}", status.policy)));
    if let Some(shadow) = &status.shadow {
        let counts =
            format!("{} judged, {} of them otherwise, {} left out", shadow.judged, shadow.differing, shadow.skipped);
        rows.extend([("shadow", shadow.policy.clone()), ("shadow's verdicts", counts)]);
        rows.extend(shadow.last.iter().map(|words| ("shadow differs", words.clone())));
    }
    rows.extend(status.callback.iter().map(|words| ("callback", words.clone())));
    let counts: Vec<String> = status.actions.iter().map(|(state, count)| format!("{count} {state}")).collect();
    rows.push(("actions", if counts.is_empty() { "none so far".into() } else { counts.join(", ") }));
    if let Some(audit) = &status.audit {
        rows.push(("audit log", format!("{} records, {} of them under a checkpoint", audit.records, audit.covered)));
        rows.push(("the token remembers", audit.memory.clone()));
    }
    let doors = status.doors.iter().map(|(door, here)| format!("{door} {}", if *here { "connected" } else { "AWAY" }));
    rows.push(("doors", doors.collect::<Vec<_>>().join(", ")));
    rows.extend(status.recipients.iter().map(|recipient| ("sealed to", recipient.clone())));
    rows.push(("version", status.version.clone()));
    let rows: Vec<(String, String)> = rows.into_iter().map(|(name, value)| (name.into(), value)).collect();
    text += &words::table(&rows);
    if let Some(audit) = &status.audit {
        text +=
            &format!("\nKey of the audit log\'s checkpoints (keep it elsewhere):\n  {}\n", words::plain(&audit.key));
    }
    if !status.fingerprints.is_empty() {
        text += "\nFingerprints (SHA-256 of the public keys):\n";
        text += &words::table(&status.fingerprints);
        text += "Compare the agentID and these with the custody console before the agent joins a custody group.\n";
    }
    text
}

fn feed(feed: &FeedState) -> String {
    match feed {
        FeedState::Idle => "not asked for before registration".into(),
        FeedState::Connecting => "connecting".into(),
        FeedState::Open => "open".into(),
        FeedState::Closed { why, retry_ms } => {
            format!("CLOSED: {why}; next try in {:.1} s", Duration::from_millis(*retry_ms).as_secs_f64())
        }
    }
}

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

fn json(status: &Status) -> Result<String, Error> {
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
        }),
        alarms: &status.alarms,
    };
    let cause = |e: serde_json::Error| Error::System { what: "write the status as JSON", cause: e.into() };
    serde_json::to_string_pretty(&view).map(|text| text + "\n").map_err(cause)
}
