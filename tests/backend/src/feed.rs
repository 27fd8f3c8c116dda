//! The feed: a WebSocket that an agent opens with a pass and hears of actions on.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
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
    let _open = Open::new(&state, &agent.account, push);
    converse(&state, &mut socket, pushed).await;
}

/// A feed that is open; also one whose connection is dropped with its runtime ends.
struct Open(Arc<State>, u64);

impl Open {
    fn new(state: &Arc<State>, account: &str, push: UnboundedSender<Push>) -> Self {
        let number = state.store().open_feed(account, push, state.options.replay_pending);
        state.count(|stats| {
            stats.feeds += 1;
            stats.feed_connections += 1;
        });
        Self(Arc::clone(state), number)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.store().close_feed(self.1);
        self.0.count(|stats| stats.feeds -= 1);
    }
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
                Some(Push::Stall) => return stall(pushed).await,
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

async fn stall(mut pushed: UnboundedReceiver<Push>) {
    while !matches!(pushed.recv().await, Some(Push::Drop) | None) {}
}
