//! How a request is answered: fault, credentials, deed, in this order, the same for every endpoint.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::faults::{Endpoint, Fault};
use crate::line::Cut;
use crate::refusal::Refusal;
use crate::slow;
use crate::state::State;

const GARBAGE: &[u8] = b"\x00\xff{\"messages\":[\"";

/// Takes the fault that is armed for this request, if any, waits where it says so, verifies the credentials, and only
/// then acts or fails as ordered.
pub(crate) async fn answer<A, D>(
    state: &Arc<State>,
    cut: &Cut,
    endpoint: Endpoint,
    credentials: impl Future<Output = Result<A, Refusal>>,
    deed: impl FnOnce(A, Fault) -> D,
) -> Response
where
    D: Future<Output = Result<Response, Refusal>>,
{
    let fault = state.fault(endpoint);
    if let Some(delay) = fault.delay() {
        tokio::time::sleep(delay).await;
    }
    let (drop_after, trickle) = (fault.drop_after, fault.trickle_ms);
    let done = match credentials.await {
        Ok(who) => match instead(&fault, cut, endpoint) {
            Some(response) => return response,
            None => deed(who, fault).await,
        },
        Err(refusal) => Err(refusal),
    };
    if drop_after && endpoint != Endpoint::Feed {
        cut.now();
    }
    let answer = done.unwrap_or_else(|refusal| refuse(state, endpoint, &refusal));
    match trickle {
        Some(pause) if endpoint != Endpoint::Feed => slow::trickled(answer, pause),
        _ => answer,
    }
}

/// Counts a refusal and says it.
pub(crate) fn refuse(state: &State, endpoint: Endpoint, refusal: &Refusal) -> Response {
    state.count_refusal(endpoint, refusal);
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"code": refusal.status(), "msg": refusal.to_string()}))).into_response()
}

fn instead(fault: &Fault, cut: &Cut, endpoint: Endpoint) -> Option<Response> {
    if fault.drop {
        cut.now();
        return Some(StatusCode::NO_CONTENT.into_response());
    }
    if let Some(octets) = &fault.raw {
        cut.say(octets.as_bytes());
        return Some(StatusCode::NO_CONTENT.into_response());
    }
    if let Some(megabytes) = fault.megabytes {
        return Some(slow::spaces(megabytes << 20, fault.chunked));
    }
    if let Some(status) = fault.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, fault.body.clone().unwrap_or_default()).into_response();
        if let Some(seconds) = fault.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        return Some(response);
    }
    // A feed's garbage comes as a message, once it is open.
    (fault.garbage && endpoint != Endpoint::Feed)
        .then(|| ([(header::CONTENT_TYPE, "application/json")], GARBAGE).into_response())
}
