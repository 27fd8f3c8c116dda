//! `/api/v1/healthcheck/{version,config,status}`: the Go agent's fields, and a few more.

use crate::credentials::Who;
use crate::reply::Fault;
use crate::routes::House;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ipc::{Answer, Call, Caller, FeedState, Scope};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn version(State(house): State<Arc<House>>, Who(caller): Who) -> Result<Json<Value>, Fault> {
    house.enter(caller, Scope::Read).await?;
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    // No date: the same source gives the same binary.
    Ok(Json(json!({ "BuildVersion": env!("CARGO_PKG_VERSION"), "BuildType": kind, "BuildDate": "" })))
}

pub(crate) async fn config(State(house): State<Arc<House>>, Who(caller): Who) -> Result<Json<Value>, Fault> {
    house.enter(caller, Scope::Read).await?;
    Ok(Json(house.shown.clone()))
}

pub(crate) async fn status(State(house): State<Arc<House>>, Who(caller): Who) -> Result<Json<Value>, Fault> {
    Ok(told(&house, caller).await?.1)
}

/// The same, with 503 where something stands in the way of an approval: for those who only look at the status.
pub(crate) async fn ready(
    State(house): State<Arc<House>>,
    Who(caller): Who,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let (ready, told) = told(&house, caller).await?;
    Ok((if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, told))
}

async fn told(house: &House, caller: Caller) -> Result<(bool, Json<Value>), Fault> {
    let Answer::Health(health) = house.ask(caller, Call::Health).await? else {
        return Err(Fault::misfit("Health"));
    };
    let feed = match health.feed {
        FeedState::Open => "OPEN",
        FeedState::Connecting => "CONNECTING",
        FeedState::Idle | FeedState::Closed { .. } => "CLOSED",
    };
    let told = Json(json!({
        "WebSocket": {
            "ReadyState": feed,
            "RemoteFeedUrl": health.remote_feed_url,
            "LocalFeedUrl": house.feed_url,
            "ConnectedClients": house.hub.count(),
        },
        "Ready": health.ready,
        "Reasons": health.reasons,
        "Registered": health.registered,
        "FeedAgeSeconds": health.feed_age,
        "NextExpiry": health.next_expiry,
    }));
    Ok((health.ready, told))
}
