//! The persons whose word counts: who may release what a rule holds for them, who signs policies, and who changes. The deed names them;
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub change_signers: BTreeMap<String, String>,
    /// How many of them a change needs; 0: the operator alone makes it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub change_signatures: u64,
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
            change_signers: keys(&config.change_signers, "change_signers")?,
            change_signatures: config.change_signatures,
        })
    }

    /// How many of whom a change needs, in words; `None`: the operator alone makes it.
    pub fn who_changes(&self) -> Option<String> {
        let names: Vec<&str> = self.change_signers.keys().map(String::as_str).collect();
        (self.change_signatures > 0).then(|| format!("{} of [{}]", self.change_signatures, names.join(", ")))
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
        let more = self.names_beyond(other).map(|(what, name, key)| format!("{what} {name} ({key})"));
        let numbers = self.numbers().into_iter().zip(other.numbers()).filter(|(own, others)| own != others);
        let all: Vec<String> = more.chain(numbers.map(|((what, number), _)| format!("{what} {number}"))).collect();
        if all.is_empty() { "nothing more".into() } else { all.join(", ") }
    }

    /// What becomes of it where it is amended to `next`, in words for those who sign that: keys by their fingerprints.
    pub fn steps_to(&self, next: &Named) -> Vec<String> {
        let print = |key: &str| Key::parse(key).map_or_else(|_| key.to_owned(), |key| key.fingerprint());
        let told = |sign: &'static str| {
            move |(what, name, key): (&str, &str, &str)| format!("{sign} {what} {name} {}", print(key))
        };
        let numbers = self.numbers().into_iter().zip(next.numbers()).filter(|(own, next)| own != next);
        let numbers = numbers.map(|((what, from), (_, to))| format!("{what} {from} to {to}"));
        let gone = self.names_beyond(next).map(told("-"));
        gone.chain(next.names_beyond(self).map(told("+"))).chain(numbers).collect()
    }

    fn names_beyond<'a>(&'a self, other: &'a Named) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        let lists = [
            ("approver", &self.approvers, &other.approvers),
            ("policy signer", &self.policy_signers, &other.policy_signers),
            ("change signer", &self.change_signers, &other.change_signers),
        ];
        lists.into_iter().flat_map(|(what, own, others)| {
            let only_here = own.iter().filter(|(name, key)| others.get(*name) != Some(key));
            only_here.map(move |(name, key)| (what, name.as_str(), key.as_str()))
        })
    }

    fn numbers(&self) -> [(&'static str, u64); 2] {
        [("policy_signatures", self.policy_signatures), ("change_signatures", self.change_signatures)]
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The keys of these, read.
pub fn keys(named: &BTreeMap<String, String>) -> Result<BTreeMap<String, Key>, ssh::Error> {
    named.iter().map(|(name, key)| Ok((name.clone(), Key::parse(key)?))).collect()
}
