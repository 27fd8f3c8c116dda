//! Who calls, what tokens and certificates are good for, and why somebody is not let in.

use crate::spans::RequestId;
use crate::types::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

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
    #[serde(deserialize_with = "crate::credentials::bearer")]
    pub bearer: Option<Secret>,
    /// The `name` of the `[[api.client]]` whose certificate it showed; a certificate that none has is `Some("")`.
    pub certificate: Option<String>,
    /// What the request is called in the logs.
    pub request: Option<RequestId>,
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// A new fault has its place here, and so in `ALL`.
    #[test]
    fn all_faults_are_listed_each_once() {
        use AccessFault as A;
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
    }
}
