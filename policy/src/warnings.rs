//! What is no error in a policy, but hardly what somebody means.

use std::collections::BTreeSet;

use crate::conditions::{Bound, Condition};
use crate::judge::ActionKind;
use crate::money::Limits;
use crate::rules::{Policy, Rule};
use crate::verdict::Verdict;
use crate::wire::transfer_type;

/// Something to look at again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// From 1.
    pub line: usize,
    pub words: String,
}

pub(crate) fn warnings(policy: &Policy) -> Vec<Warning> {
    let mut all = policy.remarks.clone();
    for rule in &policy.rules {
        let mut warn = |words: String| {
            all.push(Warning { line: rule.line, words: format!("rule {:?}: {words}", rule.name) });
        };
        if let Some(why) = never(rule) {
            warn(format!("it can never decide: {why}"));
        }
        if let Some(other) = hidden_by(rule, &policy.rules) {
            warn(format!(
                "it can never decide: rule {:?} ({}) is about everything",
                other.name,
                other.verdict.as_str()
            ));
        }
        if rule.verdict == Verdict::Approve {
            approval(rule, policy, &mut warn);
        }
    }
    all.sort();
    all
}

fn approval(rule: &Rule, policy: &Policy, warn: &mut dyn FnMut(String)) {
    if rule.unlimited {
        warn("it approves without any limit, and bounds neither fees nor who may move a wallet next".into());
    }
    if rule.allow_opaque && rule.conditions.iter().any(Condition::needs_a_wallet) {
        warn("allow_opaque helps nothing: another condition asks what only a wallet asset says".into());
    }
    let has = |wanted: &dyn Fn(&Condition) -> bool| rule.conditions.iter().any(wanted);
    let unwindowed = unwindowed(rule, policy);
    let windowed = unwindowed.is_empty();
    let each = has(&|c| matches!(c, Condition::Transfer(Bound::Max, _)));
    if each && !has(&|c| matches!(c, Condition::Action(Bound::Max, _))) && !windowed {
        warn("it bounds each transfer, but neither an action of many nor what goes in a day: max_amount_per_action, a window".into());
    } else if !rule.unlimited && !windowed {
        let names = unwindowed.join(", ");
        warn(format!("it bounds each action, but not how many of them: a window does (there is none for {names})"));
    }
}

/// The currencies that it may approve and that no window is about, by name.
fn unwindowed(rule: &Rule, policy: &Policy) -> Vec<String> {
    let mut codes: Option<BTreeSet<i64>> = None;
    for condition in &rule.conditions {
        let named: BTreeSet<i64> = match condition {
            Condition::Currencies(named) => named.clone(),
            Condition::Transfer(Bound::Max, limits) | Condition::Action(Bound::Max, limits) => {
                limits.keys().copied().collect()
            }
            _ => continue,
        };
        codes = Some(codes.map_or_else(|| named.clone(), |codes| codes.intersection(&named).copied().collect()));
    }
    let windows = || policy.windows.iter().filter(|w| w.rules.is_empty() || w.rules.contains(&rule.name));
    let free = |code: &i64| !windows().any(|window| window.currency.is_none_or(|currency| currency == *code));
    codes.unwrap_or_default().into_iter().filter(free).map(|code| policy.currencies.name(code)).collect()
}

/// A rule with the same or a stricter verdict that leaves it nothing.
fn hidden_by<'a>(rule: &Rule, rules: &'a [Rule]) -> Option<&'a Rule> {
    rules.iter().find(|other| other.conditions.is_empty() && other.verdict > rule.verdict)
}

/// Why no message can meet all conditions.
fn never(rule: &Rule) -> Option<String> {
    let find = |wanted: &dyn Fn(&Condition) -> bool| rule.conditions.iter().find(|condition| wanted(condition));
    if let Some(Condition::Kinds(kinds)) = find(&|c| matches!(c, Condition::Kinds(_))) {
        if rule.verdict == Verdict::Approve && !kinds.contains("wallet") && !rule.allow_opaque {
            return Some("it names opaque alone, and allow_opaque is not set".into());
        }
        // A hold or a deny takes a missing fact for met.
        if rule.verdict == Verdict::Approve
            && !kinds.contains("wallet")
            && rule.conditions.iter().any(Condition::needs_a_wallet)
        {
            return Some("what is opaque has no such facts as it asks for".into());
        }
    }
    if rule.verdict != Verdict::Approve {
        return None;
    }
    for (least, most) in bounds(rule) {
        let both = least.iter().filter_map(|(code, least)| Some((*least, *most.get(code)?)));
        let (mut any, mut possible) = (false, false);
        for (least, most) in both {
            any = true;
            possible |= least <= most;
        }
        if !any {
            return Some("its least and its greatest amount have no currency in common".into());
        }
        if !possible {
            return Some("its least amount is more than its greatest".into());
        }
    }
    if let (Some(least), Some(most)) = (rule.expiry(Bound::Min), rule.expiry(Bound::Max))
        && least > most
    {
        return Some("min_time_to_expiry is more than max_time_to_expiry".into());
    }
    if let Some(Condition::Currencies(codes)) = find(&|c| matches!(c, Condition::Currencies(_))) {
        let other = rule
            .conditions
            .iter()
            .find(|condition| condition.limits().is_some_and(|limits| !limits.keys().any(|code| codes.contains(code))));
        if let Some(other) = other {
            return Some(format!("{} is of other currencies than it names", other.name()));
        }
    }
    types_fit(rule).err()
}

/// An action type that the bytes can show, against the transfer types.
fn types_fit(rule: &Rule) -> Result<(), String> {
    let (mut actions, mut transfers) = (None, None);
    for condition in &rule.conditions {
        match condition {
            Condition::ActionTypes(types) => actions = Some(types),
            Condition::TransferTypes(types) => transfers = Some(types),
            _ => {}
        }
    }
    let Some(actions) = actions else { return Ok(()) };
    let kinds =
        [(ActionKind::Transfer, transfer_type::TRANSFER_PUSH), (ActionKind::Withdraw, transfer_type::SETTLE_PUSH)];
    let shown: BTreeSet<i64> =
        kinds.into_iter().filter(|(kind, _)| actions.contains(kind.feed_type())).map(|(_, number)| number).collect();
    if shown.is_empty() && !rule.allow_opaque {
        return Err("the bytes of a wallet asset show no other type than ApproveTransfer and ApproveWithdraw".into());
    }
    match transfers {
        Some(transfers) if shown.is_disjoint(transfers) => {
            Err("its action_types and its transfer_types have nothing in common".into())
        }
        _ => Ok(()),
    }
}

/// Least and greatest of the same measure.
fn bounds(rule: &Rule) -> Vec<(&Limits, &Limits)> {
    let all = || rule.conditions.iter();
    let mut pairs = Vec::new();
    for condition in all() {
        let other = match condition {
            Condition::Transfer(Bound::Min, _) => all().find(|c| matches!(c, Condition::Transfer(Bound::Max, _))),
            Condition::Action(Bound::Min, _) => all().find(|c| matches!(c, Condition::Action(Bound::Max, _))),
            Condition::Fee(Bound::Min, _) => all().find(|c| matches!(c, Condition::Fee(Bound::Max, _))),
            _ => None,
        };
        pairs.extend(condition.limits().zip(other.and_then(Condition::limits)));
    }
    pairs
}

impl Rule {
    fn expiry(&self, wanted: Bound) -> Option<u64> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::TimeToExpiry(bound, seconds) if *bound == wanted => Some(*seconds),
            _ => None,
        })
    }
}

impl Condition {
    /// What only a wallet asset says.
    fn needs_a_wallet(&self) -> bool {
        use Condition as C;
        match self {
            C::TransferTypes(_) | C::Currencies(_) | C::Wallets(_) | C::Owners(_) | C::Destinations(_) => true,
            C::DestinationsNot(_) | C::Transfer(..) | C::Action(..) | C::Fee(..) => true,
            C::Participants(_) | C::Expressions(_) => true,
            C::ActionTypes(_) | C::Kinds(_) | C::Days(_) | C::Hours(_) => false,
            C::OnHolidays(_) | C::NotOnHolidays(_) | C::TimeToExpiry(..) => false,
        }
    }

    fn limits(&self) -> Option<&Limits> {
        match self {
            Condition::Transfer(_, limits) | Condition::Action(_, limits) | Condition::Fee(_, limits) => Some(limits),
            _ => None,
        }
    }
}
