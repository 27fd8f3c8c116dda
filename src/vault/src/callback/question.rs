//! What is asked: a JWT by the audit key (docs/callback.md), of a nonce that no other question has.

use super::answer::{self, Invalid, Said};
use crate::digest::messages_digest;
use crate::jws;
use crate::pipeline::{By, Judged};
use ipc::ActionId;
use policy::{Facts, Verdict, decode};
use serde::Serialize;
use std::time::Duration;

/// The JWT's `typ`.
const KIND: &str = "signing-agent-callback+jwt";
/// The longest payload, octets: what a lane's frame and an answerer can take.
const LONGEST: usize = 256 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    iss: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    action: ActionClaim<'a>,
    /// Hex.
    messages: String,
    facts: Vec<Facts>,
    verdict: &'static str,
    rule: Option<&'a str>,
    why: &'a str,
    policy: String,
    by: String,
}

#[derive(Serialize)]
struct ActionClaim<'a> {
    id: &'a ActionId,
    #[serde(rename = "type")]
    claim: Option<&'a str>,
    expires: Option<u64>,
}

/// What an answer must repeat. It is good for one answer.
pub struct Question {
    pub(super) action: ActionId,
    /// Hex.
    pub(super) nonce: String,
    pub(super) messages: [u8; 32],
}

impl Question {
    /// The question whether this may be approved, and its JWT; `sign` gets a SHA-256 and gives r ‖ s. Errors are words.
    pub fn new<E: ToString>(
        agent: &str,
        judged: &Judged,
        by: &By,
        now: u64,
        timeout: Duration,
        sign: impl FnOnce(&[u8; 32]) -> Result<[u8; 64], E>,
    ) -> Result<(Self, String), String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|e| format!("the system's randomness failed: {e}"))?;
        let seen = judged.seen();
        let (nonce, messages) = (hex::encode(random), messages_digest(judged.messages()));
        let judgement = judged.judgement();
        let claims = Claims {
            iss: agent,
            iat: now,
            exp: now + timeout.as_secs(),
            jti: &nonce,
            action: ActionClaim { id: &seen.id, claim: seen.claim.as_deref(), expires: seen.expires },
            messages: hex::encode(messages),
            facts: judged.messages().iter().map(|message| Facts::of(&decode(message), message)).collect(),
            verdict: match judgement.verdict {
                Verdict::Approve => "approve",
                Verdict::Hold => "hold",
                Verdict::Deny => "deny",
            },
            rule: judgement.rule.as_deref(),
            why: &judgement.why,
            policy: hex::encode(judged.policy()),
            by: by.to_string(),
        };
        let payload = serde_json::to_vec(&claims).map_err(|e| e.to_string())?;
        if payload.len() > LONGEST {
            return Err(format!("its facts are {} octets long; a callback is asked about {LONGEST}", payload.len()));
        }
        let jwt =
            jws::sign(KIND, &payload, sign).map_err(|e| format!("the question is not signed: {}", e.to_string()))?;
        Ok((Self { action: seen.id.clone(), nonce, messages }, jwt))
    }

    /// What was answered to this; a question has one answer.
    pub fn read(self, answer: &[u8], key: &[u8; 65], now: u64) -> Result<Said, Invalid> {
        answer::read(self, answer, key, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Source, Word};
    use crate::pipeline::Seen;
    use policy::Policy;
    use policy::wire::{Message, Payload, PbAsset, PbWallet, asset_type};

    fn ask(description: usize) -> Result<(Question, String), String> {
        let wallet = PbWallet { description: "d".repeat(description), ..PbWallet::default() };
        let payload = Some(Payload::Wallet(wallet));
        let asset = PbAsset { kind: asset_type::WALLET, id: vec![7; 32], payload, ..PbAsset::default() };
        let seen = Seen { id: ActionId::try_from("w1".to_owned()).unwrap(), claim: None, expires: None };
        let judged = Judged::new(&Policy::hold_all(), seen, vec![asset.encode_to_vec()], Some(1));
        Question::new("agent", &judged, &By::Word(Word::bare(Source::anybody())), 1, Duration::from_secs(10), |_| {
            Ok::<_, String>([0; 64])
        })
    }

    #[test]
    fn each_question_has_a_nonce_of_its_own_and_one_that_is_too_long_is_not_asked() {
        let (first, _) = ask(10).unwrap();
        let (second, jwt) = ask(10).unwrap();
        assert_ne!(first.nonce, second.nonce);
        assert!(jwt.len() < 4096, "{jwt}");
        assert!(ask(LONGEST - 4096).is_ok());
        let refused = ask(LONGEST).err().unwrap();
        assert!(refused.contains("octets long"), "{refused}");
    }

    #[test]
    fn without_a_signature_of_the_token_nothing_is_asked() {
        let seen = Seen { id: ActionId::try_from("w1".to_owned()).unwrap(), claim: None, expires: None };
        let judged = Judged::new(&Policy::hold_all(), seen, vec![b"m".to_vec()], Some(1));
        let refused =
            Question::new("a", &judged, &By::Word(Word::bare(Source::anybody())), 1, Duration::from_secs(1), |_| {
                Err("CKR_DEVICE_REMOVED")
            });
        assert!(refused.err().unwrap().contains("CKR_DEVICE_REMOVED"));
    }
}
