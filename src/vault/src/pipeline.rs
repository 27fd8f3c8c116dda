//! The steps of an approval, each a type that only the step before can make:
//! `Seen → Judged → Permitted → Recorded → Signed → Submitted → Settled`. The ledger alone makes `Recorded` and `Submitted`,
//! after its commit, and what is `Settled` is a row of it; what is signed is the bytes that were judged.
#![allow(clippy::result_large_err, reason = "what is not permitted goes back whole")]

use crate::callback::{Heard, Seconded};
use ipc::ActionId;
use policy::{Judgement, Verdict};
use std::fmt;

pub use crate::ledger::{Recorded, Word};

/// By whom an action was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A rule of the policy.
    Policy,
    /// The operator's callback, which can only reject.
    Callback,
    /// Somebody's word, and what of it was good.
    Word(Word),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Policy => f.write_str("policy"),
            By::Callback => f.write_str("callback"),
            By::Word(word) => word.fmt(f),
        }
    }
}

/// An action that wants a verdict, and what the feed claims of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: ActionId,
    /// The feed's `type`; `None` where the partner app named an action that the feed had not brought.
    pub claim: Option<String>,
    /// The feed's `expireTime`, Unix seconds.
    pub expires: Option<u64>,
}

impl Seen {
    /// Whether its time is over, at `now` in Unix seconds.
    pub fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// An action's bytes and what the policy says of them.
#[derive(Clone, Debug)]
pub struct Judged {
    seen: Seen,
    messages: Vec<Vec<u8>>,
    judgement: Judgement,
    /// SHA-256 of the policy's text.
    policy: [u8; 32],
    /// The wall clock was to be believed.
    had_time: bool,
    seconded: Option<Seconded>,
    heard: Option<Heard>,
}

impl Judged {
    /// `now` is the wall clock, Unix seconds, where it is to be believed.
    pub fn new(policy: &policy::Policy, seen: Seen, messages: Vec<Vec<u8>>, now: Option<u64>) -> Self {
        let action =
            policy::Action { claimed_type: seen.claim.as_deref(), messages: &messages, expires: seen.expires, now };
        let judgement = policy.judge(&action);
        let (policy, had_time) = (policy.hash(), now.is_some());
        Self { seen, messages, judgement, policy, had_time, seconded: None, heard: None }
    }

    /// The same action, judged by this policy and at this time.
    pub fn anew(self, policy: &policy::Policy, now: Option<u64>) -> Self {
        Self::new(policy, self.seen, self.messages, now)
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }
    pub fn messages(&self) -> &[Vec<u8>] {
        &self.messages
    }
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }
    pub fn policy(&self) -> &[u8; 32] {
        &self.policy
    }
    pub fn had_time(&self) -> bool {
        self.had_time
    }
    /// As if the policy had said so.
    #[cfg(test)]
    pub fn as_if(seen: Seen, messages: Vec<Vec<u8>>, judgement: Judgement) -> Self {
        let seconded = Some(Seconded::for_a_test());
        Self { seen, messages, judgement, policy: [0; 32], had_time: true, seconded, heard: None }
    }

    /// What the callback answered, if it was asked.
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }

    /// Whether these may approve it, a second opinion apart.
    pub fn may_be_approved(&self, by: &By) -> bool {
        match by {
            By::Policy => self.judgement.verdict == Verdict::Approve,
            By::Word(word) => !self.is_denied() && word.meets(&self.judgement.release),
            By::Callback => false,
        }
    }

    /// Whether these may approve it once somebody else has been asked.
    pub fn wants_second(&self, by: &By) -> bool {
        self.seconded.is_none() && self.may_be_approved(by)
    }

    /// With the proof that nobody else is against it.
    pub fn seconded(self, proof: Seconded, heard: Option<Heard>) -> Judged {
        Judged { seconded: Some(proof), heard, ..self }
    }

    /// Somebody else is against it, for this reason: a verdict is never loosened.
    pub fn overruled(mut self, verdict: Verdict, why: String, heard: Option<Heard>) -> Judged {
        self.judgement.verdict = self.judgement.verdict.max(verdict);
        self.judgement.why = why;
        Judged { seconded: None, heard, ..self }
    }

    /// By the policy's own verdict.
    pub fn permit_by_policy(self) -> Result<Permitted, Judged> {
        self.permit(By::Policy)
    }

    /// On people's word, where it is what releases this: a deny stays a deny.
    pub fn permit_by_people(self, word: Word) -> Result<Permitted, Judged> {
        self.permit(By::Word(word))
    }

    /// Nothing is permitted without the proof, for exactly this.
    fn permit(mut self, by: By) -> Result<Permitted, Judged> {
        if !self.may_be_approved(&by) {
            return Err(self);
        }
        let about_this = |proof: &mut Seconded| proof.is_about(&self.seen.id, &self.messages);
        match self.seconded.take_if(about_this) {
            Some(seconded) => Ok(Permitted { judged: self, by, _seconded: seconded }),
            None => Err(self),
        }
    }

    /// Whether people's word is enough to reject it. What policy denies needs nobody's.
    pub fn may_be_rejected_by(&self, word: &Word) -> bool {
        self.is_denied() || word.rejects(&self.judgement.release)
    }

    pub fn is_denied(&self) -> bool {
        self.judgement.verdict == Verdict::Deny
    }
}

/// Bytes that may be signed once that is recorded.
#[derive(Clone, Debug)]
pub struct Permitted {
    judged: Judged,
    by: By,
    _seconded: Seconded,
}

impl Permitted {
    pub fn judged(&self) -> &Judged {
        &self.judged
    }
    pub fn by(&self) -> &By {
        &self.by
    }
}

/// Signatures over a recorded action's messages, one each in order, verified. They leave only as [`Submitted`].
pub struct Signed {
    recorded: Recorded,
    signatures: Vec<[u8; 49]>,
}

impl Signed {
    /// `sign` gives verified signatures alone; where one does not verify nothing is to leave.
    pub fn new<E>(recorded: Recorded, sign: impl Fn(&[u8]) -> Result<[u8; 49], E>) -> Result<Self, E> {
        let signatures = recorded.messages().iter().map(|message| sign(message)).collect::<Result<_, _>>()?;
        Ok(Self { recorded, signatures })
    }
    pub fn id(&self) -> &ActionId {
        self.recorded.id()
    }
    pub fn messages(&self) -> &[Vec<u8>] {
        self.recorded.messages()
    }
    pub fn signatures(&self) -> &[[u8; 49]] {
        &self.signatures
    }
}
