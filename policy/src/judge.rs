//! The verdict. deny beats hold beats approve, whatever the order of the rules; every message of an action is judged by
//! itself, and the worst verdict is the action's.
//!
//! The feed's `type` is the courier's claim. It can only make a verdict stricter: a deny or hold rule takes the claim
//! or the bytes, whichever fits; an approve rule wants both.

use crate::asset::{Decoded, WalletAsset, decode};
use crate::plain::plain;
use crate::release::Release;
use crate::rules::{Policy, Rule, Verdict};
use crate::windows::{Demand, Movement};

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a> {
    /// The feed's `type`, where the courier named one.
    pub claimed_type: Option<&'a str>,
    /// The bytes that would be signed, each.
    pub messages: &'a [Vec<u8>],
    /// When its time is over, Unix seconds, where the courier named it.
    pub expires: Option<u64>,
    /// The time of judging, Unix seconds; `None`: the clock is not to be trusted.
    pub now: Option<u64>,
}

/// What the bytes themselves say an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// From wallet to wallet.
    Transfer,
    /// To an address outside.
    Withdraw,
}

impl ActionKind {
    /// The feed's name for it.
    pub fn feed_type(self) -> &'static str {
        match self {
            ActionKind::Transfer => "ApproveTransfer",
            ActionKind::Withdraw => "ApproveWithdraw",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// The rule that decided; of several the first by name. `None`: no rule, but what is built in.
    pub rule: Option<String>,
    /// A sentence for the log, safe to print.
    pub why: String,
    /// A summary of each message, in order, safe to print.
    pub facts: Vec<String>,
    /// Who may release it, where it is held.
    pub release: Release,
    /// The bytes say something else than the feed: somebody should look.
    pub contradiction: bool,
    /// What approving it lets go.
    pub movements: Vec<Movement>,
    /// What approving it needs of the windows, by whomever.
    pub demands: Vec<Demand>,
}

impl Judgement {
    /// See [`Verdict::may_release`].
    pub fn may_release(&self) -> bool {
        self.verdict.may_release()
    }
}

impl Policy {
    /// Judges an action. Pure: the same input has the same judgement, for ever.
    pub fn judge(&self, action: &Action<'_>) -> Judgement {
        let mut facts = Vec::with_capacity(action.messages.len());
        let mut worst: Option<Opinion> = None;
        for message in action.messages {
            let decoded = decode(message);
            facts.push(decoded.summary(message));
            let opinion = if message.is_empty() {
                Opinion::built_in(Verdict::Hold, "one of its messages is empty".into())
            } else {
                self.opinion(action.claimed_type, &decoded)
            };
            if worst.as_ref().is_none_or(|worst| opinion.verdict > worst.verdict) {
                worst = Some(opinion);
            }
        }
        let Opinion { verdict, rule, why } =
            worst.unwrap_or_else(|| Opinion::built_in(Verdict::Hold, "there are no messages to sign".into()));
        Judgement {
            verdict,
            rule,
            why,
            facts,
            release: Release::client(),
            contradiction: false,
            movements: Vec::new(),
            demands: Vec::new(),
        }
    }

    fn opinion(&self, claim: Option<&str>, decoded: &Decoded) -> Opinion {
        if let Some(why) = never_at_all(claim, decoded) {
            return Opinion::built_in(Verdict::Deny, why);
        }
        let facts = Facts { claim, decoded };
        if let Some(rule) = self.first(|rule| rule.verdict == Verdict::Deny && facts.concern(rule) == Some(true)) {
            return Opinion::of(rule, "denied");
        }
        if let Some(rule) = self.first(|rule| rule.verdict == Verdict::Hold && facts.concern(rule) == Some(true)) {
            return Opinion::of(rule, "held");
        }
        if let Some(why) = never_by_rule(claim, decoded) {
            return Opinion::built_in(Verdict::Hold, why);
        }
        if let Some(rule) = self.first(|rule| rule.verdict > Verdict::Approve && facts.concern(rule).is_none()) {
            let why = format!(
                "the bytes do not say whether rule \"{}\" ({}) is about them",
                rule.name,
                rule.verdict.as_str()
            );
            return Opinion::built_in(Verdict::Hold, why);
        }
        match self.first(|rule| rule.verdict == Verdict::Approve && facts.satisfy(rule)) {
            Some(rule) => Opinion::of(rule, "approved"),
            None => Opinion::built_in(Verdict::Hold, "no rule approves it".into()),
        }
    }

    /// By name, so that the order in the file shows nowhere.
    fn first(&self, wanted: impl Fn(&Rule) -> bool) -> Option<&Rule> {
        self.rules.iter().filter(|rule| wanted(rule)).min_by(|a, b| a.name.cmp(&b.name))
    }
}

struct Opinion {
    verdict: Verdict,
    rule: Option<String>,
    why: String,
}

impl Opinion {
    fn built_in(verdict: Verdict, why: String) -> Opinion {
        Opinion { verdict, rule: None, why }
    }

    fn of(rule: &Rule, done: &str) -> Opinion {
        let why = format!("{done} by rule \"{}\"", rule.name);
        Opinion { verdict: rule.verdict, rule: Some(rule.name.clone()), why }
    }
}

/// What no rule and no person can let through.
fn never_at_all(claim: Option<&str>, decoded: &Decoded) -> Option<String> {
    match decoded {
        Decoded::IdDoc(_) => Some("an IDDoc is signed at registration and never as an action's message".into()),
        Decoded::Malformed { iddoc_like: true, .. } => Some("a tolerant reader could take it for an IDDoc".into()),
        Decoded::Wallet(wallet)
            if !wallet.settlements.is_empty() && claim == Some(ActionKind::Transfer.feed_type()) =>
        {
            Some("a contradiction: the feed calls it a transfer inside, the bytes settle to an address outside".into())
        }
        _ => None,
    }
}

/// What no rule can approve, though a person may.
fn never_by_rule(claim: Option<&str>, decoded: &Decoded) -> Option<String> {
    match decoded {
        Decoded::Wallet(wallet) if wallet.has_negative_amount() => Some("an amount in it is negative".into()),
        Decoded::Wallet(wallet) => contradiction(claim?, wallet),
        Decoded::Opaque => None,
        Decoded::Other { kind } => Some(format!("a {kind} asset is never approved by rule")),
        Decoded::Malformed { why, .. } => Some(format!("it looks like an asset, but {why}")),
        Decoded::IdDoc(_) => Some("an IDDoc is never approved by rule".into()),
    }
}

fn contradiction(claim: &str, wallet: &WalletAsset) -> Option<String> {
    let said = match wallet.action_kind() {
        Some(kind) => kind.feed_type(),
        // Not quite a withdrawal, but no transfer inside either.
        None if wallet.leaves() => ActionKind::Withdraw.feed_type(),
        None => return None,
    };
    (said != claim).then(|| format!("the feed calls it \"{}\", the bytes say {said}", plain(claim, 40)))
}

struct Facts<'a> {
    claim: Option<&'a str>,
    decoded: &'a Decoded,
}

impl Facts<'_> {
    fn by_the_bytes(&self) -> Option<&'static str> {
        match self.decoded {
            Decoded::Wallet(wallet) => wallet.action_kind().map(ActionKind::feed_type),
            _ => None,
        }
    }

    /// Whether a deny or hold rule is about this: by the claim, by the bytes, or by anything that is in the bytes (an asset
    /// that moves inside and outside at once is both). `None`: the claim says no and the bytes say nothing, and a
    /// claim alone frees nobody.
    fn concern(&self, rule: &Rule) -> Option<bool> {
        let Some(types) = &rule.action_types else { return Some(true) };
        let named = |kind: ActionKind| types.contains(kind.feed_type());
        let inside = match self.decoded {
            Decoded::Wallet(wallet) => {
                wallet.leaves() && named(ActionKind::Withdraw)
                    || !wallet.transfers.is_empty() && named(ActionKind::Transfer)
            }
            _ => false,
        };
        if inside || self.claim.is_some_and(|claim| types.contains(claim)) {
            return Some(true);
        }
        self.by_the_bytes().map(|said| types.contains(said))
    }

    /// Whether an approve rule is about this. With `action_types` the claim must be there and be among them; so must what
    /// the bytes say, but of an opaque message.
    fn satisfy(&self, rule: &Rule) -> bool {
        let opaque = matches!(self.decoded, Decoded::Opaque);
        if !(matches!(self.decoded, Decoded::Wallet(_)) || (opaque && rule.allow_opaque)) {
            return false;
        }
        let Some(types) = &rule.action_types else { return true };
        let bytes_agree = opaque || self.by_the_bytes().is_some_and(|said| types.contains(said));
        bytes_agree && self.claim.is_some_and(|claim| types.contains(claim))
    }
}
