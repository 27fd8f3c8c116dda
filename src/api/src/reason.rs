//! Why something was refused, for machines: a closed list of codes that stay (docs/api.md).

use axum::http::StatusCode;
use ipc::{AccessFault, ActionEnd, CredentialFault};
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A code of the vault's about who calls.
    Access(AccessFault),
    /// About what a decision came with.
    Credential(CredentialFault),
    /// One of [`OWN`].
    Own(&'static str),
}

macro_rules! own {
    ($($name:ident = $code:literal,)*) => {
        impl Reason {
            $(pub(crate) const $name: Reason = Reason::Own($code);)*
        }
        /// The codes that are not [`AccessFault`]'s nor [`CredentialFault`]'s.
        const OWN: &[&str] = &[$($code,)*];
    };
}

own! {
    NO_SUCH_PATH = "no-such-path",
    METHOD_NOT_ALLOWED = "method-not-allowed",
    BAD_REQUEST = "bad-request",
    BAD_QUERY = "query-invalid",
    BAD_ACTION_ID = "action-id-invalid",
    BAD_BODY = "body-invalid",
    BODY_TOO_LONG = "body-too-long",
    BODY_TIMEOUT = "body-timeout",
    NOT_A_WEBSOCKET = "websocket-needed",
    FORBIDDEN = "forbidden",
    NOT_READY = "not-ready",
    BUSY = "busy",
    VAULT_AWAY = "vault-away",
    INTERNAL = "internal",
    ALREADY_REGISTERED = "already-registered",
    NOT_REGISTERED = "not-registered",
    REGISTRATION_BUSY = "registration-busy",
    BAD_PRIVATE_KEY = "private-key-invalid",
    ACTION_UNKNOWN = "action-unknown",
    NO_MESSAGES = "messages-missing",
    UNEXPLAINED = "not-explained",
    DENIED = "policy-denied",
    WINDOW_FULL = "window-full",
    NO_SECOND_OPINION = "second-opinion-missing",
    SIGNERS_NEEDED = "signers-needed",
    TOKEN_NEEDED = "token-needed",
    APPROVERS_NEEDED = "approvers-needed",
    ACTION_APPROVED = "action-approved",
    ACTION_REJECTED = "action-rejected",
    ACTION_EXPIRED = "action-expired",
    ACTION_FAILED = "action-failed",
    ACTION_LOST = "action-outcome-unknown",
    BACKEND_REFUSED = "backend-refused",
    BACKEND_UNREACHABLE = "backend-unreachable",
    BACKEND_TIMEOUT = "backend-timeout",
    BACKEND_MALFORMED = "backend-malformed",
}

impl Reason {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Reason::Access(fault) => fault.code(),
            Reason::Credential(fault) => fault.code(),
            Reason::Own(code) => code,
        }
    }

    /// What a status means here where nothing more is said.
    pub(crate) fn of(status: StatusCode) -> Reason {
        match status {
            StatusCode::UNAUTHORIZED => Reason::Access(AccessFault::TokenMalformed),
            StatusCode::FORBIDDEN => Reason::FORBIDDEN,
            StatusCode::NOT_FOUND => Reason::NO_SUCH_PATH,
            StatusCode::METHOD_NOT_ALLOWED => Reason::METHOD_NOT_ALLOWED,
            StatusCode::REQUEST_TIMEOUT => Reason::BODY_TIMEOUT,
            StatusCode::CONFLICT => Reason::NOT_REGISTERED,
            StatusCode::PAYLOAD_TOO_LARGE => Reason::BODY_TOO_LONG,
            StatusCode::UPGRADE_REQUIRED => Reason::NOT_A_WEBSOCKET,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Reason::BUSY,
            status if status.is_server_error() => Reason::INTERNAL,
            _ => Reason::BAD_REQUEST,
        }
    }

    pub(crate) fn of_end(end: ActionEnd) -> Reason {
        match end {
            ActionEnd::Approved => Reason::ACTION_APPROVED,
            ActionEnd::Rejected => Reason::ACTION_REJECTED,
            ActionEnd::Expired => Reason::ACTION_EXPIRED,
            ActionEnd::Failed => Reason::ACTION_FAILED,
            ActionEnd::Unknown => Reason::ACTION_LOST,
        }
    }

    /// All codes there are, in order.
    pub(crate) fn all() -> Vec<&'static str> {
        let access = AccessFault::ALL.iter().map(|fault| fault.code());
        let credentials = CredentialFault::ALL.iter().map(|fault| fault.code());
        let mut all: Vec<&str> = access.chain(credentials).chain(OWN.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(schema::SchemaType::new(Type::String))
            .enum_values(Some(Reason::all()))
            .description(Some("Why, for machines. What each means is in docs/api.md."))
            .into()
    }
}

impl ToSchema for Reason {
    fn name() -> Cow<'static, str> {
        "Reason".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_kebab_case_and_the_page_has_each_of_them_and_no_other() {
        let page = include_str!("../../../docs/api.md");
        let (_, table) = page.split_once("## Reasons").expect("the page has them");
        let table = table.split("\n## ").next().unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split_once(" |"));
        let mut told: Vec<&str> =
            rows.flat_map(|(cell, _)| cell.split(['`', ',', ' '])).filter(|w| !w.is_empty()).collect();
        told.sort_unstable();
        assert_eq!(told, Reason::all());
        let plain = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(Reason::all().iter().all(plain));
    }
}
