//! What can be looked at where no vault is at work: token, deed, ledger and sealed keys, as an opening would find them.

use super::ledger::Facts;
use super::{Findings, ledger, token};
use crate::agent::{self, Secrets};
use crate::deed::{self, Deed};
use crate::ledger::{LastSigned, Phase, RegistrationRow};
use crate::people::Named;
use crate::{active::Active, files, init, signed};
use config::Config;
use hsm::{Module, PublicKeys, Token, Watch};
use std::io;

pub fn look(findings: &mut Findings, config: &Config, module: &Result<Module, String>, watch: &Watch) {
    let state = &config.state;
    if !state.deed().exists() {
        findings.fault(
            "deed",
            format!(
                "there is none in {}: this agent was never made, or its state directory is another",
                state.dir.display()
            ),
            "`signing-agent init` makes a new agent; an old one needs its state directory back, see [state] dir",
        );
        // A login is noted there.
        if state.dir.is_dir() {
            token::open(findings, config, module, watch);
        }
        return;
    }
    // Held while it is looked at, so that no vault begins with the token meanwhile; a vault that has it is left alone.
    let _alone = match files::lock_existing(&state.dir) {
        Ok(alone) => alone,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            return findings.unknown(
                "token",
                "a vault works with it and does not answer: what it holds is not touched",
                "its log says what it waits for (`journalctl -u signing-agent-vault`); a restart ends the wait",
            );
        }
        Err(e) => {
            return findings.fault(
                "state-directory",
                format!("{}: {e}", state.dir.display()),
                format!("chown -R it to the vault's user, and `chmod 700 {}`", state.dir.display()),
            );
        }
    };
    let opened = token::open(findings, config, module, watch);
    let keys = opened.as_ref().map(|(_, keys)| *keys);
    let deed = keys.and_then(|keys| read_deed(findings, config, &keys));
    let memory = opened.as_ref().and_then(|(token, _)| ledger::memory(findings, config, token));
    let facts = ledger::look_at_rest(findings, config, keys.as_ref(), memory);
    if let (Some((token, _)), Some(deed)) = (&opened, &deed) {
        agrees(findings, config, token, deed, facts.as_ref().and_then(|facts| facts.last_signed));
        if let Some(facts) = &facts {
            if let Err(e) = deed.is_the_last(&state.deed(), facts.deed_written) {
                findings.fault(
                    "deed",
                    e,
                    "put the last one back, or restore the whole state directory from one backup",
                );
            }
            sealed(findings, config, token, deed, facts);
        }
    }
}

pub fn read_deed(findings: &mut Findings, config: &Config, keys: &PublicKeys) -> Option<Deed> {
    match Deed::read(&config.state.deed(), keys) {
        Ok(deed) => {
            findings.good("deed", "it is signed by this token's audit key, and is of its keys");
            Some(deed)
        }
        Err(e) => {
            findings.fault(
                "deed",
                e,
                "use the token that this agent was made with, or restore deed.jws with the rest of the state directory from one backup",
            );
            None
        }
    }
}

/// The configuration and the deed.
pub fn agrees(findings: &mut Findings, config: &Config, token: &Token, deed: &Deed, last: Option<LastSigned>) {
    let (Ok(recipients), Ok(people)) = (init::recipients(config, token), Named::of(&config.people)) else { return };
    match deed.check(&deed::Configured { recipients, people }) {
        Ok(()) => findings.good("deed-and-configuration", "they name the same recipients and people"),
        Err(e @ deed::Error::OtherRecipients { .. }) => findings.fault(
            "deed-and-configuration",
            e,
            "put [sealing] recovery_recipients back, or `signing-agent init --amend` to seal to them from now on",
        ),
        Err(e) => findings.fault(
            "deed-and-configuration",
            e,
            "put [people] back, or `signing-agent init --amend` to go by it from now on",
        ),
    }
    let Some(active) = config.policy.file.as_ref().and_then(|file| Active::read(file, "[policy] file").ok()) else {
        return;
    };
    if let Err(words) = deed.people.know(&active.policy) {
        findings.fault("policy", words, "name them in [people] approvers, then `signing-agent init --amend`");
    }
    match signed::check(&deed.people, &active, last) {
        Err(words) => {
            findings.fault("policy-signatures", words, "sign it as it says, then `signing-agent policy reload`")
        }
        Ok(Some(_)) => findings.good("policy-signatures", "they are what the deed asks for"),
        Ok(None) => {}
    }
}

/// The sealed keys, and whether deed, ledger and they are of one agent.
pub fn sealed(findings: &mut Findings, config: &Config, token: &Token, deed: &Deed, facts: &Facts) {
    let restore = "restore deed, ledger and *.age from one backup of the state directory";
    let row = match &facts.registration {
        Some(row) if row.phase == Phase::Registered => row,
        Some(_) => {
            let remedy = "register again, to go on with it";
            return findings.warn("registration", "one was interrupted", remedy);
        }
        None if deed.agent.is_some() => {
            return findings.fault("registration", "the deed names an agent that the ledger does not know", restore);
        }
        None if config.state.bls_sealed().exists() => {
            return findings.fault("sealed-keys", "there are some that the ledger knows no registration of", restore);
        }
        None => {
            return findings.warn(
                "registration",
                "the agent is not registered: there is nothing that it could sign",
                "`signing-agent registration open`, then let the partner app register it (POST /api/v1/register)",
            );
        }
    };
    findings.good("registration", format!("{}, agentID {}", row.name, row.agent_id));
    match Secrets::open(token, &config.state.bls_sealed(), &config.state.mpin_sealed()) {
        Ok(secrets) if !is_named(deed, row, &secrets.bls_public()) => {
            findings.fault("sealed-keys", "the sealed BLS key is not the one that the deed names", restore);
        }
        Ok(_) => findings.good("sealed-keys", "they open, and are the deed's"),
        Err(e @ agent::Error::Memory(_)) => findings.fault(
            "memory-lock",
            e,
            "raise RLIMIT_MEMLOCK of the vault (LimitMEMLOCK= of its unit, `ulimit -l`) to 8 MiB",
        ),
        Err(e) => findings.fault(
            "sealed-keys",
            format!("they cannot be opened: {e}"),
            "restore bls.age and mpin.age from a backup; a recovery key opens them too (age --decrypt)",
        ),
    }
}

fn is_named(deed: &Deed, row: &RegistrationRow, public: &[u8; 192]) -> bool {
    let named = deed.agent.as_ref();
    named.is_some_and(|named| named.agent_id == row.agent_id && named.bls_key == hex::encode(public))
        && row.bls_public == public
}
