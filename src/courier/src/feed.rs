//! The feed: one connection, held open for ever; every attempt with a ticket of its own.

use crate::pace::{Backoff, Pace};
use crate::{address, websocket};
use ipc::{Answer, Ask, FeedState, Lane, LaneLost, Secret};
use reqwest::Client;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

mod listen;

/// Keeps the feed open until `closing` says true or the lane ends.
pub(crate) async fn keep(lane: Lane, http: Client, pace: Pace, mut closing: watch::Receiver<bool>) {
    let mut backoff = Backoff::new(pace);
    while !*closing.borrow() {
        let attempt = match attempt(&lane, &http, pace, &mut closing).await {
            Ok(attempt) => attempt,
            Err(Over) => return,
        };
        let wait = backoff.after(attempt.open);
        tracing::info!(why = attempt.why, retry_ms = wait.as_millis() as u64, "feed closed");
        let state = FeedState::Closed { why: attempt.why, retry_ms: wait.as_millis() as u64 };
        if tell(&lane, state).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = asked(&mut closing) => {}
        }
    }
}

/// The feed is not to be opened again: the room ends.
struct Over;

impl From<LaneLost> for Over {
    fn from(LaneLost: LaneLost) -> Self {
        Over
    }
}

/// An attempt that came to its end.
struct Attempt {
    /// Bounded words.
    why: String,
    /// How long the connection was open.
    open: Duration,
}

async fn attempt(lane: &Lane, http: &Client, pace: Pace, closing: &mut watch::Receiver<bool>) -> Result<Attempt, Over> {
    let failed = |why: &str| Ok(Attempt { why: ipc::bounded(why), open: Duration::ZERO });
    let ticket = tokio::select! {
        ticket = lane.ask(Ask::FeedTicket) => ticket?,
        () = asked(closing) => return Err(Over),
    };
    let Answer::FeedTicket { url, pass } = ticket else { return failed("the vault gave no ticket") };
    let pass = Secret::new(pass);
    tell(lane, FeedState::Connecting).await?;
    let url = match address::feed(&url) {
        Ok(url) => url,
        Err(e) => return failed(&e.to_string()),
    };
    tracing::info!(url = url.as_str(), "feed connecting");
    let opened = tokio::select! {
        opened = timeout(pace.handshake, websocket::open(http, url, &pass)) => opened,
        () = asked(closing) => return Err(Over),
    };
    let mut socket = match opened {
        Ok(Ok(socket)) => socket,
        Ok(Err(why)) => return failed(&why),
        Err(_) => return failed("the feed was not opened in time"),
    };
    let began = Instant::now();
    tracing::info!("feed open");
    tell(lane, FeedState::Open).await?;
    let why = listen::listen(lane, &mut socket, pace, closing).await?;
    Ok(Attempt { why: ipc::bounded(&why), open: began.elapsed() })
}

async fn tell(lane: &Lane, state: FeedState) -> Result<(), LaneLost> {
    if lane.ask(Ask::FeedState(state)).await? != Answer::Noted {
        tracing::warn!("the vault did not note the feed's state");
    }
    Ok(())
}

/// Resolves when the room is about to end.
async fn asked(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
