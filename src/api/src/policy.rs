//! `GET /api/v1/policy` and `POST /api/v1/policy/explain`.

use crate::around::Taken;
use crate::credentials::Who;
use crate::explanation::Explanation;
use crate::openapi::Refusals;
use crate::reason::Reason;
use crate::reply::{Fault, FaultBody};
use crate::routes::House;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ipc::{ActionId, Answer, Call, Caller, Matter, PolicyPart};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A policy's text that is longer, octets, is not told: the operator's command has all of it.
const LONGEST: u64 = 1 << 20;
/// How many times a policy may be replaced while it is read.
const TIMES: usize = 3;

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct InForce {
    /// Its file, or that there is none.
    source: String,
    /// SHA-256 of its text, hex.
    hash: String,
    /// What it calls itself.
    serial: Option<u64>,
    /// When its file was read, Unix seconds; `null` where there is none.
    loaded: Option<u64>,
    /// `null` where it is longer than 1 MiB.
    text: Option<String>,
}

/// What is to be explained: an action that is known, or messages and what the feed would call them.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Question {
    Known(Known),
    Messages(Messages),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    #[serde(rename = "actionID")]
    #[schema(value_type = crate::routes::IdText)]
    action: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Messages {
    /// Hex, two digits an octet; at least one, and none of them empty.
    #[schema(min_items = 1, max_items = 1024, value_type = Vec<HexText>)]
    messages: Vec<String>,
    /// What the feed would call it, such as `ApproveTransfer`.
    #[serde(rename = "type")]
    #[schema(max_length = 256, nullable)]
    claim: Option<String>,
}

/// Octets in hex.
#[derive(ToSchema)]
#[schema(pattern = "^([0-9a-fA-F]{2})+$")]
#[allow(dead_code, reason = "a schema")]
pub(crate) struct HexText(String);

/// Tells the policy in force.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy", operation_id = "getPolicy",
    responses((status = 200, body = InForce), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn in_force(State(house): State<Arc<House>>, who: Who) -> Result<Json<InForce>, Fault> {
    for _ in 0..TIMES {
        if let Some(whole) = whole(&house, &who.0).await? {
            return Ok(Json(whole));
        }
    }
    Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the policy was replaced again and again while it was read"))
}

/// `None` where it was replaced between two parts.
async fn whole(house: &House, caller: &Caller) -> Result<Option<InForce>, Fault> {
    let mut octets = Vec::new();
    let mut first: Option<String> = None;
    loop {
        let call = Call::Policy { offset: octets.len() as u64 };
        let Answer::PolicyPart(part) = house.ask(caller.clone(), call).await? else {
            return Err(Fault::misfit("Policy"));
        };
        let PolicyPart { hash, serial, loaded, source, total, octets: part } = part;
        if first.get_or_insert_with(|| hash.clone()) != &hash {
            return Ok(None);
        }
        if total > LONGEST {
            return Ok(Some(InForce { source, hash, serial, loaded, text: None }));
        }
        let ended = part.is_empty();
        octets.extend(part);
        if octets.len() as u64 == total {
            let text = String::from_utf8(octets).map_err(|_| Fault::misfit("Policy"))?;
            return Ok(Some(InForce { source, hash, serial, loaded, text: Some(text) }));
        }
        if ended || octets.len() as u64 > total {
            return Err(Fault::misfit("Policy"));
        }
    }
}

/// Says what the policy in force makes of an action, and why. Nothing comes of it, and nothing is recorded.
#[utoipa::path(
    post, path = "/api/v1/policy/explain", tag = "policy", operation_id = "explain",
    request_body = Question,
    responses(
        (status = 200, body = Explanation),
        (status = 404, body = FaultBody, description = "This agent knows no such action"),
        (status = 409, body = FaultBody, description = "There is nothing that could be explained, or too much"),
        Refusals,
    ),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn explain(
    State(house): State<Arc<House>>,
    who: Who,
    Extension(body): Extension<Taken>,
) -> Result<Json<Explanation>, Fault> {
    let matter = matter(&body.0).map_err(|words| Fault::bad(words).because(Reason::BAD_BODY))?;
    let known = matches!(matter, Matter::Known(_));
    let text = match house.ask(who.0, Call::Explain(matter)).await {
        Ok(Answer::Explained(text)) => text,
        Ok(_) => return Err(Fault::misfit("Explain")),
        Err(fault) if known && fault.is(Reason::ACTION_UNKNOWN) => return Err(crate::actions::unknown()),
        Err(fault) => return Err(fault),
    };
    // Through the types that the document has, so that the two are one.
    serde_json::from_str(&text).map(Json).map_err(|_| Fault::misfit("Explain"))
}

fn matter(body: &[u8]) -> Result<Matter, String> {
    let form = "the body is {\"actionID\":\"…\"}, or {\"messages\":[\"HEX\",…],\"type\":\"…\"}";
    match serde_json::from_slice(body).map_err(|_| form.to_owned())? {
        Question::Known(Known { action }) => {
            ActionId::try_from(action).map(Matter::Known).map_err(|e| format!("actionID: {e}"))
        }
        Question::Messages(Messages { messages, claim }) => {
            if messages.is_empty() || messages.len() > 1024 || messages.iter().any(String::is_empty) {
                return Err("messages: 1 to 1,024, and none of them empty".into());
            }
            let octets = messages.iter().map(hex::decode).collect::<Result<_, _>>();
            let messages = octets.map_err(|_| "messages: each is hex, two digits an octet".to_owned())?;
            if claim.as_ref().is_some_and(|claim| claim.chars().count() > 256) {
                return Err("type: at most 256 characters".into());
            }
            Ok(Matter::Messages { messages, claim })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_an_action_or_messages_and_nothing_else() {
        let id = ActionId::try_from("w1".to_owned()).unwrap();
        assert_eq!(matter(br#"{"actionID":"w1"}"#), Ok(Matter::Known(id)));
        let messages = vec![vec![0x0a, 0xff], vec![1]];
        let one = r#"{"messages":["0aFF","01"],"type":"ApproveTransfer"}"#;
        let claim = Some("ApproveTransfer".to_owned());
        assert_eq!(matter(one.as_bytes()), Ok(Matter::Messages { messages, claim }));
        let long = format!(r#"{{"messages":["00"],"type":"{}"}}"#, "t".repeat(257));
        let many = format!(r#"{{"messages":[{}]}}"#, ["\"00\""; 1025].join(","));
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"actionID":""}"#,
            r#"{"actionID":"a/b"}"#,
            r#"{"actionID":1}"#,
            r#"{"actionID":"a","messages":["00"]}"#,
            r#"{"messages":[]}"#,
            r#"{"messages":[""]}"#,
            r#"{"messages":["0"]}"#,
            r#"{"messages":["zz"]}"#,
            r#"{"messages":"00"}"#,
            r#"{"messages":["00"],"more":1}"#,
            r#"{"actionid":"w1"}"#,
            &long,
            &many,
        ] {
            assert!(matter(bad.as_bytes()).is_err(), "{bad:.60}");
        }
    }
}
