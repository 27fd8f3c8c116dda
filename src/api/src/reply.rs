//! What goes back to a partner app: JSON, and the refusals of the vault as HTTP statuses (protocol.md §7).

use crate::reason::Reason;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipc::{AccessFault, ActionEnd, CredentialFault, KeyFault, LaneLost, Refusal, Scope, bounded};
use serde::Serialize;
use utoipa::ToSchema;

/// An answer that is an error. The Go agent sends `Code` and `Detail`; its documentation has `Code` and `Msg`; clients of both exist.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    status: StatusCode,
    detail: String,
    reason: Reason,
    /// Seconds after which it may be asked again, where that is known.
    retry_after: Option<u32>,
}

/// On an answer to somebody who was not let in, and why.
#[derive(Clone, Copy)]
pub(crate) struct NotLetIn(pub(crate) AccessFault);

/// An answer that is an error.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Fault, rename_all = "PascalCase")]
pub(crate) struct FaultBody {
    /// The status once more.
    #[schema(minimum = 400, maximum = 599)]
    code: u16,
    /// The status in words.
    msg: String,
    /// What was wrong, and what to do, for people.
    detail: String,
    #[schema(value_type = Reason)]
    reason: &'static str,
}

impl Fault {
    /// With the reason that this status mostly has here; [`Fault::because`] says another.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), reason: Reason::of(status), retry_after: None }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    /// Why who asks is not let in, if that is it.
    pub(crate) fn access(&self) -> Option<AccessFault> {
        match self.reason {
            Reason::Access(fault) => Some(fault),
            _ => None,
        }
    }

    /// The same, and what is wrong with a token that came with a decision: who tries tokens is slowed.
    fn not_let_in(&self) -> Option<NotLetIn> {
        let tokens = match self.reason {
            Reason::Credential(CredentialFault::TokenUnknown) => Some(AccessFault::TokenUnknown),
            Reason::Credential(CredentialFault::TokenExpired) => Some(AccessFault::TokenExpired),
            Reason::Credential(CredentialFault::TokenScope) => Some(AccessFault::TokenScope(Scope::Decide)),
            _ => None,
        };
        self.access().or(tokens).map(NotLetIn)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn is(&self, reason: Reason) -> bool {
        self.reason == reason
    }

    fn again(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
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
        let (code, reason, not_let_in) = (self.status.as_u16(), self.reason.code(), self.not_let_in());
        let mut response = (self.status, Json(FaultBody { code, msg, detail: self.detail, reason })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(fault) = not_let_in {
            response.extensions_mut().insert(fault);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<LaneLost> for Fault {
    fn from(_: LaneLost) -> Self {
        let words = "the vault is away; whether it acted is not known. Ask again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, words).because(Reason::VAULT_AWAY).again(1)
    }
}

impl From<AccessFault> for Fault {
    fn from(fault: AccessFault) -> Self {
        let status = match fault {
            AccessFault::TokenLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            fault if fault.is_who() => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        };
        let told = Self::new(status, fault.words()).because(Reason::Access(fault));
        if let AccessFault::TokenLimit(seconds) = fault { told.again(seconds) } else { told }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let fault = |status, detail: String, reason| Self::new(status, detail).because(reason);
        match refusal {
            Refusal::NotReady(words) => fault(S::SERVICE_UNAVAILABLE, bounded(&words), Reason::NOT_READY),
            Refusal::AlreadyRegistered => {
                let words = "AgentID already exist. You can not set new one.";
                fault(S::BAD_REQUEST, words.into(), Reason::ALREADY_REGISTERED)
            }
            Refusal::NotRegistered => fault(S::NOT_FOUND, "agentID".into(), Reason::NOT_REGISTERED),
            Refusal::RegistrationBusy => {
                fault(S::CONFLICT, "a registration is under way".into(), Reason::REGISTRATION_BUSY)
            }
            Refusal::PrivateKey(key) => fault(S::BAD_REQUEST, key_words(key).into(), Reason::BAD_PRIVATE_KEY),
            Refusal::UnknownAction => {
                fault(S::NOT_FOUND, "the backend knows no such action".into(), Reason::ACTION_UNKNOWN)
            }
            Refusal::NoMessages => fault(S::NOT_FOUND, "messages".into(), Reason::NO_MESSAGES),
            Refusal::Denied(words) => fault(S::FORBIDDEN, bounded(&words), Reason::DENIED),
            Refusal::Window(words) => fault(S::TOO_MANY_REQUESTS, bounded(&words), Reason::WINDOW_FULL),
            Refusal::NoSecondOpinion(words) => {
                let words = format!("it is held: {}", bounded(&words));
                fault(S::SERVICE_UNAVAILABLE, words, Reason::NO_SECOND_OPINION)
            }
            Refusal::Unexplained(words) => fault(S::CONFLICT, bounded(&words), Reason::UNEXPLAINED),
            Refusal::Access(access) => access.into(),
            refusal @ (Refusal::NeedsSigners(_)
            | Refusal::NeedsToken
            | Refusal::NeedsApprovers(_)
            | Refusal::Credential { .. }) => credentials(refusal),
            Refusal::Contradiction(end) => fault(S::CONFLICT, end_words(end).into(), Reason::of_end(end)),
            Refusal::Backend { status, words } => {
                fault(S::BAD_GATEWAY, answered(status, &words), Reason::BACKEND_REFUSED)
            }
            Refusal::Unreachable(words) => {
                let words = format!("the backend is not reached: {}", bounded(&words));
                fault(S::BAD_GATEWAY, words, Reason::BACKEND_UNREACHABLE)
            }
            Refusal::Timeout => {
                fault(S::GATEWAY_TIMEOUT, "the backend did not answer in time".into(), Reason::BACKEND_TIMEOUT)
            }
            Refusal::Malformed(words) => {
                let words = format!("the backend's answer is malformed: {}", bounded(&words));
                fault(S::BAD_GATEWAY, words, Reason::BACKEND_MALFORMED)
            }
            Refusal::Busy => fault(S::SERVICE_UNAVAILABLE, "too much at once; ask again".into(), Reason::BUSY).again(1),
            Refusal::Init(_) | Refusal::Internal => {
                Self::new(S::INTERNAL_SERVER_ERROR, "internal error; the agent's log says more")
            }
        }
    }
}

/// What a decision came with is not enough, or not good.
fn credentials(refusal: Refusal) -> Fault {
    use StatusCode as S;
    let (status, detail, reason) = match refusal {
        Refusal::NeedsSigners(words) => (S::FORBIDDEN, bounded(&words), Reason::SIGNERS_NEEDED),
        Refusal::NeedsApprovers(words) => {
            let words =
                format!("it is released by signed statements in the body (docs/people.md): {}", bounded(&words));
            (S::FORBIDDEN, words, Reason::APPROVERS_NEEDED)
        }
        Refusal::Credential { fault, who } => {
            let whose = who.map(|who| format!("{}: ", bounded(&who))).unwrap_or_default();
            let status = if fault.is_the_tokens() { S::UNAUTHORIZED } else { S::FORBIDDEN };
            let words = format!("{whose}{}; nothing of what came with it counts", fault.words());
            (status, words, Reason::Credential(fault))
        }
        _ => {
            let words = "this takes a token with scope decide: send it as Authorization: Bearer TOKEN";
            (S::UNAUTHORIZED, words.into(), Reason::TOKEN_NEEDED)
        }
    };
    Fault::new(status, detail).because(reason)
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
