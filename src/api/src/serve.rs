//! The listener, and the three ways in which the api ends.

use crate::Settings;
use crate::connection::{Alive, connection, turned_away};
use crate::guests::Guests;
use crate::origin::Homes;
use crate::relay::{Hub, relay};
use crate::reports::{Reports, report};
use crate::request_id::RequestIds;
use crate::routes::{House, document, router};
use crate::shares::Shares;
use crate::slowing::Slowing;
use axum::Router;
use ipc::Lane;
use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

/// What is under way gets so long when the lane is lost: without a vault there is little to finish.
const BRIEFLY: Duration = Duration::from_secs(2);

/// Feed clients of whom the vault is asked again, at once: few, for others wait for the vault too.
const MAX_DOUBTS: usize = 16;

/// Why the api ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A registration was answered: what passed through hyper's buffers cannot be wiped, so a fresh process takes over.
    Retired,
    /// The lane to the vault ended.
    LaneLost,
    /// Somebody said so.
    Stopped,
}

/// Serves until it ends: then nothing is accepted any more, feed clients are sent away, and requests under way are finished
/// (within [`Times::drain`](crate::Times::drain); briefly where the lane is lost).
pub async fn serve(
    listener: TcpListener,
    lane: Lane,
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> std::io::Result<End> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let house = Arc::new(house(&listener, lane.clone(), settings)?);
    let (ending, times) = (house.ending.clone(), house.times);
    let aside = [
        tokio::spawn(relay(lane.clone(), house.hub.clone())),
        tokio::spawn(report(house.clone())),
        tokio::spawn(reload(house.clone())),
    ];
    let (alive, mut all_gone) = mpsc::channel(1);
    let end = tokio::select! {
        biased;
        end = ending.wait() => end,
        () = stop => End::Stopped,
        () = lane.ended() => End::LaneLost,
        () = ending.later(times.retire) => End::Retired,
        never = accept(listener, router(house.clone()), house, Alive::new(alive)) => match never {},
    };
    ending.set(end);
    let patience = if end == End::LaneLost { BRIEFLY.min(times.drain) } else { times.drain };
    // Nothing is ever sent: this ends when the last holder of an `Alive` has gone.
    if tokio::time::timeout(patience, all_gone.recv()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
    aside.iter().for_each(|task| task.abort());
    Ok(end)
}

fn house(listener: &tokio::net::TcpListener, lane: Lane, settings: Settings) -> std::io::Result<House> {
    let limits = settings.limits;
    Ok(House {
        hub: Arc::new(Hub::new(Guests::new(limits.feeds, limits.feeds_each))),
        homes: Homes::new(listener.local_addr()?, settings.public_url.as_ref(), settings.pages, settings.auth),
        ending: Ending::default(),
        feed_url: settings.feed_url,
        shown: settings.shown,
        lane,
        times: settings.times,
        tls: settings.tls,
        guests: Guests::new(limits.connections, limits.connections_each),
        shares: Shares::new(limits.asks, limits.asks_each, settings.times.turn, settings.auth),
        doubts: Semaphore::new(MAX_DOUBTS),
        slowing: Slowing::new(limits.delayed),
        reports: Reports::default(),
        traces: settings.traces,
        request_ids: RequestIds::default(),
        document: document(),
    })
}

/// Why the api is ending; the first reason stays.
#[derive(Clone)]
pub(crate) struct Ending {
    end: Arc<watch::Sender<Option<End>>>,
    /// It need not end at once.
    later: Arc<Notify>,
}

impl Default for Ending {
    fn default() -> Self {
        Self { end: Arc::new(watch::Sender::new(None)), later: Arc::default() }
    }
}

impl Ending {
    fn set(&self, end: End) {
        self.end.send_if_modified(|now| now.is_none() && now.replace(end).is_none());
    }

    pub(crate) async fn wait(&self) -> End {
        let mut told = self.end.subscribe();
        let end = told.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        // Unreachable: the sender is `self`'s.
        end.unwrap_or(End::Stopped)
    }

    /// Resolves so long after the first who had it end later.
    async fn later(&self, patience: Duration) {
        self.later.notified().await;
        tokio::time::sleep(patience).await;
    }
}

/// Has the api end itself when the last holder lets go, if a registration has passed. The connection is one: it lets go
/// when hyper has flushed the answer and shut the socket down.
pub(crate) struct Retirement {
    armed: AtomicBool,
    ending: Ending,
}

impl Retirement {
    pub(crate) fn new(ending: Ending) -> Self {
        Self { armed: AtomicBool::new(false), ending }
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    /// Within [`Times::retire`](crate::Times::retire), whoever it was that brought something.
    pub(crate) fn later(&self) {
        self.ending.later.notify_one();
    }
}

impl Drop for Retirement {
    fn drop(&mut self) {
        if *self.armed.get_mut() {
            self.ending.set(End::Retired);
        }
    }
}

/// Reads the TLS files again, each time that somebody says so.
async fn reload(house: Arc<House>) {
    let Some(tls) = &house.tls else { return };
    loop {
        tls.asked_to_reload().await;
        tls.reload().await;
        house.reports.changed();
    }
}

async fn accept(listener: tokio::net::TcpListener, router: Router, house: Arc<House>, alive: Alive) -> Infallible {
    let mut refused: u64 = 0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => match house.guests.admit(from.ip()) {
                Some(guest) => {
                    let served = connection(stream, from.ip(), router.clone(), house.clone(), alive.clone());
                    tokio::spawn(async move {
                        served.await;
                        drop(guest);
                    });
                }
                None => {
                    refused += 1;
                    if refused.is_power_of_two() {
                        tracing::warn!(address = %from.ip(), refused, "too many connections: turned away");
                    }
                    turned_away(stream, house.tls.is_some());
                }
            },
            // Out of descriptors, mostly: soon there may be some again.
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
