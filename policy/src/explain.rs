//! Why a verdict is what it is: the facts, and of each rule the first condition that was not met.

use crate::asset::{Decoded, decode};
use crate::conditions::Truth;
use crate::facts::Facts;
use crate::judge::{Action, Judgement};
use crate::rules::{Policy, Rule};
use crate::subject::{Around, Subject};
use crate::verdict::Verdict;

/// All that is to be said of a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub judgement: Judgement,
    /// Of each message, in order.
    pub messages: Vec<Facts>,
    /// Of each rule, by name.
    pub rules: Vec<RuleExplanation>,
}

/// What a rule made of each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplanation {
    pub name: String,
    pub verdict: Verdict,
    /// Of each message, in order: `None` where the rule is met, else the first condition that is not, in words that are safe
    /// to print.
    pub failed: Vec<Option<String>>,
}

impl Policy {
    /// Judges an action, and says why.
    pub fn explain(&self, action: &Action<'_>) -> Explanation {
        let decoded: Vec<Decoded> = action.messages.iter().map(|message| decode(message)).collect();
        let around = Around::new(action, &decoded, &self.zone);
        let subjects: Vec<Subject<'_>> = decoded.iter().map(|decoded| self.subject(&around, decoded)).collect();
        let of_rule = |rule: &Rule| RuleExplanation {
            name: rule.name.clone(),
            verdict: rule.verdict,
            failed: subjects.iter().map(|subject| self.failed(rule, subject)).collect(),
        };
        let mut rules: Vec<RuleExplanation> = self.rules.iter().map(of_rule).collect();
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        let facts = |(message, decoded): (&Vec<u8>, &Decoded)| Facts::of(decoded, message);
        let messages = action.messages.iter().zip(&decoded).map(facts).collect();
        Explanation { judgement: self.judge(action), messages, rules }
    }

    /// The first condition that is not met.
    fn failed(&self, rule: &Rule, subject: &Subject<'_>) -> Option<String> {
        let approves = rule.verdict == Verdict::Approve;
        if approves && !rule.may_be_about(subject) {
            return Some(match subject.decoded {
                Decoded::Opaque => "it is opaque, and allow_opaque is not set".into(),
                other => format!("it is {}, which no rule approves", other.kind()),
            });
        }
        let mut doubt = None;
        for condition in &rule.conditions {
            let words = || condition.words(subject, &self.currencies, self.lists.names());
            match condition.truth(subject, rule.taken()) {
                Truth::Yes => {}
                Truth::Missing if !approves => {}
                Truth::Doubtful => doubt = doubt.or_else(|| Some(format!("{}, which is not to be relied on", words()))),
                Truth::No | Truth::Missing => return Some(words()),
            }
        }
        doubt.or_else(|| if approves { rule.unbounded(subject) } else { None })
    }
}
