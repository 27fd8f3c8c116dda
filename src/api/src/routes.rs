//! The table of protocol.md §7, and what is beyond it: paths, methods, and what is asked of the vault for each. What is routed
//! is what the document says, for both are made of the same macro.

use crate::around::{Taken, around};
use crate::credentials::Who;
use crate::feed;
use crate::guests::Guests;
use crate::openapi::{self, Base, Refusals};
use crate::origin::Homes;
use crate::reason::Reason;
use crate::relay::Hub;
use crate::reply::{Fault, FaultBody};
use crate::reports::Reports;
use crate::request_id::RequestIds;
use crate::serve::Ending;
use crate::shares::Shares;
use crate::slowing::Slowing;
use crate::tls::Tls;
use crate::{Times, actions, credentials, health, metrics, policy, register};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Extension, Json, Router, middleware};
use ipc::{
    AccessFault, ActionId, Answer, Ask, Call, Caller, Lane, Refusal, Scope, SignedStatement, Span, Verb, Work, bounded,
};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    /// Whether the vault is told where time goes.
    pub(crate) traces: bool,
    pub(crate) request_ids: RequestIds,
    /// What [`document`] gives.
    pub(crate) document: Value,
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

/// Who this agent is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Agent {
    /// Empty before registration.
    #[serde(rename = "agentID")]
    agent_id: String,
    /// Where this agent's feed is heard.
    #[serde(rename = "feedURL")]
    feed_url: String,
}

impl Agent {
    pub(crate) fn new(agent_id: String, house: &House) -> Self {
        Self { agent_id, feed_url: house.feed_url.clone() }
    }
}

/// What became of a decision: the backend has accepted it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decided {
    #[serde(rename = "actionID")]
    action: String,
    /// `approved` or `rejected`.
    status: &'static str,
}

/// What came with it counts, and more is needed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Counted {
    #[serde(rename = "actionID")]
    action: String,
    /// `held`.
    status: &'static str,
    /// How many people have said so.
    approvals: u32,
    needed: u32,
    /// What is missing, in words.
    missing: String,
}

/// People's words on the action (docs/people.md).
#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema; `credentials` reads it")]
pub(crate) struct Decision {
    #[schema(max_items = 8)]
    statements: Vec<Statement>,
}

#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a schema; `credentials` reads it")]
pub(crate) struct Statement {
    /// The octets that were signed.
    #[schema(max_length = 2048)]
    statement: String,
    /// An armored SSH signature.
    #[schema(max_length = 1024)]
    signature: String,
}

/// 1 to 128 letters, digits, `-`, `_`, `.`, `~` or `:`, and no `..`.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 128, pattern = r"^(?!\.$)(?!.*\.\.)[A-Za-z0-9._~:-]+$")]
#[allow(dead_code, reason = "a schema")]
pub(crate) struct IdText(String);

/// The routes and the document of them.
fn described() -> (Router<Arc<House>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(register::register))
        .routes(routes!(client))
        .routes(routes!(actions::story, approve, reject))
        .routes(routes!(actions::list))
        .routes(routes!(policy::in_force))
        .routes(routes!(policy::explain))
        .routes(routes!(feed::feed))
        .routes(routes!(health::version))
        .routes(routes!(health::config))
        .routes(routes!(health::status))
        .routes(routes!(health::ready))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::document))
        .split_for_parts()
}

/// The OpenAPI document.
pub(crate) fn document() -> Value {
    serde_json::to_value(described().1).unwrap_or_default()
}

pub(crate) fn router(house: Arc<House>) -> Router {
    let (router, _) = described();
    router
        // Of the Go agent's: an action without an id.
        .route("/healthz", get(health::healthz))
        .route("/api/v1/client/action/", put(no_id).delete(no_id))
        .fallback(|| async { Fault::new(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .layer(middleware::from_fn_with_state(house.clone(), around))
        .with_state(house)
}

/// Tells who this agent is.
#[utoipa::path(
    get, path = "/api/v1/client", tag = "client", operation_id = "getAgent",
    responses((status = 200, body = Agent), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
async fn client(State(house): State<Arc<House>>, who: Who) -> Result<Json<Agent>, Fault> {
    match house.ask(who.0, Call::Client).await? {
        Answer::Client { agent_id } => Ok(Json(Agent::new(agent_id.unwrap_or_default(), &house))),
        _ => Err(Fault::misfit("Client")),
    }
}

pub(crate) type Id = Result<Path<String>, PathRejection>;
type Told = Result<(StatusCode, Json<Value>), Fault>;

/// Approves an action, and answers once the backend has accepted it. It may be said again: who lost an answer gets it so.
#[utoipa::path(
    put, path = "/api/v1/client/action/{id}", tag = "client", operation_id = "approve",
    params(("id" = IdText, Path, description = "The action's id")),
    request_body(content = Option<Decision>, description = "Nothing, or statements; a body without any is not looked at"),
    responses(
        (status = 200, body = Decided),
        (status = 202, body = Counted),
        (status = 404, body = FaultBody, description = "No such action, or the agent is not registered"),
        (status = 409, body = FaultBody, description = "It came to another end, or is on its way to one"),
        (status = 502, body = FaultBody, description = "The backend refuses or fails; `Detail` has its status and words"),
        (status = 504, body = FaultBody, description = "The backend did not answer in time: ask again"),
        Refusals,
    ),
    security(("bearer" = ["decide"]), ("mutualTLS" = ["decide"])),
)]
async fn approve(State(house): State<Arc<House>>, who: Who, id: Id, body: Extension<Taken>) -> Told {
    decide(&house, who, id, Verb::Approve, &body).await
}

/// Rejects an action, and answers once the backend has accepted it. It may be said again.
#[utoipa::path(
    delete, path = "/api/v1/client/action/{id}", tag = "client", operation_id = "reject",
    params(("id" = IdText, Path, description = "The action's id")),
    request_body(content = Option<Decision>, description = "Nothing, or statements; a body without any is not looked at"),
    responses(
        (status = 200, body = Decided),
        (status = 404, body = FaultBody, description = "No such action, or the agent is not registered"),
        (status = 409, body = FaultBody, description = "It came to another end, or is on its way to one"),
        (status = 502, body = FaultBody, description = "The backend refuses or fails; `Detail` has its status and words"),
        (status = 504, body = FaultBody, description = "The backend did not answer in time: ask again"),
        Refusals,
    ),
    security(("bearer" = ["decide"]), ("mutualTLS" = ["decide"])),
)]
async fn reject(State(house): State<Arc<House>>, who: Who, id: Id, body: Extension<Taken>) -> Told {
    decide(&house, who, id, Verb::Reject, &body).await
}

async fn no_id() -> Fault {
    Fault::bad("empty actionID").because(Reason::BAD_ACTION_ID)
}

/// The segment is percent-decoded by now; the rejection is one that is no UTF-8 then.
pub(crate) fn action_id(id: Id) -> Result<ActionId, Fault> {
    let bad = |words: String| Fault::bad(words).because(Reason::BAD_ACTION_ID);
    let Ok(Path(id)) = id else { return Err(bad("not an action id: not UTF-8".into())) };
    if id.trim().is_empty() {
        return Err(bad("empty actionID".into()));
    }
    ActionId::try_from(id).map_err(|e| bad(e.to_string()))
}

async fn decide(house: &House, who: Who, id: Id, verb: Verb, body: &Taken) -> Told {
    let action = action_id(id)?;
    let statements = credentials::statements(&body.0)?;
    let (began, request) = (ipc::unix_nanos(), who.0.request.clone());
    let told = decided(house, who.0, action.clone(), verb, statements).await;
    if house.traces {
        let status = told.as_ref().map_or_else(|fault| fault.status(), |(status, _)| *status).as_u16();
        let work = Work::Decision { verb, request, status };
        let (lane, span) = (house.lane.clone(), Span { action, work, began, ended: ipc::unix_nanos() });
        tokio::spawn(async move { drop(lane.ask(Ask::Span(span)).await) });
    }
    told
}

async fn decided(
    house: &House,
    caller: Caller,
    action: ActionId,
    verb: Verb,
    statements: Vec<SignedStatement>,
) -> Told {
    let status = match house.ask(caller, Call::Decide { action: action.clone(), verb, statements }).await? {
        Answer::Decided { verb: Verb::Approve } if verb == Verb::Approve => "approved",
        Answer::Decided { verb: Verb::Reject } if verb == Verb::Reject => "rejected",
        Answer::Counted { have, needed, words } if verb == Verb::Approve => {
            let (action, missing) = (action.into(), bounded(&words));
            return told(StatusCode::ACCEPTED, &Counted { action, status: "held", approvals: have, needed, missing });
        }
        _ => return Err(Fault::misfit("Decide")),
    };
    told(StatusCode::OK, &Decided { action: action.into(), status })
}

fn told(status: StatusCode, what: &impl Serialize) -> Told {
    serde_json::to_value(what).map(|what| (status, Json(what))).map_err(|_| Fault::misfit("Decide"))
}
