//! What a decision may come with: a bearer token, and people's signed statements. All of it is bounded before it is copied.

use crate::types::Secret;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

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

/// What a token may be used for. Which call needs which is [`crate::Call::scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Register the agent.
    Register,
    /// Approve and reject, and release what is held for a token.
    Decide,
    /// See actions, the policy, the configuration and how the agent is doing.
    Read,
    /// The numbers for a monitoring system.
    Metrics,
    /// Hear the feed.
    Feed,
}

impl Scope {
    pub const ALL: [Scope; 5] = [Scope::Register, Scope::Decide, Scope::Read, Scope::Metrics, Scope::Feed];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Register => "register",
            Scope::Decide => "decide",
            Scope::Read => "read",
            Scope::Metrics => "metrics",
            Scope::Feed => "feed",
        }
    }

    pub fn named(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// Some scopes, at least one; written `decide,read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(BTreeSet<Scope>);

/// Not a set of scopes.
#[derive(Debug, thiserror::Error)]
#[error("one or more of register, decide, read, metrics and feed, with commas between them")]
pub struct NotScopes;

impl Scopes {
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl TryFrom<Vec<Scope>> for Scopes {
    type Error = NotScopes;
    fn try_from(scopes: Vec<Scope>) -> Result<Self, NotScopes> {
        if scopes.is_empty() { Err(NotScopes) } else { Ok(Self(scopes.into_iter().collect())) }
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self([scope].into())
    }
}

impl FromStr for Scopes {
    type Err = NotScopes;
    fn from_str(text: &str) -> Result<Self, NotScopes> {
        let named: Option<Vec<Scope>> = text.split(',').map(|name| Scope::named(name.trim())).collect();
        named.ok_or(NotScopes)?.try_into()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// What is known of a token, but for the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub name: String,
    pub scopes: Scopes,
    /// Calls that it may be used for within a minute; `None`: as many as it likes.
    pub per_minute: Option<u32>,
    /// Unix seconds, as all times here.
    pub made: u64,
    pub expires: Option<u64>,
    /// To the hour.
    pub used: Option<u64>,
}

/// Who calls the HTTP API, as the api has it. It vouches for the address and for the certificate; the token speaks for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `None` where it is not known.
    pub address: Option<IpAddr>,
    #[serde(deserialize_with = "bearer")]
    pub bearer: Option<Secret>,
    /// The `name` of the `[[api.client]]` whose certificate it showed; a certificate that none has is `Some("")`.
    pub certificate: Option<String>,
}

/// Why somebody is not let in, or not for this. Its code is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccessFault {
    TokenMissing,
    /// `Authorization` is no bearer token.
    TokenMalformed,
    TokenUnknown,
    TokenExpired,
    TokenScope(Scope),
    /// Used too often; seconds to wait.
    TokenLimit(u32),
    CertificateMissing,
    /// The TLS layer took it, and no `[[api.client]]` has it.
    CertificateUnknown,
    CertificateScope(Scope),
    /// The TLS layer refused it: another CA's, expired, or revoked.
    CertificateRefused,
    RegistrationClosed,
    /// `Origin`.
    ForeignPage,
}

impl AccessFault {
    /// One of each.
    pub const ALL: [AccessFault; 12] = [
        Self::TokenMissing,
        Self::TokenMalformed,
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenScope(Scope::Read),
        Self::TokenLimit(1),
        Self::CertificateMissing,
        Self::CertificateUnknown,
        Self::CertificateScope(Scope::Read),
        Self::CertificateRefused,
        Self::RegistrationClosed,
        Self::ForeignPage,
    ];

    /// For machines: this text stays.
    pub fn code(self) -> &'static str {
        self.told().0
    }

    /// What is wrong, and what to do.
    pub fn words(self) -> String {
        let (_, words) = self.told();
        match self {
            Self::TokenScope(scope) | Self::CertificateScope(scope) => format!("{words} {}", scope.as_str()),
            Self::TokenLimit(seconds) => format!("{words} {seconds} s"),
            _ => words.to_owned(),
        }
    }

    /// Who comes with something else may be let in (RFC 9110 §15.5.2); the others are known and may not do this.
    pub fn is_who(self) -> bool {
        matches!(
            self,
            Self::TokenMissing
                | Self::TokenMalformed
                | Self::TokenUnknown
                | Self::TokenExpired
                | Self::CertificateMissing
                | Self::CertificateUnknown
                | Self::CertificateRefused
        )
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::TokenMissing => ("token-missing", "send a token: Authorization: Bearer TOKEN"),
            Self::TokenMalformed => ("token-malformed", "Authorization must be Bearer TOKEN, once"),
            Self::TokenUnknown => ("token-unknown", "there is no such token, or it was revoked"),
            Self::TokenExpired => ("token-expired", "the token has expired: have another one made"),
            Self::TokenScope(_) => ("token-scope", "the token is not for this: it lacks the scope"),
            Self::TokenLimit(_) => ("token-limit", "the token was used too often; wait"),
            Self::CertificateMissing => ("certificate-missing", "this takes a client certificate"),
            Self::CertificateUnknown => ("certificate-unknown", "the certificate is no [[api.client]]'s"),
            Self::CertificateScope(_) => ("certificate-scope", "the certificate is not for this: it lacks the scope"),
            Self::CertificateRefused => ("certificate-refused", "the certificate is of another CA, expired or revoked"),
            Self::RegistrationClosed => (
                "registration-closed",
                "no registration is open: the operator opens it for a while with `signing-agent registration open`",
            ),
            Self::ForeignPage => ("foreign-page", "requests of foreign web pages are refused (Origin)"),
        }
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
fn text<'de, const MOST: usize, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
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

fn bearer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
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

    /// A new fault has its place here, and so in `ALL`.
    #[test]
    fn all_faults_are_listed_each_once() {
        use {AccessFault as A, CredentialFault as C};
        let access = |fault| match fault {
            A::TokenMissing => 0,
            A::TokenMalformed => 1,
            A::TokenUnknown => 2,
            A::TokenExpired => 3,
            A::TokenScope(_) => 4,
            A::TokenLimit(_) => 5,
            A::CertificateMissing => 6,
            A::CertificateUnknown => 7,
            A::CertificateScope(_) => 8,
            A::CertificateRefused => 9,
            A::RegistrationClosed => 10,
            A::ForeignPage => 11,
        };
        assert!(A::ALL.into_iter().map(access).eq(0..A::ALL.len()));
        assert!(C::ALL.into_iter().map(|fault| fault as usize).eq(0..C::CountedAlready as usize + 1));
    }

    #[test]
    fn scopes_are_written_as_they_are_read() {
        let scopes: Scopes = "read, decide,read".parse().unwrap();
        assert_eq!(scopes.to_string(), "decide,read");
        assert!(scopes.contains(Scope::Read) && !scopes.contains(Scope::Register));
        for bad in ["", ",", "all", "decide,", "decide;read", "Decide"] {
            assert!(bad.parse::<Scopes>().is_err(), "{bad}");
        }
        assert!(postcard::from_bytes::<Scopes>(&postcard::to_stdvec(&Vec::<Scope>::new()).unwrap()).is_err());
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
