//! Enters: errands and feed passes from the vault; the custody backend's replies and feed messages, whatever they hold.
//! Leaves: the errands' requests, byte for byte as the vault made them; replies and messages to the vault, bounded and unread.
//! Never: a decision, a second try of an errand, a redirect, a key; a header or a body in the log.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod address;
mod errands;
mod feed;
pub mod outside;
mod pace;
mod traces;
mod websocket;

pub use pace::Pace;

use config::{Backend, Config};
use ipc::Lane;
use outside::Trust;
use reqwest::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use url::Url;

/// How long errands under way and the feed's close are waited for at the end.
pub const GRACE: Duration = Duration::from_secs(10);

/// Who may be gone to, and by which client.
#[derive(Clone, Debug)]
pub struct Outside {
    pub backend: Backend,
    pub http: Client,
    /// Submission prefixes of C2SP tlog-witness.
    pub witnesses: Vec<Url>,
    /// Witnesses are public, whatever CA the backend has.
    pub witness_http: Client,
    /// Whom the vault asks for a second opinion, where there is one.
    pub callback: Option<(Url, Client)>,
    /// The collector of traces, where there is one.
    pub traces: Option<(Url, Client)>,
}

impl Outside {
    pub fn new(config: Config) -> Result<Self, outside::Error> {
        let Config { backend, audit, callback, telemetry, .. } = config;
        let of_the_backend = Trust::new("backend", backend.ca_file.as_deref(), &backend.url);
        let http = outside::client(of_the_backend)?;
        let witness_http = if audit.witnesses.is_empty() || backend.ca_file.is_none() {
            http.clone()
        } else {
            outside::client(Trust { ca_file: None, ..of_the_backend })?
        };
        // A client of its own, also where the trust is the same: what hangs there takes no connection from the backend.
        let callback = callback.map(|callback| {
            let http = outside::client(Trust::new("callback", callback.ca_file.as_deref(), &callback.url))?;
            Ok((callback.url, http))
        });
        let traces = telemetry.traces_url.map(|url| {
            let http = outside::client(Trust::new("telemetry", telemetry.ca_file.as_deref(), &url))?;
            Ok((url, http))
        });
        Ok(Self {
            backend,
            http,
            witnesses: audit.witnesses,
            witness_http,
            callback: callback.transpose()?,
            traces: traces.transpose()?,
        })
    }
}

/// Why the courier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to by a signal.
    Stopped,
    /// The vault retired it: secrets passed through its buffers, which cannot be wiped there.
    Retired,
    LaneLost,
}

impl End {
    pub fn code(self) -> u8 {
        match self {
            End::Stopped => 0,
            End::Retired => ipc::EXIT_RETIRED,
            End::LaneLost => ipc::EXIT_LANE_LOST,
        }
    }
}

/// Does the vault's errands and holds the feed open until the vault retires the courier, the lane ends or `stop` resolves.
/// What is under way is then finished and reported, within [`GRACE`].
pub async fn serve(lane: Lane, outside: Outside, pace: Pace, stop: impl Future<Output = ()>) -> End {
    let (close, closing) = watch::channel(false);
    let feed = tokio::spawn(feed::keep(lane.clone(), outside.http.clone(), pace, closing));
    let traces = outside.traces.clone().map(|(url, http)| tokio::spawn(traces::carry(lane.clone(), url, http)));
    let mut errands = errands::Errands::new(lane.clone(), Arc::new(outside));
    let end = tokio::select! {
        end = errands.take() => end,
        () = lane.ended() => End::LaneLost,
        () = stop => End::Stopped,
    };
    close.send_replace(true);
    // They are nothing to wait for.
    traces.inspect(tokio::task::JoinHandle::abort);
    if end != End::LaneLost {
        tracing::info!(?end, "ending: no new errands");
        let rest = async { tokio::join!(errands.finish(), feed) };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!("what is still under way is left: the vault will ask again");
        }
    }
    end
}
