//! What a change is about: in words for those who sign it, and as the digest that they sign.

use crate::change_statement::About;
use crate::deed::{Configured, Deed};
use crate::digest::messages_digest;
use crate::init::Opened;
use crate::ledger::{Row, audit};
use crate::pipeline::Judged;
use crate::room::Room;
use crate::vault::Vault;
use ipc::{Change, InitOptions, Refusal};
use serde::Serialize;
use sha2::{Digest, Sha256};

const DAY: u64 = 24 * 60 * 60;
/// A recipient that is longer is told by its digest: those of hybrid keys have 2,000 octets.
const LONG: usize = 110;

pub struct Matter {
    pub about: About,
    /// More of it, which is not signed: in bounded words.
    pub facts: Vec<String>,
}

impl Matter {
    /// Of a vault that is at work. `signed`: people put their names to it, so that an action's octets are part of it.
    pub fn of(room: &Room, vault: &Vault, change: &Change, signed: bool) -> Result<Matter, Refusal> {
        let agent = vault.agent();
        let agent = called(agent.as_ref().map(|agent| agent.id.as_str()), &vault.keys.audit);
        let released = match change {
            Change::Release { .. } if vault.agent().is_none() => return Err(Refusal::NotRegistered),
            Change::Release { action } if signed => Some(released(room, vault, action.clone())?),
            _ => None,
        };
        let (messages, facts) = released.unwrap_or_default();
        let ask = match change {
            Change::Release { action } if signed => format!("approve {action}, messages {}", hex::encode(&messages)),
            change => words(change),
        };
        Matter::new(agent, ask, change, &messages, facts)
    }

    /// Of a deed that is to say something else: from exactly this one to exactly that.
    pub fn amend(deed: &Deed, next: &Configured, options: InitOptions) -> Result<Matter, Refusal> {
        let change = Change::Amend(options);
        let print = |recipient: &String| match recipient.len() {
            0..=LONG => recipient.clone(),
            _ => format!("of SHA-256 {}", hex::encode(Sha256::digest(recipient))),
        };
        let beyond = |sign: &str, own: &[String], others: &[String]| -> Vec<String> {
            let only = own.iter().filter(|recipient| !others.contains(recipient));
            only.map(|recipient| format!("{sign} recipient {}", print(recipient))).collect()
        };
        let steps = [
            deed.people.steps_to(&next.people),
            beyond("-", &deed.recipients, &next.recipients),
            beyond("+", &next.recipients, &deed.recipients),
        ];
        let steps = steps.concat();
        if deed.check(next).is_ok() {
            let words = "the deed says what the configuration says: there is nothing to amend";
            return Err(Refusal::Init(words.into()));
        }
        // Where only their order is another one, no step is left.
        let steps = if steps.is_empty() { vec!["recipients in another order".to_owned()] } else { steps };
        let ask = format!("{}: {}", words(&change), steps.join("; "));
        let facts = steps.iter().map(|step| ipc::bounded(step)).collect();
        let more = [json_digest(deed)?, json_digest(next)?].concat();
        Matter::new(deed.called(), ask, &change, &more, facts)
    }

    /// Of a ledger that is not the one that the token remembers: exactly this one, and exactly that memory.
    pub fn rollback(opened: &Opened) -> Result<Matter, Refusal> {
        let broken = |e: &dyn std::fmt::Display| Refusal::Init(ipc::bounded(&e.to_string()));
        let memory = match opened.token.read_memory() {
            Ok(memory) => memory.map(|memory| memory.content).unwrap_or_default(),
            Err(hsm::Error::MemoryMalformed(_)) => b"malformed".to_vec(),
            Err(e) => return Err(broken(&e)),
        };
        let memory: [u8; 32] = Sha256::digest(&memory).into();
        let head = opened.ledger.call(audit::head).map_err(|e| broken(&e))?;
        let root = hex::encode(head.root);
        let ask = format!(
            "{}: a ledger of {} records with root {root}, token memory of SHA-256 {}",
            words(&Change::AcceptRollback),
            head.size,
            hex::encode(memory)
        );
        let more = [&memory[..], &head.size.to_be_bytes(), &head.root].concat();
        Matter::new(opened.deed.called(), ask, &Change::AcceptRollback, &more, Vec::new())
    }

    fn new(agent: String, ask: String, change: &Change, more: &[u8], facts: Vec<String>) -> Result<Matter, Refusal> {
        let octets = postcard::to_stdvec(change).map_err(|e| Refusal::Init(e.to_string()))?;
        let digest = Sha256::new().chain_update(octets).chain_update(more).finalize().into();
        Ok(Matter { about: About { agent, ask, digest }, facts })
    }
}

/// The agentID; before there is one, the audit key's fingerprint, as `init` and `status` show it.
pub fn called(agent_id: Option<&str>, audit_key: &[u8]) -> String {
    agent_id.map_or_else(|| format!("audit key {}", hex::encode(Sha256::digest(audit_key))), str::to_owned)
}

/// The digest of the action's messages, and what they say.
fn released(room: &Room, vault: &Vault, action: ipc::ActionId) -> Result<(Vec<u8>, Vec<String>), Refusal> {
    let row = vault.ledger.call(move |t| Row::read(t, &action)).map_err(|e| Refusal::Init(e.to_string()))?;
    let row = row.ok_or(Refusal::UnknownAction)?;
    let Some(messages) = row.messages().map(<[Vec<u8>]>::to_vec) else {
        return Err(Refusal::Init("its messages were not fetched yet: try again in a moment".into()));
    };
    let digest = messages_digest(&messages).to_vec();
    let judged = Judged::new(&room.policy.active().policy, row.seen.clone(), messages, vault.wall_clock.now());
    Ok((digest, judged.judgement().facts.iter().map(|facts| ipc::bounded(facts)).collect()))
}

fn json_digest(what: &impl Serialize) -> Result<[u8; 32], Refusal> {
    let octets = serde_json::to_vec(what).map_err(|e| Refusal::Init(e.to_string()))?;
    Ok(Sha256::digest(octets).into())
}

/// As the command is called that asks for it.
fn words(change: &Change) -> String {
    let time = |seconds: u64| {
        if seconds.is_multiple_of(DAY) { format!("{} d", seconds / DAY) } else { format!("{seconds} s") }
    };
    match change {
        Change::Release { action } => format!("approve {action}"),
        Change::TokenAdd { name, scopes, seconds, per_minute } => {
            let until = seconds.map_or_else(|| "until it is revoked".to_owned(), time);
            let most = per_minute.map(|most| format!(", {most} calls a minute")).unwrap_or_default();
            format!("token add {}, scopes {scopes}, {until}{most}", ipc::bounded(name))
        }
        Change::Rotate { key } => format!("rotate {}", key.as_str()),
        Change::DestroyFormer { key } => format!("rotate {} --confirm", key.as_str()),
        Change::PolicyReload => "policy reload".into(),
        Change::Unfreeze => "unfreeze".into(),
        Change::ConfirmClock => "confirm-clock".into(),
        Change::ConfirmWindows => "confirm-windows".into(),
        Change::AcceptRollback => "recover --accept-rollback".into(),
        Change::Amend(InitOptions { try_pin_again: false, .. }) => "init --amend".into(),
        Change::Amend(_) => "init --amend --try-pin-again".into(),
        Change::RegistrationOpen { seconds } => format!("registration open for {}", time(*seconds)),
    }
}

#[cfg(test)]
#[path = "matter_tests.rs"]
mod tests;
