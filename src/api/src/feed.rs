//! `GET /api/v1/client/feed`: a WebSocket (RFC 6455) on which a partner app hears what the backend's feed says.

use crate::Times;
use crate::credentials::Who;
use crate::openapi::Refusals;
use crate::reason::Reason;
use crate::relay::Seat;
use crate::reply::{Fault, FaultBody};
use crate::routes::House;
use crate::serve::{Alive, End, Ending};
use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipc::{Answer, Call};
use serde::Serialize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval_at, timeout};
use utoipa::ToSchema;

/// The longest message that a client may send, octets. What it says is thrown away.
const MAX_HEARD: usize = 4 << 10;

/// The backend's feed, as a WebSocket of text messages, each as it came. With `events=decisions` there are messages of the agent's
/// own among them, `{"event":"decision",…}` (docs/api.md).
#[utoipa::path(
    get, path = "/api/v1/client/feed", tag = "client", operation_id = "hearFeed",
    params(("events" = Option<Events>, Query, description = "What is to be heard besides")),
    responses(
        (status = 101, description = "The WebSocket is open"),
        (status = 409, body = FaultBody, description = "The agent is not registered: it has no feed yet"),
        (status = 426, body = FaultBody, description = "The request asks for no WebSocket"),
        Refusals,
    ),
    security(("bearer" = ["feed"]), ("mutualTLS" = ["feed"])),
)]
pub(crate) async fn feed(
    State(house): State<Arc<House>>,
    who: Who,
    RawQuery(query): RawQuery,
    Extension(alive): Extension<Alive>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let decisions = wants_decisions(query.as_deref().unwrap_or_default())?;
    let Answer::Client { agent_id } = house.ask(who.0, Call::Feed).await? else {
        return Err(Fault::misfit("Feed"));
    };
    if agent_id.is_none() {
        return Err(Fault::new(StatusCode::CONFLICT, "the agent is not registered: it has no feed yet"));
    }
    // The backend's extensions and ours are not negotiated: permessage-deflate is an offer (RFC 7692 §5).
    let Ok(upgrade) = upgrade else {
        let fault = Fault::new(StatusCode::UPGRADE_REQUIRED, "the feed is a WebSocket (version 13)");
        // RFC 9110 §15.5.22, RFC 6455 §4.2.2
        let headers =
            [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade"), (header::SEC_WEBSOCKET_VERSION, "13")];
        return Ok((headers, fault).into_response());
    };
    let Some(seat) = house.hub.seat(decisions) else {
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many feed clients"));
    };
    let upgrade = upgrade.max_message_size(MAX_HEARD).max_frame_size(MAX_HEARD).read_buffer_size(MAX_HEARD);
    Ok(upgrade.on_upgrade(async move |socket| {
        attend(socket, seat, &house.ending, house.times).await;
        drop(alive);
    }))
}

/// What is heard besides the backend's messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "a schema")]
pub(crate) enum Events {
    /// What becomes of actions here.
    Decisions,
}

fn wants_decisions(query: &str) -> Result<bool, Fault> {
    let mut wants = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("events", "decisions") => wants = true,
            // The Go agent took any query here.
            (name, _) if name != "events" => {}
            _ => return Err(Fault::bad("events is decisions, or not given").because(Reason::BAD_QUERY)),
        }
    }
    Ok(wants)
}

async fn attend(mut socket: WebSocket, mut seat: Seat, ending: &Ending, times: Times) {
    let Some((code, reason)) = talk(&mut socket, &mut seat, ending, times).await else { return };
    // It is told why, if it still listens, and may answer.
    let _ = timeout(times.goodbye, async {
        let close = CloseFrame { code, reason: reason.into() };
        if socket.send(Message::Close(Some(close))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    })
    .await;
}

/// Passes messages on until the client goes (`None`) or must be sent away, with this code and these words.
async fn talk(
    socket: &mut WebSocket,
    seat: &mut Seat,
    ending: &Ending,
    times: Times,
) -> Option<(CloseCode, &'static str)> {
    const SLOW: (CloseCode, &str) = (close_code::POLICY, "too slow: messages were waiting");
    let mut ended = pin!(ending.wait());
    let mut pings = interval_at(Instant::now() + times.ping, times.ping);
    let mut heard = true;
    loop {
        let message = tokio::select! {
            end = &mut ended => return Some(match end {
                End::Retired | End::LaneLost => (close_code::RESTART, "the agent's door restarts; connect again"),
                End::Stopped => (close_code::AWAY, "the agent stops"),
            }),
            message = seat.next() => match message {
                Some(text) => Message::Text(text),
                None => return Some(SLOW),
            },
            _ = pings.tick() => {
                if !std::mem::take(&mut heard) {
                    return Some((close_code::POLICY, "pings were not answered"));
                }
                Message::Ping(Default::default())
            }
            said = socket.recv() => match said {
                None | Some(Ok(Message::Close(_))) => return None,
                Some(Ok(_)) => {
                    heard = true;
                    continue;
                }
                Some(Err(_)) => return Some((close_code::SIZE, "not a message that is taken here")),
            },
        };
        if !sent(socket, message, times.send).await? {
            return Some(SLOW);
        }
    }
}

/// Whether the client took it in time; `None` where it has gone.
async fn sent(socket: &mut WebSocket, message: Message, patience: Duration) -> Option<bool> {
    match timeout(patience, socket.send(message)).await {
        Ok(Ok(())) => Some(true),
        Ok(Err(_)) => None,
        Err(_) => Some(false),
    }
}
