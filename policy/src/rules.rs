//! A policy as it is judged by: rules whose names, lists and amounts have been looked up.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::conditions::{Bound, Condition, Taken, Truth};
use crate::language;
use crate::lists::Lists;
use crate::money::Currencies;
use crate::release::Release;
use crate::subject::Subject;
use crate::verdict::Verdict;
use crate::warnings::{Warning, warnings};
use crate::windows::Window;
use crate::wire::transfer_type;
use crate::{Decoded, Error};

/// What [`Policy::hold_all`] is the hash of.
const HOLD_ALL: &str = "no policy: hold everything";

/// The rules, in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) rules: Vec<Rule>,
    pub(crate) windows: Vec<Window>,
    pub(crate) currencies: Currencies,
    pub(crate) lists: Lists,
    pub(crate) zone: TimeZone,
    /// Who may release what no hold rule decides.
    pub(crate) release: Release,
    pub(crate) serial: Option<u64>,
    /// What [`Policy::warnings`] tells besides what it finds itself.
    pub(crate) remarks: Vec<Warning>,
    pub(crate) hash: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Where it stands in the file, from 1.
    pub(crate) line: usize,
    pub(crate) verdict: Verdict,
    /// In the order in which they are looked at.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) allow_opaque: bool,
    /// It bounds nothing.
    pub(crate) unlimited: bool,
    /// [`crate::asset::OTHER_FIELDS`] that it takes.
    pub(crate) other_fields: BTreeSet<String>,
    /// Of a hold.
    pub(crate) release: Release,
}

impl Policy {
    /// No rule: everything is held, and any client may release it.
    pub fn hold_all() -> Policy {
        Policy {
            rules: Vec::new(),
            windows: Vec::new(),
            currencies: Currencies::default(),
            lists: Lists::default(),
            zone: TimeZone::UTC,
            release: Release::client(),
            serial: None,
            remarks: Vec::new(),
            hash: Sha256::digest(HOLD_ALL).into(),
        }
    }

    /// Reads the text of a `policy.toml` (docs/policy.md). Refused, each with line and column: unknown keys, wrong types,
    /// names that nothing has, amounts that are not exact, conditions that contradict each other, an approve without a limit
    /// that does not say `unlimited = true`, and what only an approve or a hold can mean on another rule.
    pub fn parse(text: &str) -> Result<Policy, Error> {
        Ok(language::read(text)?)
    }

    /// SHA-256 of the text, comments and all; of fixed words for [`Policy::hold_all`].
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The number that grows with each version of a signed policy.
    pub fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All people that some release names.
    pub fn approvers(&self) -> BTreeSet<String> {
        let releases = self.rules.iter().map(|rule| &rule.release).chain([&self.release]);
        releases.flat_map(|release| &release.approvers).flat_map(|group| group.of.iter().cloned()).collect()
    }

    /// What is no error, but hardly what somebody means; by line.
    pub fn warnings(&self) -> Vec<Warning> {
        warnings(self)
    }
}

impl Rule {
    /// How it takes several transfers, and facts that are missing.
    pub(crate) fn taken(&self) -> Taken {
        if self.verdict == Verdict::Approve { Taken::Together } else { Taken::Each }
    }

    /// Whether a hold or a deny is about this.
    pub(crate) fn concerns(&self, subject: &Subject<'_>) -> Truth {
        let mut doubtful = false;
        for condition in &self.conditions {
            match condition.truth(subject, self.taken()) {
                Truth::No => return Truth::No,
                Truth::Doubtful => doubtful = true,
                Truth::Yes | Truth::Missing => {}
            }
        }
        if doubtful { Truth::Doubtful } else { Truth::Yes }
    }

    /// Whether a hold is about all of this, by the bytes and with no fact missing.
    pub(crate) fn is_surely_about(&self, subject: &Subject<'_>) -> bool {
        self.conditions.iter().all(|condition| {
            let by_claim = matches!(condition, Condition::ActionTypes(_)) && subject.is_opaque();
            !by_claim && condition.truth(subject, Taken::Together) == Truth::Yes
        })
    }

    /// Whether an approve rule is met.
    pub(crate) fn is_met(&self, subject: &Subject<'_>) -> bool {
        self.may_be_about(subject)
            && self.conditions.iter().all(|condition| condition.truth(subject, Taken::Together) == Truth::Yes)
            && self.unbounded(subject).is_none()
    }

    /// By rule only a wallet asset can be approved, or, where the rule says so, what is no asset at all.
    pub(crate) fn may_be_about(&self, subject: &Subject<'_>) -> bool {
        matches!(subject.decoded, Decoded::Wallet(_)) || (subject.is_opaque() && self.allow_opaque)
    }

    /// A fact that can hurt and that this rule does not bound; in words. A rule without any limit bounds none and takes all.
    pub(crate) fn unbounded(&self, subject: &Subject<'_>) -> Option<String> {
        let wallet = subject.wallet.as_ref().filter(|_| !self.unlimited)?;
        let bounds = |wanted: &dyn Fn(&Condition) -> bool| self.conditions.iter().any(wanted);
        let asset = wallet.asset;
        if asset.action_kind().is_none() {
            let name = asset.transfer_name();
            // Who names these types means what such assets move, and not a settlement within a transfer.
            use transfer_type::{SETTLE_PULL, SETTLE_PUSH, TRANSFER_PULL, TRANSFER_PUSH};
            let other = match asset.transfer_type {
                TRANSFER_PUSH | SETTLE_PUSH => true,
                TRANSFER_PULL => !asset.settlements.is_empty(),
                SETTLE_PULL => !asset.transfers.is_empty(),
                _ => false,
            };
            if other {
                return Some(format!("it says that it is a {name}, and does not move what such an asset does"));
            }
            if !bounds(&|c| matches!(c, Condition::TransferTypes(_))) {
                return Some(format!("it is no plain transfer or withdrawal ({name}), and transfer_types names none"));
            }
        }
        if asset.settlements.iter().any(|s| s.fee != 0) && !bounds(&|c| matches!(c, Condition::Fee(Bound::Max, _))) {
            return Some("it has a fee, and no max_fee bounds it".into());
        }
        if !asset.participants.is_empty() && !bounds(&|c| matches!(c, Condition::Participants(_))) {
            return Some("its transfer list names participants, and no participants bound them".into());
        }
        if !asset.expressions.is_empty() && !bounds(&|c| matches!(c, Condition::Expressions(_))) {
            return Some("its transfer list has expressions, and no expressions bound them".into());
        }
        let other = asset.other_fields.iter().find(|field| !self.other_fields.contains(**field))?;
        Some(format!("it has a {other}, and other_fields does not name that"))
    }
}
