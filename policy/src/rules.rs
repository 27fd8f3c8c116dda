//! `policy.toml`: named rules. What a rule may say is narrow on purpose; what it does not say is held.

use std::collections::BTreeSet;

use config::strict;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::Error;

/// What [`Policy::hold_all`] is the hash of.
const HOLD_ALL: &str = "no policy: hold everything";

/// Ordered: the greater beats the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sign it.
    Approve,
    /// Leave it to a person or the partner app, until it expires.
    Hold,
    /// Reject it at the backend.
    Deny,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approve => "approve",
            Verdict::Hold => "hold",
            Verdict::Deny => "deny",
        }
    }

    /// Whether a person may let it go by hand: everything but what is denied, and so never an IDDoc. That there is
    /// something to sign at all (messages, and none of them empty) is not asked here.
    pub fn may_release(self) -> bool {
        self != Verdict::Deny
    }
}

/// The rules, in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) rules: Vec<Rule>,
    hash: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// The feed's names (`ApproveTransfer`); `None` is all of them.
    pub(crate) action_types: Option<BTreeSet<String>>,
    pub(crate) allow_opaque: bool,
}

impl Policy {
    /// No rule: everything is held.
    pub fn hold_all() -> Policy {
        Policy { rules: Vec::new(), hash: Sha256::digest(HOLD_ALL).into() }
    }

    /// Reads the text of a `policy.toml`. Refused, each with line and column: unknown keys, wrong types, rules without a name
    /// or with another's, empty `action_types`, an approve without `unlimited = true`, and `allow_opaque` or
    /// `unlimited` on a rule that approves nothing (hold and deny take opaque messages in anyway; who writes it there
    /// expects something else of it).
    pub fn parse(text: &str) -> Result<Policy, Error> {
        let file: RawFile = strict::parse(text)?;
        let mut rules: Vec<Rule> = Vec::with_capacity(file.rule.len());
        for raw in file.rule {
            let name_at = raw.get_ref().name.span().start;
            let rule = raw.into_inner().check(text)?;
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(strict::Error::at(text, name_at, format!("two rules are named {:?}", rule.name)).into());
            }
            rules.push(rule);
        }
        Ok(Policy { rules, hash: Sha256::digest(text).into() })
    }

    /// SHA-256 of the text, comments and all; of fixed words for [`Policy::hold_all`].
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rule: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: Spanned<String>,
    verdict: Verdict,
    action_types: Option<Spanned<Vec<String>>>,
    allow_opaque: Option<Spanned<bool>>,
    unlimited: Option<Spanned<bool>>,
}

impl RawRule {
    fn check(self, text: &str) -> Result<Rule, strict::Error> {
        let name_at = self.name.span().start;
        let name = self.name.into_inner();
        if name.trim().is_empty() || name.chars().any(char::is_control) || name.len() > 100 {
            return Err(strict::Error::at(
                text,
                name_at,
                "a rule needs a name of 1 to 100 bytes, without control characters",
            ));
        }
        let approves = self.verdict == Verdict::Approve;
        for (key, flag) in [("allow_opaque", &self.allow_opaque), ("unlimited", &self.unlimited)] {
            if let Some(flag) = flag.as_ref().filter(|flag| *flag.get_ref() && !approves) {
                let why =
                    format!("rule {name:?}: {key} is for approve rules alone; this one says {}", self.verdict.as_str());
                return Err(strict::Error::at(text, flag.span().start, why));
            }
        }
        if approves && !self.unlimited.is_some_and(Spanned::into_inner) {
            let why = format!(
                "rule {name:?} approves without a limit: say so with `unlimited = true` (as long as there are no limits to state)"
            );
            return Err(strict::Error::at(text, name_at, why));
        }
        let action_types = self.action_types.map(|types| action_types(text, &name, types)).transpose()?;
        Ok(Rule {
            name,
            verdict: self.verdict,
            action_types,
            allow_opaque: self.allow_opaque.is_some_and(Spanned::into_inner),
        })
    }
}

fn action_types(text: &str, name: &str, types: Spanned<Vec<String>>) -> Result<BTreeSet<String>, strict::Error> {
    let at = types.span().start;
    let types = types.into_inner();
    if types.is_empty() || types.iter().any(|t| t.trim().is_empty() || t.trim() != t) {
        let why = format!(
            "rule {name:?}: action_types must name feed types such as \"ApproveTransfer\"; leave it out to mean all of them"
        );
        return Err(strict::Error::at(text, at, why));
    }
    Ok(types.into_iter().collect())
}
