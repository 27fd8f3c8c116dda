//! The control API: what a test orders, asks and waits for. JSON in and out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use milagro::PublicKey;
use milagro::mpin::ServerSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::{Armed, Endpoint};
use crate::orders::Order;
use crate::partners::{self, Format};
use crate::refusal::Refusal;
use crate::register::body_of;
use crate::state::{State, away};
use crate::store::{Agent, Push};

type Answer = Result<Json<Value>, Wrong>;
type Root = Shared<Arc<State>>;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/partners", post(partner))
        .route("/new-partner", get(new_partner))
        .route("/agents", get(agents).post(adopt))
        .route("/actions", post(create).get(list))
        .route("/actions/{id}", get(one))
        .route("/actions/{id}/announce", post(announce))
        .route("/actions/{id}/messages", post(change))
        .route("/feed", post(push))
        .route("/feed/drop", post(drop_feeds))
        .route("/feed/stall", post(stall_feeds))
        .route("/faults", post(arm).delete(clear))
        .route("/stats", get(stats))
        .route("/wait", get(wait))
        .layer(DefaultBodyLimit::disable())
}

/// A refusal of the control API itself; not counted, for it is the test's own mistake.
struct Wrong(Refusal);

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({"msg": self.0.to_string()}))).into_response()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Partner {
    api_key: String,
    public_key_pem: String,
}

async fn partner(Shared(state): Root, body: Bytes) -> Answer {
    let Partner { api_key, public_key_pem } = body_of(&body)?;
    partners::register(&state, api_key, &public_key_pem)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct NewPartner {
    #[serde(default)]
    format: Format,
}

async fn new_partner(Shared(state): Root, Query(wish): Query<NewPartner>) -> Answer {
    Ok(Json(away(move || partners::create(&state, wish.format)).await??))
}

async fn agents(Shared(state): Root) -> Answer {
    let store = state.store();
    let agents = store.agents().map(|agent| {
        let bls = hex::encode(agent.bls.to_bytes());
        json!({"accountCode": agent.account, "name": agent.name, "blsPublicKey": bls, "finished": agent.is_finished()})
    });
    Ok(Json(agents.collect()))
}

/// An agent that another backend registered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Adopted {
    account_code: String,
    name: String,
    /// Hex, like all below.
    identity: String,
    bls_public_key: String,
    server_secret: String,
}

async fn adopt(Shared(state): Root, body: Bytes) -> Answer {
    let Adopted { account_code, name, identity, bls_public_key, server_secret } = body_of(&body)?;
    let octets = |text: &str, what| hex::decode(text).map_err(|e| Refusal::Body(format!("{what}: {e}")));
    let bls = PublicKey::from_bytes(&octets(&bls_public_key, "blsPublicKey")?).map_err(Refusal::BlsKey)?;
    let server = ServerSecret::from_bytes(&octets(&server_secret, "serverSecret")?)
        .map_err(|e| Refusal::Body(format!("serverSecret: {e}")))?;
    state.store().add_agent(Agent::of_another(account_code, name, octets(&identity, "identity")?, bls, server));
    Ok(Json(json!({})))
}

async fn create(Shared(state): Root, body: Bytes) -> Answer {
    let order: Order = if body.is_empty() { Order::default() } else { body_of(&body)? };
    let actions = order.make(&state)?;
    let times = if order.announce { order.announce_times } else { 0 };
    let mut created = Vec::new();
    let mut announced = 0;
    {
        let mut store = state.store();
        for action in actions {
            let id = action.event.id.clone();
            created.push(json!({"id": id, "messages": action.messages}));
            store.add_action(action)?;
            for _ in 0..times {
                store.announce(&id)?;
                announced += 1;
            }
        }
    }
    state.count(|stats| {
        stats.created += created.len() as u64;
        stats.announced += announced;
    });
    Ok(Json(json!({"actions": created})))
}

#[derive(Deserialize)]
struct Listing {
    /// Without messages and signatures.
    #[serde(default)]
    brief: bool,
}

async fn list(Shared(state): Root, Query(listing): Query<Listing>) -> Answer {
    let mut store = state.store();
    let actions = store.actions().map(|action| {
        let mut shown = json!(action);
        if let (true, Some(fields)) = (listing.brief, shown.as_object_mut()) {
            fields.retain(|name, _| name != "messages" && name != "signatures");
        }
        shown
    });
    Ok(Json(json!({"actions": actions.collect::<Vec<_>>()})))
}

async fn one(Shared(state): Root, Path(id): Path<String>) -> Answer {
    Ok(Json(json!(state.store().action(&id).ok_or(Refusal::UnknownAction)?)))
}

/// Other messages for an action that is still pending: `{"messages": […]}`.
async fn change(Shared(state): Root, Path(id): Path<String>, body: Bytes) -> Answer {
    let Messages { messages } = body_of(&body)?;
    let mut store = state.store();
    let action = store.action(&id).ok_or(Refusal::UnknownAction)?;
    let changed = action.pending().is_ok();
    if changed {
        action.messages = messages;
    }
    Ok(Json(json!({"changed": changed})))
}

async fn announce(Shared(state): Root, Path(id): Path<String>) -> Answer {
    let feeds = state.store().announce(&id)?;
    state.count(|stats| stats.announced += 1);
    Ok(Json(json!({"feeds": feeds})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Messages {
    messages: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// Text; hex if binary.
    #[serde(default)]
    raw: String,
    /// A text of so many megabytes, in its place.
    megabytes: Option<usize>,
    #[serde(default)]
    binary: bool,
}

async fn push(Shared(state): Root, body: Bytes) -> Answer {
    let Raw { raw, megabytes, binary } = body_of(&body)?;
    let raw = megabytes.map_or(raw, |megabytes| "x".repeat(megabytes << 20));
    let feeds = if binary {
        let octets = hex::decode(&raw).map_err(|_| Refusal::Hex("raw, of a binary message,"))?;
        state.store().push(None, || Push::Binary(octets.clone()))
    } else {
        state.store().push(None, || Push::Text(raw.clone()))
    };
    Ok(Json(json!({"feeds": feeds})))
}

async fn drop_feeds(Shared(state): Root) -> Answer {
    Ok(Json(json!({"feeds": state.store().push(None, || Push::Drop)})))
}

async fn stall_feeds(Shared(state): Root) -> Answer {
    Ok(Json(json!({"feeds": state.store().push(None, || Push::Stall)})))
}

async fn arm(Shared(state): Root, body: Bytes) -> Answer {
    let armed: Armed = body_of(&body)?;
    state.faults().arm(armed);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Clearing {
    endpoint: Option<Endpoint>,
}

async fn clear(Shared(state): Root, Query(clearing): Query<Clearing>) -> Answer {
    state.faults().clear(clearing.endpoint);
    Ok(Json(json!({})))
}

async fn stats(Shared(state): Root) -> Answer {
    Ok(Json(json!(*state.stats())))
}

/// `?NAME=N` for any number in the stats that should reach N, `?NAMEAtMost=N` for one that should fall to it, all at once;
/// `timeoutMs`, 30,000 if absent. 200 when it is so, 408 if it does not come; both with the stats.
async fn wait(Shared(state): Root, Query(mut wishes): Query<HashMap<String, u64>>) -> Result<Response, Wrong> {
    let timeout = Duration::from_millis(wishes.remove("timeoutMs").unwrap_or(30_000));
    let mut changes = state.changes();
    let numbers = json!(state.stats().counts);
    let known = |name: &str| numbers.get(name.strip_suffix("AtMost").unwrap_or(name)).is_some();
    if let Some(name) = wishes.keys().find(|name| !known(name)) {
        return Err(Refusal::Body(format!("there is no number {name} in the stats")).into());
    }
    let waiting = async { while !fulfilled(&state, &wishes) && changes.changed().await.is_ok() {} };
    let met = tokio::time::timeout(timeout, waiting).await.is_ok();
    let status = if met { StatusCode::OK } else { StatusCode::REQUEST_TIMEOUT };
    Ok((status, Json(json!(*state.stats()))).into_response())
}

fn fulfilled(state: &State, wishes: &HashMap<String, u64>) -> bool {
    let stats = json!(state.stats().counts);
    let number = |name: &str| stats.get(name).and_then(Value::as_u64).unwrap_or_default();
    wishes.iter().all(|(name, wanted)| match name.strip_suffix("AtMost") {
        Some(name) => number(name) <= *wanted,
        None => number(name) >= *wanted,
    })
}
