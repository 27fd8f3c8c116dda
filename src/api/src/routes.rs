//! The table of protocol.md §7: paths, methods, and what is asked of the vault for each.

use crate::around::{Taken, around};
use crate::credentials::Who;
use crate::feed::feed;
use crate::guests::Guests;
use crate::origin::Homes;
use crate::relay::Hub;
use crate::reply::Fault;
use crate::reports::Reports;
use crate::serve::Ending;
use crate::shares::Shares;
use crate::slowing::Slowing;
use crate::tls::Tls;
use crate::{Times, credentials, health, register};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router, middleware};
use ipc::{AccessFault, ActionId, Answer, Ask, Call, Caller, Lane, Refusal, Scope, Verb, bounded};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

pub(crate) const FEED: &str = "/api/v1/client/feed";

/// What every request may use.
pub(crate) struct House {
    pub(crate) lane: Lane,
    pub(crate) hub: Arc<Hub>,
    pub(crate) homes: Homes,
    pub(crate) ending: Ending,
    pub(crate) feed_url: String,
    pub(crate) shown: Value,
    pub(crate) times: Times,
    /// `None`: plain HTTP.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Who has a connection and hears no feed.
    pub(crate) guests: Arc<Guests>,
    pub(crate) shares: Arc<Shares>,
    /// Feed clients of whom the vault is asked again, at once.
    pub(crate) doubts: Semaphore,
    pub(crate) slowing: Slowing,
    pub(crate) reports: Reports,
}

impl House {
    /// Asks the vault on a caller's behalf; a refusal is a fault.
    pub(crate) async fn ask(&self, caller: Caller, call: Call) -> Result<Answer, Fault> {
        let Some(_share) = self.shares.take(&caller).await else { return Err(Refusal::Busy.into()) };
        match self.lane.ask(Ask::Call { caller, call }).await? {
            Answer::Refused(refusal) => Err(refusal.into()),
            answer => Ok(answer),
        }
    }

    /// Why a feed client may not go on to be here, if so. What keeps the vault from saying is no reason.
    pub(crate) async fn still(&self, caller: Caller) -> Option<AccessFault> {
        // Not out of the caller's share, which is for what somebody waits for.
        let _turn = self.doubts.acquire().await.ok()?;
        match self.lane.ask(Ask::Call { caller, call: Call::Enter(Scope::Feed) }).await {
            Ok(Answer::Refused(Refusal::Access(AccessFault::TokenLimit(_)))) => None,
            Ok(Answer::Refused(Refusal::Access(fault))) => Some(fault),
            _ => None,
        }
    }

    /// Has somebody let in for what is answered here.
    pub(crate) async fn enter(&self, caller: Caller, scope: Scope) -> Result<(), Fault> {
        match self.ask(caller, Call::Enter(scope)).await? {
            Answer::Noted => Ok(()),
            _ => Err(Fault::misfit("Enter")),
        }
    }
}

pub(crate) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/api/v1/register", post(register::register))
        .route("/api/v1/client", get(client))
        .route("/api/v1/client/action/", put(no_id).delete(no_id))
        .route("/api/v1/client/action/{id}", put(approve).delete(reject))
        .route(FEED, get(feed))
        .route("/api/v1/healthcheck/version", get(health::version))
        .route("/api/v1/healthcheck/config", get(health::config))
        .route("/api/v1/healthcheck/status", get(health::status))
        .route("/api/v1/healthcheck/ready", get(health::ready))
        .fallback(|| async { Fault::new(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .layer(middleware::from_fn_with_state(house.clone(), around))
        .with_state(house)
}

async fn client(State(house): State<Arc<House>>, Who(caller): Who) -> Result<Json<Value>, Fault> {
    let Answer::Client { agent_id } = house.ask(caller, Call::Client).await? else {
        return Err(Fault::misfit("Client"));
    };
    Ok(Json(json!({ "agentID": agent_id.unwrap_or_default(), "feedURL": house.feed_url })))
}

type Id = Result<Path<String>, PathRejection>;
type Decision = Result<(StatusCode, Json<Value>), Fault>;

async fn approve(State(house): State<Arc<House>>, id: Id, Who(caller): Who, body: Extension<Taken>) -> Decision {
    decide(&house, id, Verb::Approve, caller, &body).await
}

async fn reject(State(house): State<Arc<House>>, id: Id, Who(caller): Who, body: Extension<Taken>) -> Decision {
    decide(&house, id, Verb::Reject, caller, &body).await
}

async fn no_id() -> Fault {
    Fault::bad("empty actionID")
}

async fn decide(house: &House, id: Id, verb: Verb, caller: Caller, body: &Taken) -> Decision {
    // The segment is percent-decoded by now; the rejection is one that is no UTF-8 then.
    let Ok(Path(id)) = id else { return Err(Fault::bad("not an action id: not UTF-8")) };
    if id.trim().is_empty() {
        return Err(no_id().await);
    }
    let action = ActionId::try_from(id).map_err(|e| Fault::bad(e.to_string()))?;
    let statements = credentials::statements(&body.0)?;
    let status = match house.ask(caller, Call::Decide { action: action.clone(), verb, statements }).await? {
        Answer::Decided { verb: Verb::Approve } if verb == Verb::Approve => "approved",
        Answer::Decided { verb: Verb::Reject } if verb == Verb::Reject => "rejected",
        Answer::Counted { have, needed, words } if verb == Verb::Approve => {
            let told = json!({
                "actionID": action.as_str(), "status": "held", "approvals": have, "needed": needed,
                "missing": bounded(&words),
            });
            return Ok((StatusCode::ACCEPTED, Json(told)));
        }
        _ => return Err(Fault::misfit("Decide")),
    };
    Ok((StatusCode::OK, Json(json!({ "actionID": action.as_str(), "status": status }))))
}
