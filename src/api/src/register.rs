//! `POST /api/v1/register` (protocol.md §2, §7). What is read here is wiped here; what hyper and serde_json kept of it goes
//! with the process, which ends itself after the answer.

use crate::around::Taken;
use crate::credentials::Who;
use crate::form;
use crate::reply::Fault;
use crate::routes::House;
use crate::serve::Retirement;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ipc::{Answer, Call, Scope};
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn register(
    State(house): State<Arc<House>>,
    Who(caller): Who,
    Extension(body): Extension<Taken>,
    Extension(retirement): Extension<Arc<Retirement>>,
) -> Response {
    let registration = form::parse(&body.0);
    drop(body);
    // A task of its own: it outlives a client that hangs up, so that the process does not end before the vault is done.
    let asked = tokio::spawn(async move {
        let answer = match registration {
            Ok(registration) => house.ask(caller, Call::Register(registration)).await,
            // What is wrong with it is for those who may register.
            Err(words) => house.enter(caller, Scope::Register).await.and(Err(Fault::bad(words))),
        };
        if answer.as_ref().is_err_and(|fault| fault.access().is_some()) {
            retirement.later();
        }
        drop(retirement);
        match answer? {
            Answer::Registered { agent_id } => Ok(Json(json!({ "agentID": agent_id, "feedURL": house.feed_url }))),
            _ => Err(Fault::misfit("Register")),
        }
    });
    let answer = asked.await.unwrap_or_else(|_| Err(Fault::misfit("Register")));
    ([(header::CONNECTION, "close")], answer).into_response()
}
