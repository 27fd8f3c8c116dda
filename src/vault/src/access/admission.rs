//! Whether a caller is let in for something, by what it came with.

use super::table::{Table, Unfit};
use crate::tokens;
use config::{ApiClient, Auth};
use ipc::{AccessFault, Caller, Scope};
use std::fmt;
use std::time::Instant;

/// Who was let in, by what that was: nothing where nothing is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// The token's name.
    pub token: Option<String>,
    /// The `[[api.client]]`'s name: the api vouches for it.
    pub certificate: Option<String>,
}

impl Guest {
    /// `None` where nothing is known.
    pub fn name(&self) -> Option<String> {
        (*self != Self::default()).then(|| self.to_string())
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.token, &self.certificate) {
            (None, None) => f.write_str("client"),
            (Some(token), None) => write!(f, "token {token}"),
            (None, Some(certificate)) => write!(f, "certificate {certificate}"),
            (Some(token), Some(certificate)) => write!(f, "token {token}, certificate {certificate}"),
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub enum No {
    /// With what is known of who it was.
    Access(AccessFault, Guest),
    /// A token came, and there are none to compare it with.
    Table,
}

/// By what callers are let in.
pub struct Passes<'a> {
    pub auth: Auth,
    pub clients: &'a [ApiClient],
    /// `None` while the vault is not at work.
    pub tokens: Option<&'a Table>,
    /// Unix seconds.
    pub now: u64,
}

impl Passes<'_> {
    /// Lets the caller in for this, or not; at `counted` that is one of the calls that its token may be used for.
    pub fn admit(&self, caller: &Caller, scope: Scope, counted: Option<Instant>) -> Result<Guest, No> {
        let mut guest = Guest::default();
        let (by_token, by_certificate) = match self.auth {
            Auth::None => (false, false),
            Auth::Token => (true, false),
            Auth::Mtls => (false, true),
            Auth::Both => (true, true),
            // Who brings neither is told to bring a token.
            Auth::Either => (caller.bearer.is_some() || caller.certificate.is_none(), caller.bearer.is_none()),
        };
        if by_token {
            guest.token = Some(self.token(caller, scope)?);
        }
        if by_certificate {
            self.certificate(caller, scope, &mut guest)?;
        }
        // Last: what is refused for another cause costs the token nothing.
        if let (Some(name), Some(table), Some(now)) = (&guest.token, self.tokens, counted) {
            table.take(name, now).map_err(unfit)?;
        }
        Ok(guest)
    }

    fn token(&self, caller: &Caller, scope: Scope) -> Result<String, No> {
        let Some(bearer) = &caller.bearer else { return Err(No::Access(AccessFault::TokenMissing, Guest::default())) };
        let table = self.tokens.ok_or(No::Table)?;
        table.holder(&tokens::hash(bearer), scope, self.now).map_err(unfit)
    }

    fn certificate(&self, caller: &Caller, scope: Scope, guest: &mut Guest) -> Result<(), No> {
        let no = |fault, guest: &Guest| Err(No::Access(fault, guest.clone()));
        let Some(name) = caller.certificate.as_deref() else { return no(AccessFault::CertificateMissing, guest) };
        let Some(client) = self.clients.iter().find(|client| client.name == name) else {
            return no(AccessFault::CertificateUnknown, guest);
        };
        guest.certificate = Some(client.name.clone());
        if client.scopes.contains(scope) { Ok(()) } else { no(AccessFault::CertificateScope(scope), guest) }
    }
}

fn unfit(Unfit { fault, name }: Unfit) -> No {
    No::Access(fault, Guest { token: name, certificate: None })
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
