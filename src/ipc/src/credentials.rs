//! What a decision may come with: a bearer token, and people's signed statements. All of it is bounded before it is copied.

use crate::types::Secret;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest bearer token, octets.
pub const MAX_BEARER: usize = 128;
/// The longest statement, octets (docs/people.md).
pub const MAX_STATEMENT: usize = 2048;
/// The longest armored signature, octets: an ECDSA security key's has less than 700.
pub const MAX_SIGNATURE: usize = 1024;
/// The most statements that one decision may bring; more people come one after another.
pub const MAX_STATEMENTS: usize = 8;

/// A person's word on one action, as `ssh-keygen -Y sign` signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// The octets that were signed.
    #[serde(deserialize_with = "text::<MAX_STATEMENT, _>")]
    pub statement: String,
    /// `-----BEGIN SSH SIGNATURE-----` and so on.
    #[serde(deserialize_with = "text::<MAX_SIGNATURE, _>")]
    pub signature: String,
}

/// What a decision came with. None of it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    #[serde(deserialize_with = "bearer")]
    pub bearer: Option<Secret>,
    #[serde(deserialize_with = "few")]
    pub statements: Vec<SignedStatement>,
}

impl Credentials {
    pub fn is_empty(&self) -> bool {
        self.bearer.is_none() && self.statements.is_empty()
    }
}

/// What is wrong with something that a decision came with. Its code is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CredentialFault {
    TokenUnknown,
    TokenExpired,
    TokenScope,
    NoSignature,
    SignerUnknown,
    Namespace,
    NotTouched,
    SignatureWrong,
    StatementMalformed,
    OtherAgent,
    OtherAction,
    OtherMessages,
    OtherVerb,
    Expired,
    TooLong,
    NonceUsed,
    CountedAlready,
    /// A change's statement: of another change, or of the same with other arguments.
    OtherChange,
    /// A change's statement: its serial is not above the last one's, not the others', or far above.
    ChangeSerial,
}

impl CredentialFault {
    pub const ALL: [CredentialFault; 17] = [
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenScope,
        Self::NoSignature,
        Self::SignerUnknown,
        Self::Namespace,
        Self::NotTouched,
        Self::SignatureWrong,
        Self::StatementMalformed,
        Self::OtherAgent,
        Self::OtherAction,
        Self::OtherMessages,
        Self::OtherVerb,
        Self::Expired,
        Self::TooLong,
        Self::NonceUsed,
        Self::CountedAlready,
    ];

    /// For machines: this text stays.
    pub fn code(self) -> &'static str {
        self.told().0
    }

    /// What is wrong, and what to do.
    pub fn words(self) -> &'static str {
        self.told().1
    }

    /// Of the token, not of a statement.
    pub fn is_the_tokens(self) -> bool {
        matches!(self, Self::TokenUnknown | Self::TokenExpired | Self::TokenScope)
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::TokenUnknown => ("token-unknown", "there is no such token, or it was revoked"),
            Self::TokenExpired => ("token-expired", "the token has expired: have another one made"),
            Self::TokenScope => ("token-scope", "the token is not for decisions: it lacks the scope decide"),
            Self::NoSignature => ("statement-unsigned", "no armored SSH signature: ssh-keygen -Y sign makes one"),
            Self::SignerUnknown => {
                ("statement-signer-unknown", "it is signed with a key of nobody whom the deed names for this")
            }
            Self::Namespace => (
                "statement-namespace",
                "it was signed for another purpose: ssh-keygen -Y sign -n signing-agent, for a change -n signing-agent-change",
            ),
            Self::NotTouched => ("statement-not-touched", "the security key was not touched when it was signed"),
            Self::SignatureWrong => ("statement-signature-wrong", "the signature is not over these octets"),
            Self::StatementMalformed => (
                "statement-malformed",
                "no statement: take it as `signing-agent statement`, or --draft of a change, writes it, to the octet",
            ),
            Self::OtherAgent => ("statement-other-agent", "it is about another agent"),
            Self::OtherAction => ("statement-other-action", "it is about another action"),
            Self::OtherMessages => ("statement-other-messages", "it is about other messages than this action's"),
            Self::OtherVerb => ("statement-other-verb", "it says the opposite of what is asked"),
            Self::Expired => ("statement-expired", "it has expired: sign a new one"),
            Self::TooLong => ("statement-expiry-too-late", "it would hold for more than seven days: sign a new one"),
            Self::NonceUsed => ("statement-nonce-used", "its nonce was used before: sign a new one"),
            Self::CountedAlready => {
                ("statement-counted-already", "this person's word on it counts already, and counts once")
            }
            Self::OtherChange => {
                ("statement-other-change", "it is about another change than this: have this one drafted")
            }
            Self::ChangeSerial => (
                "statement-serial",
                "its serial is not above that of the last change, or not that of the others: draft it anew, and have all sign that",
            ),
        }
    }
}

/// A text of at most `MOST` octets, looked at before it is copied.
pub(crate) fn text<'de, const MOST: usize, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text<const MOST: usize>;
    impl<const MOST: usize> Visitor<'_> for Text<MOST> {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a string of at most {MOST} octets")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            if text.len() > MOST { Err(E::invalid_length(text.len(), &self)) } else { Ok(text.to_owned()) }
        }
    }
    deserializer.deserialize_str(Text::<MOST>)
}

pub(crate) fn bearer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    #[derive(Deserialize)]
    struct Bearer(#[serde(deserialize_with = "text::<MAX_BEARER, _>")] String);
    Ok(Option::<Bearer>::deserialize(deserializer)?.map(|Bearer(text)| Secret::new(text)))
}

/// At most [`MAX_STATEMENTS`] of them.
pub fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SignedStatement>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<SignedStatement>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_STATEMENTS} statements")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut statements = Vec::with_capacity(entries.size_hint().unwrap_or_default().min(MAX_STATEMENTS));
            while let Some(statement) = entries.next_element()? {
                if statements.len() == MAX_STATEMENTS {
                    return Err(A::Error::invalid_length(statements.len() + 1, &self));
                }
                statements.push(statement);
            }
            Ok(statements)
        }
    }
    deserializer.deserialize_seq(Few)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(credentials: &Credentials) -> Result<Credentials, postcard::Error> {
        postcard::from_bytes(&postcard::to_stdvec(credentials).unwrap())
    }

    #[test]
    fn all_faults_are_listed_each_once() {
        use CredentialFault as C;
        // A new one has its place here.
        let of_decisions = |fault| match fault {
            C::TokenUnknown | C::TokenExpired | C::TokenScope | C::NoSignature | C::SignerUnknown | C::Namespace => {
                true
            }
            C::NotTouched | C::SignatureWrong | C::StatementMalformed | C::OtherAgent | C::OtherAction => true,
            C::OtherMessages | C::OtherVerb | C::Expired | C::TooLong | C::NonceUsed | C::CountedAlready => true,
            // No client hears these: changes come by the admin lane.
            C::OtherChange | C::ChangeSerial => false,
        };
        assert!(C::ALL.into_iter().all(of_decisions));
        assert!(C::ALL.into_iter().map(|fault| fault as usize).eq(0..C::ALL.len()));
        assert_eq!((C::OtherChange as usize, C::ChangeSerial as usize), (C::ALL.len(), C::ALL.len() + 1));
    }

    #[test]
    fn what_is_too_long_or_too_many_is_refused_when_it_is_read_from_a_frame() {
        let signed = |statement: usize, signature: usize| SignedStatement {
            statement: "s".repeat(statement),
            signature: "g".repeat(signature),
        };
        let with = |bearer: usize, statements: Vec<SignedStatement>| Credentials {
            bearer: Some(Secret::new("b".repeat(bearer))),
            statements,
        };
        let most = with(MAX_BEARER, vec![signed(MAX_STATEMENT, MAX_SIGNATURE); MAX_STATEMENTS]);
        assert_eq!(through(&most).unwrap(), most);
        assert_eq!(through(&Credentials::default()).unwrap(), Credentials::default());
        for more in [
            with(MAX_BEARER + 1, vec![]),
            with(1, vec![signed(MAX_STATEMENT + 1, 1)]),
            with(1, vec![signed(1, MAX_SIGNATURE + 1)]),
            with(1, vec![signed(1, 1); MAX_STATEMENTS + 1]),
        ] {
            assert!(through(&more).is_err());
        }
        assert!(!format!("{most:?}").contains("bbb"));
    }
}
