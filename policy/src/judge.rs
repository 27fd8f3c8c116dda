//! The verdict. deny beats hold beats approve, whatever the order of the rules; every message of an action is judged by
//! itself, and the worst verdict is the action's.
//!
//! The feed's `type` is the courier's claim. It can only make a verdict stricter: a deny or hold rule takes the claim
//! or the bytes, whichever fits; an approve rule wants both.

use crate::asset::{Decoded, WalletAsset, decode};
use crate::conditions::Truth;
use crate::plain::plain;
use crate::release::Release;
use crate::rules::{Policy, Rule};
use crate::subject::{Around, Subject};
use crate::verdict::Verdict;
use crate::windows::{Demand, Movement, going, unmeasured};

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

/// Moves of one action, all its messages together, that a rule can approve at the most.
const MOST_MOVES: usize = 1024;

impl Policy {
    /// Judges an action. Pure: the same input has the same judgement, for ever. What was approved before is not looked at:
    /// that is what [`Judgement::demands`] ask the ledger.
    pub fn judge(&self, action: &Action<'_>) -> Judgement {
        let decoded: Vec<Decoded> = action.messages.iter().map(|message| decode(message)).collect();
        let around = Around::new(action, &decoded, &self.zone);
        // Each is a row of the ledger for as long as windows look back.
        let many = decoded.iter().map(Decoded::moves).sum::<usize>() > MOST_MOVES;
        let mut opinions = Vec::with_capacity(decoded.len());
        let (mut facts, mut all) = (Vec::with_capacity(decoded.len()), Vec::new());
        for (message, decoded) in action.messages.iter().zip(&decoded) {
            facts.push(decoded.summary(message));
            let subject = self.subject(&around, decoded);
            let opinion = if message.is_empty() {
                Opinion::built_in(Verdict::Hold, "one of its messages is empty".into())
            } else {
                self.opinion(&subject)
            };
            let any_case = subject.wallet.as_ref().is_some_and(|w| self.currencies.any_case(w.asset.currency));
            if !many {
                all.extend(going(&subject, any_case, opinion.rule.map(|rule| rule.name.as_str())));
            }
            opinions.push(opinion);
        }
        if many {
            all.push(unmeasured(None));
            let why = format!("it makes more than {MOST_MOVES} moves at once");
            opinions.push(Opinion::built_in(Verdict::Hold, why));
        }
        let demands = self.windows.iter().flat_map(|window| window.demands(&all)).collect();
        let release = self.release_of(&opinions);
        let contradiction = opinions.iter().any(|opinion| opinion.contradiction);
        // Of several that are as bad the first.
        let worst = opinions.into_iter().reduce(|worst, next| if next.verdict > worst.verdict { next } else { worst });
        let Opinion { verdict, rule, why, .. } =
            worst.unwrap_or_else(|| Opinion::built_in(Verdict::Hold, "there are no messages to sign".into()));
        Judgement {
            verdict,
            rule: rule.map(|rule| rule.name.clone()),
            why,
            facts,
            release,
            contradiction,
            movements: all.into_iter().map(|going| going.movement).collect(),
            demands,
        }
    }

    pub(crate) fn subject<'a>(&'a self, around: &'a Around<'a>, decoded: &'a Decoded) -> Subject<'a> {
        Subject::new(around, decoded, &self.lists, &self.currencies)
    }

    /// What every message that is held wants; what no hold rule decides wants what the policy says.
    fn release_of(&self, opinions: &[Opinion<'_>]) -> Release {
        let wanted = opinions.iter().map(|opinion| opinion.release.as_ref().unwrap_or(&self.release));
        wanted
            .fold(None, |all: Option<Release>, one| Some(all.unwrap_or_default().and(one)))
            .unwrap_or_else(|| self.release.clone())
    }

    fn opinion(&self, subject: &Subject<'_>) -> Opinion<'_> {
        let claim = subject.around.claim;
        if let Some(why) = never_at_all(claim, subject.decoded) {
            let contradiction = matches!(subject.decoded, Decoded::Wallet(_));
            return Opinion { contradiction, ..Opinion::built_in(Verdict::Deny, why) };
        }
        let mut concerned: [Option<&Rule>; 2] = [None, None];
        let mut doubtful: Option<&Rule> = None;
        let mut release: Option<Release> = None;
        let mut nobody = false;
        for rule in self.rules.iter().filter(|rule| rule.verdict > Verdict::Approve) {
            match rule.concerns(subject) {
                Truth::Yes => first(&mut concerned[usize::from(rule.verdict == Verdict::Hold)], rule),
                Truth::Doubtful => {
                    nobody |= rule.verdict == Verdict::Deny;
                    first(&mut doubtful, rule);
                }
                Truth::No | Truth::Missing => continue,
            }
            if rule.verdict == Verdict::Hold {
                let wanted = release.unwrap_or_default().and(&rule.release);
                // What it is about by a missing fact, a part or the feed's word alone, its laxer release does not reach.
                release = Some(if rule.is_surely_about(subject) { wanted } else { wanted.and(&self.release) });
            }
        }
        if nobody {
            release = Some(Release { nobody, ..release.unwrap_or_else(|| self.release.clone()) });
        }
        let never = never_by_rule(claim, subject.decoded);
        let contradiction = never.as_ref().is_some_and(|(_, contradiction)| *contradiction);
        let opinion = if let Some(rule) = concerned[0] {
            Opinion::of(rule, "denied")
        } else if let Some(rule) = concerned[1] {
            Opinion::of(rule, "held")
        } else if let Some((why, _)) = never {
            Opinion::built_in(Verdict::Hold, why)
        } else if subject.around.now.is_none() {
            let why = "the machine's clock jumped: nothing is approved until an operator has looked at it";
            Opinion::built_in(Verdict::Hold, why.into())
        } else if let Some(rule) = doubtful {
            let (name, verdict) = (&rule.name, rule.verdict.as_str());
            let why = format!("the bytes do not say whether rule \"{name}\" ({verdict}) is about them");
            Opinion::built_in(Verdict::Hold, why)
        } else {
            self.approval(subject)
        };
        Opinion { contradiction, release, ..opinion }
    }

    fn approval(&self, subject: &Subject<'_>) -> Opinion<'_> {
        let mut approving: Option<&Rule> = None;
        for rule in self.rules.iter().filter(|rule| rule.verdict == Verdict::Approve && rule.is_met(subject)) {
            first(&mut approving, rule);
        }
        match approving {
            Some(rule) => Opinion::of(rule, "approved"),
            None => Opinion::built_in(Verdict::Hold, "no rule approves it".into()),
        }
    }
}

/// The first by name, so that the order in the file shows nowhere.
fn first<'a>(so_far: &mut Option<&'a Rule>, rule: &'a Rule) {
    if so_far.is_none_or(|first| rule.name < first.name) {
        *so_far = Some(rule);
    }
}

struct Opinion<'a> {
    verdict: Verdict,
    rule: Option<&'a Rule>,
    why: String,
    contradiction: bool,
    /// Of the hold rules that are about it; `None`: there are none.
    release: Option<Release>,
}

impl<'a> Opinion<'a> {
    fn built_in(verdict: Verdict, why: String) -> Opinion<'a> {
        Opinion { verdict, rule: None, why, contradiction: false, release: None }
    }

    fn of(rule: &'a Rule, done: &str) -> Opinion<'a> {
        let why = format!("{done} by rule \"{}\"", rule.name);
        Opinion { rule: Some(rule), ..Opinion::built_in(rule.verdict, why) }
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

/// What no rule can approve, though a person may; and whether the feed says something else than the bytes.
fn never_by_rule(claim: Option<&str>, decoded: &Decoded) -> Option<(String, bool)> {
    let why = match decoded {
        Decoded::Wallet(wallet) if wallet.has_negative_amount() => "an amount in it is negative".into(),
        Decoded::Wallet(wallet) => return Some((contradiction(claim?, wallet)?, true)),
        Decoded::Opaque => return None,
        Decoded::Other { kind } => format!("a {kind} asset is never approved by rule"),
        Decoded::Malformed { why, .. } => format!("it looks like an asset, but {why}"),
        Decoded::IdDoc(_) => "an IDDoc is never approved by rule".into(),
    };
    Some((why, false))
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
