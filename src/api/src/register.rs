//! `POST /api/v1/register` (protocol.md §2, §7). What is read here is wiped here; what hyper and serde_json kept of it goes
//! with the process, which ends itself after the answer.

use crate::around::{KEYLESS, Taken};
use crate::credentials::Who;
use crate::form;
use crate::openapi::Refusals;
use crate::reason::Reason;
use crate::reply::{Fault, FaultBody};
use crate::routes::{Agent, House};
use crate::serve::Retirement;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ipc::{Answer, Call, Scope};
use std::sync::Arc;
use utoipa::ToSchema;

/// What an agent is registered with. Names are matched without regard to case: clients send `apikey`, `APIKey`,
/// `base64privatekey`, `Base64PrivateKey` and others. Of a name that comes twice the last counts; unknown ones are passed over.
/// Values are trimmed.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema; `form` reads it")]
struct Registration {
    #[schema(min_length = 1, max_length = 256, pattern = r"^\S(.*\S)?$")]
    name: String,
    #[schema(rename = "APIKey", min_length = 1, max_length = 256, pattern = r"^\S(.*\S)?$")]
    api_key: String,
    /// Standard base64 of a PEM RSA private key, PKCS#1 or PKCS#8. It signs one request and is wiped.
    #[schema(rename = "Base64PrivateKey", min_length = 1, max_length = 16384, pattern = "^[A-Za-z0-9+/]+=*$")]
    private_key: String,
}

/// Registers this agent with the custody backend. It works while a registration window is open.
#[utoipa::path(
    post, path = "/api/v1/register", tag = "client", operation_id = "register",
    request_body = Registration,
    responses(
        (status = 200, body = Agent),
        (status = 409, body = FaultBody, description = "A registration is under way"),
        (status = 502, body = FaultBody, description = "The backend refuses or fails; `Detail` has its status and words"),
        (status = 504, body = FaultBody, description = "The backend did not answer in time"),
        Refusals,
    ),
    security(("bearer" = ["register"]), ("mutualTLS" = ["register"])),
)]
pub(crate) async fn register(
    State(house): State<Arc<House>>,
    Who(caller): Who,
    Extension(body): Extension<Taken>,
    Extension(retirement): Extension<Arc<Retirement>>,
) -> Response {
    let registration = form::parse(&body.0);
    let may_be_keys = body.0.len() > KEYLESS;
    drop(body);
    // A task of its own: it outlives a client that hangs up, so that the process does not end before the vault is done.
    let asked = tokio::spawn(async move {
        let answer = match registration {
            Ok(registration) => house.ask(caller, Call::Register(registration)).await,
            // What is wrong with it is for those who may register.
            Err(words) => {
                house.enter(caller, Scope::Register).await.and(Err(Fault::bad(words).because(Reason::BAD_BODY)))
            }
        };
        // Who was not let in shall not have the door restart as often as it likes: what it brought is gone later all the same.
        if may_be_keys && answer.as_ref().err().is_none_or(was_let_in) {
            retirement.arm();
        }
        drop(retirement);
        match answer? {
            Answer::Registered { agent_id } => Ok(Json(Agent::new(agent_id, &house))),
            _ => Err(Fault::misfit("Register")),
        }
    });
    let answer = asked.await.unwrap_or_else(|_| Err(Fault::misfit("Register")));
    ([(header::CONNECTION, "close")], answer).into_response()
}

/// Whether a fault is none of those that anybody can have.
fn was_let_in(fault: &Fault) -> bool {
    let anybodys = [Reason::NOT_READY, Reason::BUSY, Reason::VAULT_AWAY];
    fault.access().is_none() && !anybodys.into_iter().any(|reason| fault.is(reason))
}
