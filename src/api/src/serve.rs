//! The listener, its connections, and the three ways in which the api ends.

use crate::origin::Homes;
use crate::relay::{Hub, relay};
use crate::routes::{House, document, router};
use crate::{Settings, Times};
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipc::Lane;
use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tower::Service;

/// The most HTTP connections at once; more wait in the listener's backlog. Feed clients are counted by the [`Hub`].
const MAX_CONNECTIONS: usize = 512;
/// The longest request head, octets.
const MAX_HEAD: usize = 32 << 10;
/// What is under way gets so long when the lane is lost: without a vault there is little to finish.
const BRIEFLY: Duration = Duration::from_secs(2);

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
/// (within [`Times::drain`]; briefly where the lane is lost).
pub async fn serve(
    listener: TcpListener,
    lane: Lane,
    settings: Settings,
    stop: impl Future<Output = ()>,
) -> std::io::Result<End> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (ending, times) = (Ending::default(), settings.times);
    let house = Arc::new(House {
        hub: Arc::new(Hub::default()),
        homes: Homes::new(listener.local_addr()?, settings.public_url.as_ref()),
        ending: ending.clone(),
        feed_url: settings.feed_url,
        shown: settings.shown,
        lane: lane.clone(),
        times,
        document: document(),
    });
    let relay = tokio::spawn(relay(lane.clone(), house.hub.clone()));
    let (alive, mut all_gone) = mpsc::channel(1);
    let end = tokio::select! {
        biased;
        end = ending.wait() => end,
        () = stop => End::Stopped,
        () = lane.ended() => End::LaneLost,
        never = accept(listener, router(house), ending.clone(), times, Alive(alive)) => match never {},
    };
    ending.set(end);
    let patience = if end == End::LaneLost { BRIEFLY.min(times.drain) } else { times.drain };
    // Nothing is ever sent: this ends when the last holder of an `Alive` has gone.
    if tokio::time::timeout(patience, all_gone.recv()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
    relay.abort();
    Ok(end)
}

/// Held by whoever has a client to finish with.
#[derive(Clone)]
pub(crate) struct Alive(#[allow(dead_code, reason = "dropping it is what counts")] mpsc::Sender<()>);

/// Why the api is ending; the first reason stays.
#[derive(Clone)]
pub(crate) struct Ending(Arc<watch::Sender<Option<End>>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Ending {
    fn set(&self, end: End) {
        self.0.send_if_modified(|now| now.is_none() && now.replace(end).is_none());
    }

    pub(crate) async fn wait(&self) -> End {
        let mut told = self.0.subscribe();
        let end = told.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        // Unreachable: the sender is `self`'s.
        end.unwrap_or(End::Stopped)
    }
}

/// Has the api end itself when the last holder lets go, if a registration has passed. The connection is one: it lets go
/// when hyper has flushed the answer and shut the socket down.
pub(crate) struct Retirement {
    armed: AtomicBool,
    ending: Ending,
}

impl Retirement {
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Retirement {
    fn drop(&mut self) {
        if *self.armed.get_mut() {
            self.ending.set(End::Retired);
        }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    router: Router,
    ending: Ending,
    times: Times,
    alive: Alive,
) -> Infallible {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = room.clone().acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = connection(stream, router.clone(), ending.clone(), times, alive.clone());
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            // Out of descriptors, mostly: soon there may be some again.
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, ending: Ending, times: Times, alive: Alive) {
    // A feed message should not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let retirement = Arc::new(Retirement { armed: AtomicBool::new(false), ending: ending.clone() });
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(retirement.clone());
        request.extensions_mut().insert(alive.clone());
        router.clone().call(request)
    });
    let served = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(MAX_HEAD)
        // Who has sent all and said so still gets an answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    tokio::select! {
        biased;
        _ = served.as_mut() => return,
        _ = ending.wait() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
