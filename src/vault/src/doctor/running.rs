//! What is seen from within a vault at work.

use super::ledger::{self, Facts};
use super::{Findings, PATIENCE, still, token};
use crate::room::Room;
use crate::vault::Vault;
use std::sync::Arc;
use std::sync::mpsc::channel;

pub fn look(findings: &mut Findings, room: &Arc<Room>, vault: &Arc<Vault>) {
    token::pin_file(findings, &room.config);
    findings.good("pkcs11-module", format!("{} is loaded", room.config.hsm.module.display()));
    let looked_at = vault.clone();
    let keys = token::keys(findings, move || token::tried(&looked_at.token));
    if keys.is_some() {
        findings.good("token", "it is there, and logged in to");
    }
    let facts = facts(findings, vault);
    if let Some(deed) = keys.and_then(|keys| still::read_deed(findings, &room.config, &keys)) {
        let last = facts.as_ref().and_then(|facts| facts.last_signed);
        still::agrees(findings, &room.config, &vault.token, &deed, last);
        if let Some(facts) = &facts {
            still::sealed(findings, &room.config, &vault.token, &deed, facts);
        }
    }
    let Some(facts) = facts else { return };
    ledger::told(findings, &room.config, &facts);
    if !facts.stepped {
        findings.good("clock", "the wall clock goes as the time since the boot does");
    }
    if !facts.frozen {
        findings.good("frozen", "it is not");
    }
    log(findings, room, vault, &facts);
    work(findings, room, vault, &facts);
}

fn facts(findings: &mut Findings, vault: &Vault) -> Option<Facts> {
    let (tell, told) = channel();
    vault.ledger.post(Facts::read, move |facts| {
        // Who asked may have given up.
        let _ = tell.send(facts);
    });
    let disk =
        "look at the disk of the state directory: `df -h`, `df -i`, `dmesg`; it goes on by itself when there is room";
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(facts)) => {
            match vault.ledger.complaint() {
                Some(words) => findings.fault("ledger", words, disk),
                None => findings.good("ledger", "what is written is kept"),
            }
            Some(facts)
        }
        Ok(Err(e)) => {
            findings.fault("ledger", e, disk);
            None
        }
        Err(_) => {
            findings.fault("ledger", format!("it has not answered for {} s", PATIENCE.as_secs()), disk);
            None
        }
    }
}

/// Checkpoints and witnesses.
fn log(findings: &mut Findings, room: &Room, vault: &Vault, facts: &Facts) {
    let (records, covered) = facts.records;
    match vault.notary.checkpoint_trouble() {
        Some(why) => findings.fault(
            "audit-log",
            format!("no checkpoint can be made, and after a minute of that nothing is signed: {why}"),
            "put the token right, or its memory, as it says",
        ),
        None => findings.good("audit-log", format!("{records} records, {covered} of them under a checkpoint")),
    }
    let behind = room.witnesses.behind();
    if !behind.is_empty() {
        let urls: Vec<&str> =
            behind.iter().filter_map(|n| room.config.audit.witnesses.get(*n)).map(|url| url.as_str()).collect();
        findings.warn(
            "witnesses",
            format!("they have not cosigned the newest checkpoint: {}", urls.join(", ")),
            "see whether they are reached (IPAddressAllow= of the courier's unit), and what the log says of them",
        );
    } else if !room.config.audit.witnesses.is_empty() {
        findings.good("witnesses", "all have cosigned the newest checkpoint, or are just asked");
    }
}

/// What waits, and what a person should look at.
fn work(findings: &mut Findings, room: &Room, vault: &Vault, facts: &Facts) {
    let waiting = vault.retries.waiting() + room.errands.waiting();
    if facts.overdue > 0 {
        findings.fault(
            "backlog",
            format!("approvals that expire within a minute and are not settled: {}", facts.overdue),
            "see what the backend says: the faults of `backend` and `feed`, and the log",
        );
    } else if waiting > 0 {
        findings.warn(
            "backlog",
            format!("{waiting} requests wait for the backend, or for their next try"),
            "they go on by themselves when it is there; `signing-agent status` counts them",
        );
    } else {
        findings.good("backlog", "nothing waits for the backend");
    }
    if let Some(words) = room.callback.complaint() {
        findings.fault(
            "callback",
            words,
            "see whether who answers at [callback] url is up, and reached by the courier",
        );
    }
    let alarms = vault.alarms.list();
    if let Some(last) = alarms.last() {
        findings.warn(
            "alarms",
            format!("{} since the start; the last one: {last}", alarms.len()),
            "`signing-agent status` shows them; look at each, they end with the vault's life",
        );
    }
}
