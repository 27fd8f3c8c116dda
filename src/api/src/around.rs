//! What is done to every request, whatever its path: the origin is looked at, the body is taken in (bounded), a refusal is told
//! late to who is refused often, the answer is marked and a line is logged.

use crate::cors;
use crate::credentials::Peer;
use crate::reason::Reason;
use crate::reply::{Fault, NotLetIn};
use crate::request_id;
use crate::routes::House;
use crate::serve::Retirement;
use crate::slowing::Told;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use ipc::{AccessFault, ActionId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// The longest body, octets. A registration with a private key of the longest kind has a third of it.
pub(crate) const MAX_BODY: usize = 64 << 10;
/// So much of a body that is too long is read and thrown away, octets: closing a socket that still has something to be read
/// resets it, and the client may never see the 413.
const MAX_WASTE: usize = 8 << 20;
/// The most of a path and a method that is logged, characters.
const MAX_LOGGED: usize = 200;

/// A registration's body this short, octets, has no room for a key beside the field's name.
pub(crate) const KEYLESS: usize = 32;

/// A request's body, whole; wiped on drop.
#[derive(Clone)]
pub(crate) struct Taken(pub(crate) Arc<Zeroizing<Vec<u8>>>);

pub(crate) async fn around(State(house): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = house.request_ids.of(request.headers());
    request.extensions_mut().insert(id.clone());
    let action = about(request.uri().path());
    let method = escaped(request.method().as_str());
    let path = escaped(request.uri().path());
    let page = house.homes.page(request.headers());
    let address = request.extensions().get().map(|peer: &Peer| peer.address);
    let mut response = answer(&house, request, next).await;
    cors::let_read(&house.homes, page, response.headers_mut());
    slow(&house, address, &mut response).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    request_id::value(&id).map(|value| response.headers_mut().insert(request_id::HEADER, value));
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis() as u64);
    let action = action.as_ref().map(tracing::field::display);
    tracing::info!(request = %id, action, method, path, status, ms, "request");
    response
}

/// The action that a path names, for the log.
fn about(path: &str) -> Option<ActionId> {
    let id = path.strip_prefix("/api/v1/client/action/")?;
    ActionId::try_from(id.to_owned()).ok()
}

/// Holds a refusal back, for who is refused often; meanwhile nothing but the connection waits for it.
async fn slow(house: &House, address: Option<IpAddr>, response: &mut Response) {
    let Some(NotLetIn(fault)) = response.extensions().get().copied() else { return };
    // Who has used its token too often is told how long to wait.
    let (Some(address), false) = (address, matches!(fault, AccessFault::TokenLimit(_))) else { return };
    match house.slowing.refused(address) {
        Told::At(wait, _waiting) => tokio::time::sleep(wait).await,
        Told::AndGone => drop(response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"))),
    }
}

async fn answer(house: &House, request: Request, next: Next) -> Response {
    let (foreign, rebound) = (house.homes.foreign(request.headers()), house.homes.rebound(&request));
    if foreign || rebound {
        let address = request.extensions().get().map(|peer: &Peer| peer.address);
        house.reports.turned_away(address, AccessFault::ForeignPage);
        return if foreign { Fault::from(AccessFault::ForeignPage) } else { rebound_words() }.into_response();
    }
    if let Some(answer) = cors::preflight(&house.homes, &request) {
        return answer;
    }
    let (mut parts, body) = request.into_parts();
    let registers = parts.method == Method::POST && parts.uri.path().trim_end_matches('/').ends_with("/register");
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    // Who expects "100 Continue" has not sent the body yet and needs not (RFC 9110 §10.1.1).
    let waits = parts.headers.contains_key(header::EXPECT);
    let taken = match announced {
        Some(length) if waits && length > MAX_BODY => Err(too_long()),
        _ => tokio::time::timeout(house.times.body, take(body, announced))
            .await
            .unwrap_or_else(|_| Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))),
    };
    // Whatever becomes of it, and wherever it was sent: what may be keys was in the same buffers.
    let keyless = taken.as_ref().is_ok_and(|taken| taken.0.len() <= KEYLESS) || (waits && taken.is_err());
    if registers
        && !keyless
        && let Some(retirement) = parts.extensions.get::<Arc<Retirement>>()
    {
        retirement.later();
    }
    match taken {
        Ok(taken) => {
            parts.extensions.insert(taken);
            next.run(Request::from_parts(parts, Body::empty())).await
        }
        // What is left of the body is not waited for.
        Err(fault) => ([(header::CONNECTION, "close")], fault).into_response(),
    }
}

async fn take(body: Body, announced: Option<usize>) -> Result<Taken, Fault> {
    // Room for all of it before the first octet: a growing vector would leave copies behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(MAX_BODY).min(MAX_BODY)));
    let mut stream = body.into_data_stream();
    let mut wasted = 0;
    while let Some(piece) = stream.next().await {
        let piece: Bytes = piece.map_err(|_| Fault::bad("the body broke off"))?;
        if wasted > 0 || whole.len() + piece.len() > MAX_BODY {
            wasted += piece.len();
            if wasted > MAX_WASTE {
                break;
            }
        } else {
            whole.extend_from_slice(&piece);
        }
    }
    if wasted > 0 { Err(too_long()) } else { Ok(Taken(Arc::new(whole))) }
}

fn rebound_words() -> Fault {
    let words = "without [api] auth a request must name this host by an address or as localhost (Host), or as [api] public_url has it";
    Fault::new(StatusCode::FORBIDDEN, words).because(Reason::Access(AccessFault::ForeignPage))
}

fn too_long() -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {MAX_BODY} octets"))
}

fn escaped(text: &str) -> String {
    text.chars().take(MAX_LOGGED).flat_map(char::escape_default).collect()
}
