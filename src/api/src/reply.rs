//! What goes back to a partner app: JSON, and the refusals of the vault as HTTP statuses (protocol.md §7).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipc::{AccessFault, ActionEnd, KeyFault, LaneLost, Refusal, bounded};
use serde_json::json;

/// An answer that is an error: `{"Code","Msg","Detail"}`. The Go agent sends `Code` and `Detail`; its documentation has
/// `Code` and `Msg`; clients of both exist.
/// Where something is wrong with what a decision came with, `Cause` is its stable code.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    status: StatusCode,
    detail: String,
    cause: Option<&'static str>,
    /// Who asks is not let in.
    access: Option<AccessFault>,
}

/// On an answer to somebody who was not let in, and why.
#[derive(Clone, Copy)]
pub(crate) struct NotLetIn(pub(crate) AccessFault);

impl Fault {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), cause: None, access: None }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Why who asks is not let in, if that is it.
    pub(crate) fn access(&self) -> Option<AccessFault> {
        self.access
    }

    /// The vault answered, but not what was asked.
    pub(crate) fn misfit(asked: &str) -> Self {
        tracing::error!(asked, "the vault's answer is of a kind that does not fit what was asked");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the agent's log says more")
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let name = self.status.canonical_reason().unwrap_or("Error");
        // "Not found", as the Go agent's documentation writes it.
        let msg: String = name.chars().take(1).chain(name.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect();
        let mut body = json!({ "Code": self.status.as_u16(), "Msg": msg, "Detail": self.detail });
        if let Some(cause) = self.cause {
            body["Cause"] = cause.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(fault) = self.access {
            response.extensions_mut().insert(NotLetIn(fault));
        }
        response
    }
}

impl From<AccessFault> for Fault {
    fn from(fault: AccessFault) -> Self {
        Refusal::Access(fault).into()
    }
}

impl From<LaneLost> for Fault {
    fn from(_: LaneLost) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the vault is away; whether it acted is not known. Ask again")
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let (mut cause, mut access) = (None, None);
        let (status, detail) = match refusal {
            Refusal::NotReady(words) => (S::SERVICE_UNAVAILABLE, bounded(&words)),
            Refusal::AlreadyRegistered => (S::BAD_REQUEST, "AgentID already exist. You can not set new one.".into()),
            Refusal::NotRegistered => (S::NOT_FOUND, "agentID".into()),
            Refusal::RegistrationBusy => (S::CONFLICT, "a registration is under way".into()),
            Refusal::PrivateKey(fault) => (S::BAD_REQUEST, key_words(fault).into()),
            Refusal::UnknownAction => (S::NOT_FOUND, "the backend knows no such action".into()),
            Refusal::NoMessages => (S::NOT_FOUND, "messages".into()),
            Refusal::Denied(words) => (S::FORBIDDEN, bounded(&words)),
            Refusal::Window(words) => (S::TOO_MANY_REQUESTS, bounded(&words)),
            Refusal::NoSecondOpinion(words) => (S::SERVICE_UNAVAILABLE, format!("it is held: {}", bounded(&words))),
            Refusal::Access(fault) => {
                (cause, access) = (Some(fault.code()), Some(fault));
                let status = match fault {
                    AccessFault::TokenLimit(_) => S::TOO_MANY_REQUESTS,
                    fault if fault.is_who() => S::UNAUTHORIZED,
                    _ => S::FORBIDDEN,
                };
                (status, fault.words())
            }
            Refusal::NeedsSigners(words) => (S::FORBIDDEN, bounded(&words)),
            Refusal::NeedsToken => {
                cause = Some("token-needed");
                (S::UNAUTHORIZED, "this takes a token with scope decide: send it as Authorization: Bearer TOKEN".into())
            }
            Refusal::NeedsApprovers(words) => {
                cause = Some("approvers-needed");
                let words = bounded(&words);
                (S::FORBIDDEN, format!("it is released by signed statements in the body (docs/people.md): {words}"))
            }
            Refusal::Credential { fault, who } => {
                cause = Some(fault.code());
                let whose = who.map(|who| format!("{}: ", bounded(&who))).unwrap_or_default();
                let status = if fault.is_the_tokens() { S::UNAUTHORIZED } else { S::FORBIDDEN };
                (status, format!("{whose}{}; nothing of what came with it counts", fault.words()))
            }
            Refusal::Contradiction(end) => (S::CONFLICT, end_words(end).into()),
            Refusal::Backend { status, words } => (S::BAD_GATEWAY, answered(status, &words)),
            Refusal::Unreachable(words) => (S::BAD_GATEWAY, format!("the backend is not reached: {}", bounded(&words))),
            Refusal::Timeout => (S::GATEWAY_TIMEOUT, "the backend did not answer in time".into()),
            Refusal::Malformed(words) => {
                (S::BAD_GATEWAY, format!("the backend's answer is malformed: {}", bounded(&words)))
            }
            Refusal::Busy => (S::SERVICE_UNAVAILABLE, "too much at once; ask again".into()),
            Refusal::Init(_) | Refusal::Internal => {
                (S::INTERNAL_SERVER_ERROR, "internal error; the agent's log says more".into())
            }
        };
        Self { status, detail, cause, access }
    }
}

fn answered(status: u16, words: &str) -> String {
    format!("the backend answered {status}: {}", bounded(words))
}

fn key_words(fault: KeyFault) -> &'static str {
    match fault {
        KeyFault::NotBase64 => "base64PrivateKey: not base64",
        KeyFault::NotPem => "base64PrivateKey: no PEM",
        KeyFault::NotRsa => "base64PrivateKey: no RSA private key (PKCS#1 or PKCS#8)",
    }
}

fn end_words(end: ActionEnd) -> &'static str {
    match end {
        ActionEnd::Approved => "action is already approved",
        ActionEnd::Rejected => "action is already rejected",
        ActionEnd::Expired => "action has expired",
        ActionEnd::Failed => "action has failed",
        ActionEnd::Unknown => "what became of the action is not known",
    }
}
