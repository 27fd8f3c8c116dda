//! `/api/v1/healthcheck/{version,config,status,ready}`: the Go agent's fields, and a few more.

use crate::credentials::Who;
use crate::openapi::Refusals;
use crate::reply::Fault;
use crate::routes::House;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ipc::{Answer, Call, Caller, FeedState, Scope};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is running.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Version {
    build_version: &'static str,
    /// `debug` or `release`.
    build_type: &'static str,
    /// Empty: the same source gives the same binary.
    build_date: &'static str,
}

/// How the agent is doing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Health {
    #[serde(rename = "WebSocket")]
    websocket: WebSocket,
    /// Nothing stands in the way of an approval.
    ready: bool,
    /// What does.
    reasons: Vec<String>,
    registered: bool,
    /// Since the backend's feed was last heard of.
    feed_age_seconds: Option<u64>,
    /// When the action expires that expires next, Unix seconds.
    next_expiry: Option<u64>,
    /// What will be trouble if nobody looks after it: certificates, tokens and lists near their end. It does not stand in the way.
    warnings: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WebSocket {
    /// Of the backend's feed: `OPEN`, `CONNECTING` or `CLOSED`.
    ready_state: &'static str,
    remote_feed_url: String,
    local_feed_url: String,
    connected_clients: usize,
}

/// What is running.
#[utoipa::path(
    get, path = "/api/v1/healthcheck/version", tag = "health", operation_id = "getVersion",
    responses((status = 200, body = Version), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn version(State(house): State<Arc<House>>, who: Who) -> Result<Json<Version>, Fault> {
    house.enter(who.0, Scope::Read).await?;
    let build_type = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(Json(Version { build_version: env!("CARGO_PKG_VERSION"), build_type, build_date: "" }))
}

/// The configuration, without anything secret.
#[utoipa::path(
    get, path = "/api/v1/healthcheck/config", tag = "health", operation_id = "getConfiguration",
    responses((status = 200, body = Value), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn config(State(house): State<Arc<House>>, who: Who) -> Result<Json<Value>, Fault> {
    house.enter(who.0, Scope::Read).await?;
    Ok(Json(house.shown.clone()))
}

/// How the agent is doing.
#[utoipa::path(
    get, path = "/api/v1/healthcheck/status", tag = "health", operation_id = "getStatus",
    responses((status = 200, body = Health), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn status(State(house): State<Arc<House>>, who: Who) -> Result<Json<Health>, Fault> {
    told(&house, who.0).await.map(Json)
}

/// The same, with 503 where something stands in the way of an approval: for those who only look at the status.
#[utoipa::path(
    get, path = "/api/v1/healthcheck/ready", tag = "health", operation_id = "getReady",
    responses((status = 200, body = Health), Refusals, (status = 503, body = Unready, description = "Something stands in the way")),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn ready(State(house): State<Arc<House>>, who: Who) -> Result<(StatusCode, Json<Health>), Fault> {
    let health = told(&house, who.0).await?;
    Ok((if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health)))
}

/// The same as `getReady`, under the name that orchestrators ask for.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "getReadyz",
    responses((status = 200, body = Health), Refusals, (status = 503, body = Unready, description = "Something stands in the way")),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn readyz(house: State<Arc<House>>, who: Who) -> Result<(StatusCode, Json<Health>), Fault> {
    ready(house, who).await
}

/// That the api answers, and has its lane: it ends where it has not. Nobody is asked who they are, and nothing else is said.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// What stands in the way, or that nobody can say.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "a schema")]
pub(crate) enum Unready {
    Health(Health),
    Fault(crate::reply::FaultBody),
}

async fn told(house: &House, caller: Caller) -> Result<Health, Fault> {
    let Answer::Health(health) = house.ask(caller, Call::Health).await? else {
        return Err(Fault::misfit("Health"));
    };
    let ready_state = match health.feed {
        FeedState::Open => "OPEN",
        FeedState::Connecting => "CONNECTING",
        FeedState::Idle | FeedState::Closed { .. } => "CLOSED",
    };
    Ok(Health {
        websocket: WebSocket {
            ready_state,
            remote_feed_url: health.remote_feed_url,
            local_feed_url: house.feed_url.clone(),
            connected_clients: house.hub.count(),
        },
        ready: health.ready,
        reasons: health.reasons,
        registered: health.registered,
        feed_age_seconds: health.feed_age,
        next_expiry: health.next_expiry,
        warnings: health.warnings,
    })
}
