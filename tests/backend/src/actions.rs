//! GET, PUT and DELETE of an action, as the agent sees them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use milagro::Signature;
use serde::Deserialize;
use serde_json::json;

use crate::action::Status;
use crate::answer::answer;
use crate::faults::Endpoint;
use crate::line::Cut;
use crate::pass;
use crate::refusal::Refusal;
use crate::register::body_of;
use crate::state::{State, away};
use crate::store::Agent;

/// The messages, whatever the action's status: it is for the agent to know what it may still sign.
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(&state, &cut, Endpoint::Get, pass::of_registered(&state, &headers), async |agent, _| {
        let messages = {
            let mut store = state.store();
            let action = store.action_of(&agent, &id)?;
            action.gets += 1;
            action.messages.clone()
        };
        state.count(|stats| stats.gets += 1);
        Ok(Json(json!({"messages": messages})).into_response())
    })
    .await
}

/// Approves, once every signature is verified over the octets of its message.
pub(crate) async fn put(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked =
        body_of::<Approval>(&body).map_or_else(|_| "no signatures".to_owned(), |body| body.signatures.join(" "));
    if let Some(action) = state.store().action(&id) {
        action.ask(asked);
    }
    answer(&state, &cut, Endpoint::Put, pass::of_registered(&state, &headers), async |agent, _| {
        let approved = approve(&state, &agent, &id, &body).await;
        remember_refusal(&state, &id, approved)
    })
    .await
}

/// Rejects.
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(action) = state.store().action(&id) {
        action.ask("reject".to_owned());
    }
    answer(&state, &cut, Endpoint::Delete, pass::of_registered(&state, &headers), async |agent, _| {
        let rejected = reject(&state, &agent, &id);
        remember_refusal(&state, &id, rejected)
    })
    .await
}

#[derive(Deserialize)]
struct Approval {
    signatures: Vec<String>,
}

async fn approve(state: &Arc<State>, agent: &Arc<Agent>, id: &str, body: &[u8]) -> Result<(), Refusal> {
    let Approval { signatures } = body_of(body)?;
    let messages = {
        let mut store = state.store();
        let action = store.action_of(agent, id)?;
        if action.event.status == Status::Approved && action.signatures == signatures {
            return repeated(state, action);
        }
        action.pending()?;
        action.octets().ok_or(Refusal::NothingToSign)?
    };
    if signatures.len() != messages.len() {
        return Err(Refusal::SignatureCount { expected: messages.len(), found: signatures.len() });
    }
    let signer = Arc::clone(agent);
    let (signed, octets) = (messages.clone(), messages);
    let signatures = away(move || verify(&signer, &octets, &signatures).map(|()| signatures)).await??;
    let mut store = state.store();
    // Another PUT or a DELETE may have come in between.
    let action = store.action_of(agent, id)?;
    if action.event.status == Status::Approved && action.signatures == signatures {
        return repeated(state, action);
    }
    if action.octets().as_ref() != Some(&signed) {
        return Err(Refusal::NotPending("changed meanwhile"));
    }
    store.settle(id, Status::Approved)?;
    let action = store.action_of(agent, id)?;
    action.signatures = signatures;
    action.approvals += 1;
    state.count(|stats| {
        stats.puts += 1;
        stats.approved += 1;
        stats.settled += 1;
    });
    Ok(())
}

fn repeated(state: &State, action: &mut crate::action::Action) -> Result<(), Refusal> {
    action.approvals += 1;
    state.count(|stats| {
        stats.puts += 1;
        stats.repeated_puts += 1;
    });
    Ok(())
}

fn verify(agent: &Agent, messages: &[Vec<u8>], signatures: &[String]) -> Result<(), Refusal> {
    for (index, (message, signature)) in messages.iter().zip(signatures).enumerate() {
        let octets = lower_hex(signature, "a signature")?;
        Signature::from_bytes(&octets)
            .and_then(|signature| agent.bls.verify(message, &signature))
            .map_err(|source| Refusal::Signature { index, source })?;
    }
    Ok(())
}

fn reject(state: &State, agent: &Agent, id: &str) -> Result<(), Refusal> {
    let mut store = state.store();
    store.action_of(agent, id)?;
    store.settle(id, Status::Rejected)?;
    store.action_of(agent, id)?.deletes += 1;
    state.count(|stats| {
        stats.deletes += 1;
        stats.rejected += 1;
        stats.settled += 1;
    });
    Ok(())
}

fn remember_refusal(state: &State, id: &str, done: Result<(), Refusal>) -> Result<Response, Refusal> {
    if done.is_err()
        && let Some(action) = state.store().action(id)
    {
        action.refused += 1;
    }
    done.map(|()| (StatusCode::OK, Json(json!({}))).into_response())
}

/// Hex as the protocol writes it, lower case.
pub(crate) fn lower_hex(text: &str, what: &'static str) -> Result<Vec<u8>, Refusal> {
    if text.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(Refusal::Hex(what));
    }
    hex::decode(text).map_err(|_| Refusal::Hex(what))
}
