//! The one-pass proof that every request after init carries.

use std::sync::Arc;

use axum::http::HeaderMap;
use milagro::mpin::Pass;
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;
use crate::state::{State, away, now};
use crate::store::Agent;

/// How far a request's time may be from this clock, in seconds, either way.
pub(crate) const WINDOW: i64 = 60;

/// Whose request this is. Refused: a pass that is missing, unreadable, for an identity not given out here, more than 60 s
/// off, without proof, or seen before.
pub(crate) async fn presented(state: &Arc<State>, headers: &HeaderMap) -> Result<Arc<Agent>, Refusal> {
    let pass = Pass::parse(header(headers, "x-api-zkp")?).map_err(Refusal::PassUnreadable)?;
    let agent = state.store().agent(&pass.identity).ok_or(Refusal::PassOfStranger)?;
    let off = i64::from(pass.et) - now();
    if off.abs() > WINDOW {
        return Err(Refusal::PassFar(off));
    }
    let (verifier, whose) = (Arc::clone(state), Arc::clone(&agent));
    let (pass, proof) = away(move || {
        let proof = whose.server.as_ref().unwrap_or(&verifier.server).verify(&pass);
        (pass, proof)
    })
    .await?;
    proof.map_err(Refusal::PassWrong)?;
    // Only what was proven is remembered, so that nobody else can spend an agent's pass.
    state.spend(Sha256::new().chain_update(pass.u).chain_update(&pass.identity).finalize().into(), pass.et)?;
    state.count(|stats| stats.passes_accepted += 1);
    Ok(agent)
}

/// The pass of an agent whose registration is complete.
pub(crate) async fn of_registered(state: &Arc<State>, headers: &HeaderMap) -> Result<Arc<Agent>, Refusal> {
    let agent = presented(state, headers).await?;
    if agent.is_finished() { Ok(agent) } else { Err(Refusal::NotFinished) }
}

/// A header that must be there once.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Refusal::Header(name)),
        _ => Err(Refusal::Header(name)),
    }
}
