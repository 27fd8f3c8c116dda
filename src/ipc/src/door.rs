//! The doors' side of a lane: several asks open at once, each answered by its id.

use crate::frame::{Framed, decode, encode, length};
use crate::{Answer, Ask, Vitals};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

/// The lane ended: the room exits and is started anew.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the lane to the vault ended")]
pub struct LaneLost;

/// A connected lane. Cheap to clone.
#[derive(Clone)]
pub struct Lane {
    out: mpsc::Sender<(Ask, oneshot::Sender<Answer>)>,
    ended: watch::Receiver<bool>,
}

/// Between two words on the room's own process.
const EVERY: Duration = Duration::from_secs(15);

/// Tells the vault what the room's process is at, until the lane ends.
pub async fn tell_vitals(lane: Lane, read: impl Fn() -> Option<Vitals>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        if let Some(vitals) = read()
            && lane.ask(Ask::Vitals(vitals)).await.is_err()
        {
            return;
        }
    }
}

type Open = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

impl Lane {
    pub async fn connect(path: &Path) -> std::io::Result<Lane> {
        let (read, write) = UnixStream::connect(path).await?.into_split();
        let (out, asks) = mpsc::channel(64);
        let (end, ended) = watch::channel(false);
        let open = Open::default();
        tokio::spawn(send(write, asks, open.clone()));
        tokio::spawn(async move {
            receive(read, &open).await;
            // Dropping the waiting senders tells each asker that its lane is lost.
            open.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let _ = end.send(true);
        });
        Ok(Lane { out, ended })
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, LaneLost> {
        self.post(ask).await?.await
    }

    /// Takes the ask's place on the lane, behind all that were posted before; the answer comes later.
    pub async fn post(
        &self,
        ask: Ask,
    ) -> Result<impl Future<Output = Result<Answer, LaneLost>> + Send + use<>, LaneLost> {
        let (tell, told) = oneshot::channel();
        if *self.ended.borrow() {
            return Err(LaneLost);
        }
        self.out.send((ask, tell)).await.map_err(|_| LaneLost)?;
        let mut ended = self.ended.clone();
        Ok(async move {
            tokio::select! {
                biased;
                answer = told => answer.map_err(|_| LaneLost),
                _ = ended.wait_for(|ended| *ended) => Err(LaneLost),
            }
        })
    }

    /// Resolves when the lane has ended.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

async fn send(mut write: OwnedWriteHalf, mut asks: mpsc::Receiver<(Ask, oneshot::Sender<Answer>)>, open: Open) {
    let mut id = 0;
    while let Some((ask, tell)) = asks.recv().await {
        id += 1;
        // An ask too long for a frame drops its sender: the asker is told, the lane lives on.
        let Ok(frame) = encode(id, &ask) else { continue };
        open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tell);
        if write.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn receive(mut read: OwnedReadHalf, open: &Open) {
    let mut head = [0; 4];
    while read.read_exact(&mut head).await.is_ok() {
        let Ok(length) = length(head) else { return };
        let mut body = Zeroizing::new(vec![0; length]);
        if read.read_exact(&mut body).await.is_err() {
            return;
        }
        let Ok(Framed::<Answer> { id, what }) = decode(&body) else { return };
        if let Some(tell) = open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            let _ = tell.send(what);
        }
    }
}
