//! The feed: a WebSocket that an agent opens with a pass and hears of actions on.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::answer::answer;
use crate::faults::{Endpoint, Fault};
use crate::line::Cut;
use crate::pass;
use crate::refusal::Refusal;
use crate::state::State;
use crate::store::{Agent, Push};

const GARBAGE: &str = "{\"id\": this is no JSON";

pub(crate) async fn connect(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let state_of_feed = Arc::clone(&state);
    answer(&state, &cut, Endpoint::Feed, pass::of_registered(&state, &headers), async |agent, fault| {
        let upgrade = upgrade.map_err(|wrong| Refusal::Upgrade(wrong.to_string()))?;
        Ok(upgrade.on_upgrade(move |socket| run(state_of_feed, agent, socket, fault)))
    })
    .await
}

async fn run(state: Arc<State>, agent: Arc<Agent>, mut socket: WebSocket, fault: Fault) {
    if fault.drop_after {
        return;
    }
    if fault.garbage && socket.send(Message::text(GARBAGE)).await.is_err() {
        return;
    }
    let (push, pushed) = unbounded_channel();
    let number = state.store().open_feed(&agent.account, push, state.options.replay_pending);
    state.count(|stats| {
        stats.feeds += 1;
        stats.feed_connections += 1;
    });
    converse(&state, &mut socket, pushed).await;
    state.store().close_feed(number);
    state.count(|stats| stats.feeds -= 1);
}

async fn converse(state: &State, socket: &mut WebSocket, mut pushed: UnboundedReceiver<Push>) {
    let mut pings = interval(state.options.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            push = pushed.recv() => match push {
                Some(Push::Text(text)) => Message::text(text),
                Some(Push::Binary(octets)) => Message::binary(octets),
                Some(Push::Drop) | None => return,
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
            heard = socket.recv() => match heard {
                Some(Ok(Message::Ping(_))) => {
                    state.count(|stats| stats.feed_pings += 1);
                    continue;
                }
                Some(Ok(Message::Pong(_))) => {
                    state.count(|stats| stats.feed_pongs += 1);
                    continue;
                }
                Some(Ok(Message::Text(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
