//! `/openapi.json`: the document of the API, made of the handlers themselves.

use crate::credentials::Who;
use crate::reply::{Fault, FaultBody};
use crate::routes::House;
use axum::Json;
use axum::extract::State;
use ipc::Scope;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::header::Header;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

/// The document without its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Signing agent",
        description = "What a partner app says to its signing agent. Paths, fields and bodies of the Go agent, and what is told beyond it.\n\n\
            What a call needs is said by its security requirements: a bearer token or a client certificate with the scope that is named \
            there, or both, as `[api] auth` wants it. Every error is a `Fault`; its `Reason` stays as it is.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "client", description = "The Go agent's calls"),
        (name = "actions", description = "What became of actions"),
        (name = "policy", description = "What is approved, and why"),
        (name = "health", description = "How the agent is"),
    ),
    // What nothing but a parameter is made of is not found by itself.
    components(schemas(
        FaultBody,
        crate::reason::Reason,
        crate::actions::Status,
        crate::actions::Time,
        crate::feed::Events,
        crate::routes::IdText,
    )),
    modifiers(&Schemes),
)]
pub(crate) struct Base;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("A token that `signing-agent token add` made, with the scope that is named".to_owned());
        let certificate = SecurityScheme::MutualTls {
            description: Some("A client certificate of an `[[api.client]]` with the scope that is named".to_owned()),
            deprecated: None,
            extensions: None,
        };
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("mutualTLS", certificate);
    }
}

/// What any call may be answered.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let all = [
            (400, "The request is not well formed"),
            (401, "Who calls is not known: a token or a certificate is missing, wrong, expired or revoked"),
            (403, "Who calls may not do this, or a web page calls that is not at home here"),
            (408, "The body did not come in time"),
            (413, "The body is too long"),
            (429, "Too much of it; `Retry-After` says when, where that is known"),
            (500, "A fault of the agent's; its log says more"),
            (503, "The vault cannot work or is away, or too much is asked at once"),
        ];
        all.into_iter().map(|(status, words)| (status.to_string(), refused(status, words))).collect()
    }
}

fn refused(status: u16, words: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(FaultBody::name()))).build();
    let mut response = ResponseBuilder::new().description(words).content("application/json", body);
    let header = |kind, words: &str| {
        let mut header = Header::new(Object::with_type(kind));
        header.description = Some(words.to_owned());
        header
    };
    if status == 401 {
        response = response.header("WWW-Authenticate", header(Type::String, "`Bearer` (RFC 6750)"));
    }
    if matches!(status, 429 | 503) {
        response = response.header("Retry-After", header(Type::Integer, "Seconds"));
    }
    response.build().into()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", operation_id = "getDocument",
    responses((status = 200, body = Value), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn document(State(house): State<Arc<House>>, who: Who) -> Result<Json<Value>, Fault> {
    house.enter(who.0, Scope::Read).await?;
    Ok(Json(house.document.clone()))
}
