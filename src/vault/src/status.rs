//! What the operator and the health endpoints are told.

use crate::access;
use crate::clock;
use crate::freeze;
use crate::ledger::{Condition, Row, audit, registration_window};
use crate::memory;
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::{CLOCK_STEPPED, Vault};
use ipc::{AgentStatus, Answer, AuditStatus, Health, Status};
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An approval that has so many seconds left, and was known for so many, should have been settled.
const CLOSE: u64 = 60;
const KNOWN: u64 = 10;
/// How long the ledger may take for its part of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers without waiting for the ledger here: this is a lane's reading thread.
pub fn health(room: &Arc<Room>, reply: Reply) {
    let vault = match room.trouble_or_vault() {
        Ok(vault) => vault,
        Err(trouble) => return reply.send(Answer::Health(well(room, None, vec![ipc::bounded(&trouble.words)], None))),
    };
    let Some(read) = room.asking_health.join(reply) else { return };
    let (silent, then) = (room.clone(), vault.clone());
    room.clock.after_all_of(PATIENCE, move || {
        let words = format!("the ledger has not answered for {} s", PATIENCE.as_secs());
        silent.asking_health.answer(read, || well(&silent, Some(&then), vec![words], None));
    });
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.ask(
        |t| Ok((Row::next_expiry(t)?, overdue(t)?)),
        move |known| {
            let (next, reasons) = match known {
                Ok((next, 0)) => (next, Vec::new()),
                Ok((next, n)) => {
                    (next, vec![format!("approvals that expire within {CLOSE} s and are not settled: {n}")])
                }
                Err(e) => (None, vec![ipc::bounded(&e.to_string())]),
            };
            room.asking_health.answer(read, || well(&room, Some(&then), reasons, next));
        },
    );
}

/// Approvals that are close to their expiry and not settled.
pub fn overdue(t: &rusqlite::Transaction<'_>) -> Result<u64, rusqlite::Error> {
    Row::overdue(t, clock::now(), CLOSE, KNOWN)
}

/// Whether nothing but those stands in the way of an approval.
pub fn is_well(room: &Room, vault: &Vault) -> bool {
    well(room, Some(vault), Vec::new(), None).ready
}

/// Who asks for the health: one reading of the ledger answers all who came before it was done.
#[derive(Default)]
pub struct AskingHealth(Mutex<(u64, Vec<Reply>)>);

impl AskingHealth {
    /// The number of the reading that is to be begun for this one; none where one is under way.
    fn join(&self, reply: Reply) -> Option<u64> {
        let mut asking = self.lock();
        asking.1.push(reply);
        let first = asking.1.len() == 1;
        asking.0 += u64::from(first);
        first.then_some(asking.0)
    }

    /// Answers all, unless this reading was answered for already.
    fn answer(&self, read: u64, health: impl FnOnce() -> Health) {
        let replies = {
            let mut asking = self.lock();
            if asking.0 != read {
                return;
            }
            std::mem::take(&mut asking.1)
        };
        if replies.is_empty() {
            return;
        }
        let health = health();
        replies.into_iter().for_each(|reply| reply.send(Answer::Health(health.clone())));
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Reply>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn well(room: &Room, vault: Option<&Vault>, mut reasons: Vec<String>, next_expiry: Option<u64>) -> Health {
    let agent = vault.and_then(Vault::agent);
    reasons.extend(vault.map(complaints).unwrap_or_default());
    reasons.extend(room.callback.complaint().map(|words| ipc::bounded(&words)));
    let registered = agent.as_ref().map(|agent| clock::now().saturating_sub(agent.registered_at));
    reasons.extend(room.outside(registered.map(Duration::from_secs)));
    Health {
        ready: reasons.is_empty(),
        reasons,
        registered: agent.is_some(),
        feed: room.feed_state(),
        remote_feed_url: agent.map(|agent| agent.feed_url.clone()).unwrap_or_default(),
        feed_age: room.feed_age(),
        next_expiry,
        warnings: access::warnings(room, vault),
    }
}

/// What keeps a vault that is open from approving.
fn complaints(vault: &Vault) -> Vec<String> {
    let mut complaints = vault.notary.complaints();
    complaints.extend(vault.ledger.complaint());
    complaints.extend(vault.may_sign().err());
    complaints.extend(vault.wall_clock.has_stepped().then(|| CLOCK_STEPPED.to_owned()));
    complaints.iter().map(|words| ipc::bounded(words)).collect()
}

pub fn status(room: &Room) -> Status {
    let (api, courier) = room.doors_open();
    let vault = room.trouble_or_vault();
    let token = match &room.config.hsm.token {
        config::Token::Label(label) => format!("{label:?}"),
        config::Token::Slot(slot) => format!("slot {slot}"),
    };
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trouble: vault.as_ref().err().map(|trouble| freeze::told(room, &trouble.words)),
        token: format!("{token} of {}", room.config.hsm.module.display()),
        agent: None,
        fingerprints: Vec::new(),
        recipients: Vec::new(),
        feed: room.feed_state(),
        policy: room.policy.active().name(),
        callback: room.callback.words(&room.config),
        actions: Vec::new(),
        doors: vec![("api".to_owned(), api), ("courier".to_owned(), courier)],
        audit: None,
        alarms: Vec::new(),
        policy_loaded: room.policy.active().loaded(),
        shadow: room.policy.shadow.status(),
        warnings: access::warnings(room, vault.as_deref().ok()),
        refused: room.access.counts(),
        registration_open: None,
        changes: None,
    };
    if let Ok(vault) = vault {
        let token = vault.token.check().err().map(|e| e.to_string());
        status.trouble = token.or_else(|| complaints(&vault).into_iter().next());
        status.alarms = vault.alarms.list();
        status.agent = vault.agent().map(|agent| AgentStatus {
            agent_id: agent.id.clone(),
            name: agent.name.clone(),
            registered_at: agent.registered_at,
        });
        status.fingerprints = fingerprints(&vault);
        status.recipients = vault.recipients.clone();
        status.changes = vault.named.who_changes();
        let asked = vault.ledger.call(|t| {
            let full = Condition::WindowsFullUntil.read(t)? > 0;
            Ok((Row::count(t)?, audit::counts(t)?, registration_window::left(t)?, full))
        });
        match asked {
            Ok((actions, (records, covered), open, windows_full)) => {
                (status.actions, status.registration_open) = (actions, open);
                status.audit = Some(AuditStatus {
                    records,
                    covered,
                    key: vault.notary.key.to_string(),
                    memory: memory::words(&room.config, vault.notary.memory().as_ref()),
                    frozen: vault.frozen.load(Ordering::SeqCst),
                    windows_full,
                });
            }
            Err(e) => status.trouble = Some(e.to_string()),
        }
    }
    status
}

/// SHA-256 of the public keys' octets as they stand on the wire, hex.
pub fn fingerprints(vault: &Vault) -> Vec<(String, String)> {
    let of = |octets: &[u8]| hex::encode(Sha256::digest(octets));
    let mut all = vec![
        ("identity (EC)".to_owned(), of(&vault.keys.identity)),
        ("audit (EC)".to_owned(), of(&vault.keys.audit)),
        ("sealing (EC)".to_owned(), of(&vault.keys.sealing)),
    ];
    if let Some(agent) = vault.agent() {
        all.insert(0, ("BLS".to_owned(), of(&agent.secrets.bls_public())));
    }
    all
}
