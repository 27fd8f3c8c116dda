//! `GET /api/v1/client/feed`: a WebSocket (RFC 6455) on which a partner app hears what the backend's feed says.

use crate::Times;
use crate::relay::Seat;
use crate::reply::Fault;
use crate::routes::House;
use crate::serve::{Alive, End, Ending};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval_at, timeout};

/// The longest message that a client may send, octets. What it says is thrown away.
const MAX_HEARD: usize = 4 << 10;

pub(crate) async fn feed(
    State(house): State<Arc<House>>,
    Extension(alive): Extension<Alive>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    if house.agent_id().await?.is_none() {
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
    let Some(seat) = house.hub.seat() else {
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many feed clients"));
    };
    let upgrade = upgrade.max_message_size(MAX_HEARD).max_frame_size(MAX_HEARD).read_buffer_size(MAX_HEARD);
    Ok(upgrade.on_upgrade(async move |socket| {
        attend(socket, seat, &house.ending, house.times).await;
        drop(alive);
    }))
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
