//! The persons whose word counts: who may release what a rule holds for them, and who signs policies. The deed names them;
//! what the configuration says of them counts once `signing-agent init --amend` has put it there.

use crate::ssh::{self, Key};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As the deed has them: a name's key is `TYPE BASE64`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    pub approvers: BTreeMap<String, String>,
    pub policy_signers: BTreeMap<String, String>,
    /// How many of them a policy needs; 0: it needs no signature.
    pub policy_signatures: u64,
}

impl Named {
    /// As the configuration names them, where each key is one that is taken here; else words for the operator.
    pub fn of(config: &config::People) -> Result<Named, String> {
        let keys = |list: &[config::Person], key: &str| {
            let canonical = |person: &config::Person| {
                let read = Key::parse(&person.key).and_then(|key| key.canonical());
                read.map(|text| (person.name.clone(), text))
                    .map_err(|e| format!("[people] {key}: {}: {e}", person.name))
            };
            list.iter().map(canonical).collect::<Result<_, _>>()
        };
        Ok(Named {
            approvers: keys(&config.approvers, "approvers")?,
            policy_signers: keys(&config.policy_signers, "policy_signers")?,
            policy_signatures: config.policy_signatures,
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Named::default()
    }

    /// Whether a policy's groups are of people whom the deed names; else words for the operator.
    pub fn know(&self, policy: &policy::Policy) -> Result<(), String> {
        let unknown: Vec<String> =
            policy.approvers().into_iter().filter(|name| !self.approvers.contains_key(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the policy wants approvers whom the deed does not name: {}; name them in [people] approvers and run \
             `signing-agent init --amend`, or take them out of the policy",
            unknown.join(", ")
        ))
    }

    /// What it has that the other has not, in words for the operator.
    pub fn beyond(&self, other: &Named) -> String {
        let lists = [
            ("approver", &self.approvers, &other.approvers),
            ("policy signer", &self.policy_signers, &other.policy_signers),
        ];
        let more = lists.into_iter().flat_map(|(what, own, others)| {
            let only_here = own.iter().filter(|(name, key)| others.get(*name) != Some(key));
            only_here.map(move |(name, key)| format!("{what} {name} ({key})"))
        });
        let signatures = (self.policy_signatures != other.policy_signatures)
            .then(|| format!("policy_signatures {}", self.policy_signatures));
        let all: Vec<String> = more.chain(signatures).collect();
        if all.is_empty() { "nothing more".into() } else { all.join(", ") }
    }
}

/// The keys of these, read.
pub fn keys(named: &BTreeMap<String, String>) -> Result<BTreeMap<String, Key>, ssh::Error> {
    named.iter().map(|(name, key)| Ok((name.clone(), Key::parse(key)?))).collect()
}
