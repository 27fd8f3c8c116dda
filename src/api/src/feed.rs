//! `GET /api/v1/client/feed`: a WebSocket (RFC 6455) on which a partner app hears what the backend's feed says.

use crate::connection::Alive;
use crate::credentials::{Peer, Who};
use crate::openapi::Refusals;
use crate::relay::{Seat, TooSlow};
use crate::reply::{Fault, FaultBody};
use crate::routes::House;
use crate::serve::End;
use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, SinkExt};
use ipc::{AccessFault, Answer, Call, Caller};
use serde::Serialize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::time::{Instant, interval_at, timeout};
use utoipa::ToSchema;

/// The longest message that a client may send, octets. What it says is thrown away.
const MAX_HEARD: usize = 4 << 10;
/// What is gathered for one write, octets; a message more may be in it.
const MAX_GATHERED: usize = 16 << 10;

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
    Who(caller): Who,
    RawQuery(query): RawQuery,
    Extension(peer): Extension<Peer>,
    Extension(alive): Extension<Alive>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fault> {
    let decisions = wants_decisions(query.as_deref().unwrap_or_default())?;
    match house.ask(caller.clone(), Call::Feed).await? {
        Answer::Client { agent_id: Some(_) } => {}
        Answer::Client { agent_id: None } => {
            return Err(Fault::new(StatusCode::CONFLICT, "the agent is not registered: it has no feed yet"));
        }
        _ => return Err(Fault::misfit("Feed")),
    }
    // The backend's extensions and ours are not negotiated: permessage-deflate is an offer (RFC 7692 §5).
    let Ok(upgrade) = upgrade else {
        let fault = Fault::new(StatusCode::UPGRADE_REQUIRED, "the feed is a WebSocket (version 13)");
        // RFC 9110 §15.5.22, RFC 6455 §4.2.2
        let headers =
            [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade"), (header::SEC_WEBSOCKET_VERSION, "13")];
        return Ok((headers, fault).into_response());
    };
    let Some(seat) = house.hub.seat(peer.address, decisions) else {
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many feed clients"));
    };
    let upgrade = upgrade.max_message_size(MAX_HEARD).max_frame_size(MAX_HEARD).read_buffer_size(MAX_HEARD);
    Ok(upgrade.write_buffer_size(MAX_GATHERED).on_upgrade(async move |socket| {
        Client { house, caller, peer, seat, doubt: None }.attend(socket).await;
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
            _ => return Err(Fault::bad("events is decisions, or not given").because(crate::reason::Reason::BAD_QUERY)),
        }
    }
    Ok(wants)
}

/// Why a client is sent away: a code and words.
type Reason = (CloseCode, Utf8Bytes);

const SLOW: Reason = (close_code::POLICY, Utf8Bytes::from_static("too slow: messages were waiting"));

struct Client {
    house: Arc<House>,
    caller: Caller,
    peer: Peer,
    seat: Seat,
    /// Whether it may still be here is being asked; resolves with why not.
    doubt: Option<Pin<Box<dyn Future<Output = Option<AccessFault>> + Send>>>,
}

impl Client {
    async fn attend(mut self, mut socket: WebSocket) {
        let Some((code, reason)) = self.talk(&mut socket).await else { return };
        tracing::info!(address = %self.peer.address, code, reason = reason.as_str(), "a feed client is sent away");
        // It is told why, if it still listens, and may answer.
        let _ = timeout(self.house.times.goodbye, async {
            let close = CloseFrame { code, reason };
            if socket.send(Message::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = socket.recv().await {}
            }
        })
        .await;
    }

    /// Passes messages on until the client goes (`None`) or must be sent away.
    async fn talk(&mut self, socket: &mut WebSocket) -> Option<Reason> {
        let (house, peer, period) = (self.house.clone(), self.peer.clone(), self.house.times.ping);
        let (mut ended, mut gone) = (pin!(house.ending.wait()), pin!(peer.gone()));
        let mut pings = interval_at(Instant::now() + period, period);
        let mut doubts = self.seat.doubts();
        let mut heard = true;
        loop {
            let doubt = async {
                match &mut self.doubt {
                    Some(doubt) => doubt.await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                end = &mut ended => return Some(farewell(end)),
                () = &mut gone => return Some(not_let_in(AccessFault::CertificateRefused)),
                fault = doubt => {
                    self.doubt = None;
                    match fault {
                        Some(fault) => return Some(not_let_in(fault)),
                        None => continue,
                    }
                }
                Ok(()) = doubts.changed() => {
                    self.ask_again();
                    continue;
                }
                message = self.seat.next() => match message {
                    Ok(text) => Message::Text(text),
                    Err(TooSlow) => return Some(SLOW),
                },
                _ = pings.tick() => {
                    if !std::mem::take(&mut heard) {
                        return Some((close_code::POLICY, "pings were not answered".into()));
                    }
                    self.ask_again();
                    Message::Ping(Default::default())
                }
                said = socket.recv() => match said {
                    None | Some(Ok(Message::Close(_))) => return None,
                    Some(Ok(_)) => {
                        heard = true;
                        continue;
                    }
                    Some(Err(_)) => return Some((close_code::SIZE, "not a message that is taken here".into())),
                },
            };
            let mut passing = pin!(self.pass_on(socket, message));
            let passed = match passing.as_mut().now_or_never() {
                Some(passed) => passed,
                // Only who does not take it at once is waited for by the clock.
                None => timeout(house.times.send, passing).await.unwrap_or(Err(Stopped::TooSlow)),
            };
            match passed {
                Ok(()) => {}
                Err(Stopped::Gone) => return None,
                Err(Stopped::TooSlow) => return Some(SLOW),
            }
        }
    }

    /// The message and what else there is for it, in one write.
    async fn pass_on(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Stopped> {
        let mut gathered = 0;
        let mut next = Some(message);
        while let Some(message) = next.take() {
            if let Message::Text(text) = &message {
                gathered += text.len();
            }
            socket.feed(message).await.map_err(|_| Stopped::Gone)?;
            if gathered < MAX_GATHERED {
                next = self.seat.ready().map_err(|TooSlow| Stopped::TooSlow)?.map(Message::Text);
            }
        }
        socket.flush().await.map_err(|_| Stopped::Gone)
    }

    /// Has the vault asked whether it may still be here. What is asked already need not be asked again only where nothing
    /// changed since, so it is.
    fn ask_again(&mut self) {
        let (house, caller) = (self.house.clone(), self.caller.clone());
        self.doubt = Some(async move { house.still(caller).await }.boxed());
    }
}

enum Stopped {
    Gone,
    TooSlow,
}

fn farewell(end: End) -> Reason {
    match end {
        End::Retired | End::LaneLost => (close_code::RESTART, "the agent's door restarts; connect again".into()),
        End::Stopped => (close_code::AWAY, "the agent stops".into()),
    }
}

fn not_let_in(fault: AccessFault) -> Reason {
    // A close frame has room for 123 octets (RFC 6455 §5.5).
    let words: String = fault.words().chars().take(100).collect();
    (close_code::POLICY, words.into())
}
