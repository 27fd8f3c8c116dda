//! What the operator and the health endpoints are told.

use crate::ledger::{Row, audit};
use crate::memory;
use crate::room::Room;
use crate::vault::Vault;
use ipc::{AgentStatus, AuditStatus, Health, Status};
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;

pub fn health(room: &Room) -> Health {
    let vault = room.trouble_or_vault();
    let agent = vault.as_ref().ok().and_then(|vault| vault.agent());
    let mut reasons = Vec::new();
    let mut next_expiry = None;
    match &vault {
        Err(trouble) => reasons.push(ipc::bounded(&trouble.words)),
        Ok(vault) => {
            reasons.extend(complaints(vault));
            next_expiry = vault.ledger.call(Row::next_expiry).ok().flatten();
        }
    }
    Health {
        ready: reasons.is_empty(),
        reasons,
        registered: agent.is_some(),
        feed: room.feed_state(),
        remote_feed_url: agent.map(|agent| agent.feed_url.clone()).unwrap_or_default(),
        feed_age: room.feed_age(),
        next_expiry,
    }
}

/// What keeps a vault that is open from approving.
fn complaints(vault: &Vault) -> Vec<String> {
    let mut complaints = vault.notary.complaints();
    complaints.extend(vault.ledger.complaint());
    complaints.extend(vault.may_sign().err());
    complaints.iter().map(|words| ipc::bounded(words)).collect()
}

pub fn status(room: &Room) -> Status {
    let (api, courier) = room.doors_open();
    let vault = room.trouble_or_vault();
    let token = match &room.config.hsm.token {
        config::Token::Label(label) => format!("{label:?}"),
        config::Token::Slot(slot) => format!("slot {slot}"),
    };
    let policy = match &room.config.policy.file {
        Some(path) => format!("{} (SHA-256 {})", path.display(), hex::encode(room.policy.hash())),
        None => "none: everything is held for the partner app".to_owned(),
    };
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trouble: vault.as_ref().err().map(|trouble| trouble.words.clone()),
        token: format!("{token} of {}", room.config.hsm.module.display()),
        agent: None,
        fingerprints: Vec::new(),
        recipients: Vec::new(),
        feed: room.feed_state(),
        policy,
        actions: Vec::new(),
        doors: vec![("api".to_owned(), api), ("courier".to_owned(), courier)],
        audit: None,
        alarms: Vec::new(),
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
        match vault.ledger.call(|t| Ok((Row::count(t)?, audit::counts(t)?))) {
            Ok((actions, (records, covered))) => {
                status.actions = actions;
                status.audit = Some(AuditStatus {
                    records,
                    covered,
                    key: vault.notary.key.to_string(),
                    memory: memory::words(&room.config, vault.notary.memory().as_ref()),
                    frozen: vault.frozen.load(Ordering::SeqCst),
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
