//! An explanation as JSON: what `signing-agent policy explain --json` prints and the HTTP API answers (docs/policy-tools.md).

use crate::explain::{Explanation, RuleExplanation};
use crate::facts::Facts;
use crate::release::Release;
use crate::rules::Policy;
use crate::verdict::Verdict;
use crate::windows::{Demand, Used};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Debug, Serialize)]
pub struct Report {
    /// What became of it; `null` for what was never announced.
    pub then: Option<Then>,
    /// The feed's `type`.
    #[serde(rename = "type")]
    pub claim: Option<String>,
    /// Unix seconds, as all times here.
    pub expires: Option<u64>,
    /// As what time it was judged; `null`: the clock is not to be trusted.
    pub at: Option<u64>,
    pub policy: By,
    pub messages: Vec<Facts>,
    pub rules: Vec<RuleReport>,
    pub verdict: &'static str,
    pub rule: Option<String>,
    pub why: String,
    pub contradiction: bool,
    /// Who may release it, where it is held.
    pub release: Option<ReleaseReport>,
    /// What an approval takes of them.
    pub windows: Vec<WindowReport>,
}

/// What the ledger has of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Then {
    pub action: String,
    pub state: String,
    pub seen: u64,
    /// What policy made of it: what it left to others, it held.
    pub verdict: Option<&'static str>,
    pub rule: Option<String>,
    pub why: Option<String>,
    pub decided_by: Option<String>,
    /// SHA-256 of the policy of then, hex.
    pub policy: Option<String>,
}

/// The policy that judged.
#[derive(Debug, Serialize)]
pub struct By {
    pub source: String,
    /// SHA-256, hex.
    pub hash: String,
    pub serial: Option<u64>,
}

#[derive(Debug, Serialize)]
pub struct RuleReport {
    pub name: String,
    pub verdict: &'static str,
    /// Of each message: `null` where it is met, else the first condition that is not.
    pub failed: Vec<Option<String>>,
}

#[derive(Debug, Serialize)]
pub struct ReleaseReport {
    pub token: bool,
    pub approvers: Vec<ApproversReport>,
}

#[derive(Debug, Serialize)]
pub struct ApproversReport {
    pub needed: u32,
    pub of: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowReport {
    pub window: String,
    /// Seconds.
    pub period: u64,
    /// Decimal, as all amounts; `null`: it cannot be measured.
    pub amount: Option<String>,
    pub max_amount: Option<String>,
    pub max_count: Option<u64>,
    /// What of it is used now; absent where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<UsedReport>,
    /// Whether an approval has room in it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct UsedReport {
    pub amount: String,
    pub count: u64,
}

impl Then {
    /// What policy made of an action that these decided, by its own verdict.
    pub fn verdict_of(decided_by: Option<&str>, verdict: Option<&str>) -> Verdict {
        match (decided_by, verdict) {
            (Some("policy"), Some("approve")) => Verdict::Approve,
            (Some("policy"), Some("deny")) => Verdict::Deny,
            _ => Verdict::Hold,
        }
    }
}

impl By {
    pub fn of(policy: &Policy, source: String) -> By {
        By { source, hash: hex::encode(policy.hash()), serial: policy.serial() }
    }
}

impl Report {
    /// With nothing said of the windows but what is taken of them.
    pub fn new(
        explanation: &Explanation,
        policy: By,
        then: Option<Then>,
        claim: Option<String>,
        expires: Option<u64>,
        at: Option<u64>,
    ) -> Report {
        let judgement = &explanation.judgement;
        let held = judgement.verdict == Verdict::Hold;
        Report {
            then,
            claim,
            expires,
            at,
            policy,
            messages: explanation.messages.clone(),
            rules: explanation.rules.iter().map(RuleReport::of).collect(),
            verdict: judgement.verdict.as_str(),
            rule: judgement.rule.clone(),
            why: judgement.why.clone(),
            contradiction: judgement.contradiction,
            release: held.then(|| ReleaseReport::of(&judgement.release)),
            windows: judgement.demands.iter().map(WindowReport::of).collect(),
        }
    }

    /// What is used of each window now, in their order.
    pub fn with_used(mut self, demands: &[Demand], used: &[Used]) -> Report {
        for ((window, demand), used) in self.windows.iter_mut().zip(demands).zip(used) {
            window.fits = Some(demand.fits(*used).is_ok());
            window.used = Some(UsedReport { amount: used.amount.to_string(), count: used.count });
        }
        self
    }
}

impl RuleReport {
    fn of(rule: &RuleExplanation) -> RuleReport {
        RuleReport { name: rule.name.clone(), verdict: rule.verdict.as_str(), failed: rule.failed.clone() }
    }
}

impl ReleaseReport {
    fn of(release: &Release) -> ReleaseReport {
        let group = |group: &crate::Approvers| ApproversReport { needed: group.needed, of: group.of.clone() };
        ReleaseReport { token: release.token, approvers: release.approvers.iter().map(group).collect() }
    }
}

impl WindowReport {
    fn of(demand: &Demand) -> WindowReport {
        WindowReport {
            window: demand.window.clone(),
            period: demand.period,
            amount: demand.amount.map(|amount| amount.to_string()),
            max_amount: demand.max_amount.map(|amount| amount.to_string()),
            max_count: demand.max_count,
            used: None,
            fits: None,
        }
    }
}
