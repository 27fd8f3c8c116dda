//! What the configuration says, and the files that it names.

use super::Findings;
use crate::active::Active;
use crate::callback::Callback;
use crate::people::Named;
use crate::room::Room;
use config::{Auth, Config};
use hsm::seal;
use std::sync::Arc;

pub fn look(findings: &mut Findings, config: &Config) {
    policy(findings, config);
    if let Err(words) = Callback::load(config) {
        findings.fault("callback-key", words, "put the answerer's public key there, or take [callback] out");
    }
    match config.backend.read_pin() {
        Ok(_) => findings.good("backend-pin", "it can be read"),
        Err(e) => findings.fault(
            "backend-pin",
            e,
            "give [backend] pin_file one number in a file of mode 0600 of the vault's user",
        ),
    }
    if let Err(words) = Named::of(&config.people) {
        findings.fault("people", words, "write the .pub file's line of an ed25519 or P-256 key there");
    }
    recovery(findings, config);
    access(findings, config);
    if !config.ledger.token_memory {
        findings.warn(
            "token-memory",
            "[ledger] token_memory is \"none\": that the state directory was put back to an older copy would not be noticed",
            "set it to \"object\" where the token keeps data objects",
        );
    }
}

fn policy(findings: &mut Findings, config: &Config) {
    let Some(file) = &config.policy.file else {
        return findings.warn(
            "policy",
            "there is none: everything is held until a client or the operator releases it",
            "write one (docs/policy.md), and name it in [policy] file",
        );
    };
    match Active::read(file, "[policy] file") {
        Ok(active) => findings.good("policy", format!("{} can be read, SHA-256 {}", file.display(), active.hash())),
        Err(words) => findings.fault(
            "policy",
            format!("{words}; a vault that starts now refuses it"),
            format!(
                "correct it until `signing-agent policy check {}` is content, then `signing-agent policy reload`",
                file.display()
            ),
        ),
    }
}

fn recovery(findings: &mut Findings, config: &Config) {
    let recipients = &config.sealing.recovery_recipients;
    if recipients.is_empty() {
        return findings.warn(
            "recovery",
            "no recovery recipient: if the token is lost, the BLS key is lost with it",
            "age-keygen on another machine, its age1… into [sealing] recovery_recipients, then `signing-agent init --amend`",
        );
    }
    match recipients.iter().find_map(|recipient| seal::parse_recipient(recipient).err()) {
        Some(e) => findings.fault(
            "recovery",
            e,
            "write the age1… line that age-keygen -y prints into [sealing] recovery_recipients",
        ),
        None => findings.good("recovery", format!("{} besides the token", recipients.len())),
    }
}

fn access(findings: &mut Findings, config: &Config) {
    match config.api.auth {
        Auth::None => findings.warn(
            "api-access",
            "[api] auth is \"none\": whoever reaches the port may register the agent, and release what policy holds for any client",
            "set it to \"token\", and make one: `signing-agent token add NAME --scope decide,read`",
        ),
        auth => findings.good("api-access", format!("[api] auth is \"{}\"", auth.as_str())),
    }
}

/// What was written since the vault read it counts at its next start.
pub fn changed(findings: &mut Findings, room: &Arc<Room>) {
    match config::load(&room.config_path) {
        Err(e) => findings.fault(
            "configuration",
            format!("{e}; the vault goes by what it read at its start, and would not start again"),
            "correct it there; docs/configuration.md has every key",
        ),
        Ok(now) if format!("{now:?}") != format!("{:?}", room.config) => findings.warn(
            "configuration",
            "it was changed since the vault read it",
            "restart the agent: `systemctl restart signing-agent.target`, or `signing-agent run` again",
        ),
        Ok(_) => findings.good("configuration", "the vault goes by it"),
    }
    let active = room.policy.active();
    if let Some(words) = &active.refused {
        return findings.fault(
            "policy-signatures",
            format!("nothing is signed: {words}"),
            "sign it as it says, then `signing-agent policy reload`",
        );
    }
    if let Some(Ok(file)) = room.policy.read_again()
        && file.hash() != active.hash()
    {
        findings.warn(
            "policy-in-force",
            format!("the file is another policy than the one in force, SHA-256 {}", active.hash()),
            "`signing-agent policy reload` brings it into force",
        );
    }
}
