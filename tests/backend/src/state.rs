//! What all requests share. Every lock is held for a look-up or a change, never across a pairing or an await.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use milagro::mpin::{MasterSecret, ServerSecret};
use tokio::sync::watch;

use crate::faults::{Endpoint, Fault, Faults};
use crate::refusal::Refusal;
use crate::simulator::Options;
use crate::stats::{Counts, Stats};
use crate::store::Store;

pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) master: MasterSecret,
    pub(crate) server: ServerSecret,
    /// API key to the partner's RSA public key, DER.
    partners: Mutex<HashMap<String, Arc<[u8]>>>,
    store: Mutex<Store>,
    /// Hash of identity and U to the time it came with: spent passes, kept for as long as the simulator runs.
    spent: Mutex<HashMap<[u8; 32], u32>>,
    faults: Mutex<Faults>,
    stats: Mutex<Stats>,
    changed: watch::Sender<()>,
}

impl State {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let master = MasterSecret::from_entropy(&random()?).map_err(io::Error::other)?;
        Ok(Self {
            options,
            server: master.server_secret(),
            master,
            partners: Mutex::default(),
            store: Mutex::default(),
            spent: Mutex::default(),
            faults: Mutex::default(),
            stats: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn stats(&self) -> MutexGuard<'_, Stats> {
        lock(&self.stats)
    }

    pub(crate) fn partner(&self, api_key: &str) -> Option<Arc<[u8]>> {
        lock(&self.partners).get(api_key).cloned()
    }

    pub(crate) fn add_partner(&self, api_key: String, public_key: Arc<[u8]>) {
        lock(&self.partners).insert(api_key, public_key);
    }

    /// Remembers a pass that was verified. Refused: one with an U that this identity has used before.
    pub(crate) fn spend(&self, identity_and_u: [u8; 32], time: u32) -> Result<(), Refusal> {
        match lock(&self.spent).insert(identity_and_u, time) {
            None => Ok(()),
            Some(before) if before == time => Err(Refusal::PassReplayed),
            Some(_) => Err(Refusal::NonceReused),
        }
    }

    /// The fault armed for this request, or one that does nothing.
    pub(crate) fn fault(&self, endpoint: Endpoint) -> Fault {
        let fault = self.faults().take(endpoint);
        if fault.is_some() {
            self.count(|stats| stats.faults_fired += 1);
        }
        fault.unwrap_or_default()
    }

    /// Changes the counters and wakes whoever waits for them.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.stats().counts);
        self.changed.send_replace(());
    }

    /// Counts a refusal and keeps its reason.
    pub(crate) fn count_refusal(&self, endpoint: Endpoint, refusal: &Refusal) {
        self.stats().refuse(endpoint, refusal);
        self.changed.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    now_ms() / 1000
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Runs what is slow, a pairing or a key's generation, away from the thread that serves.
pub(crate) async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|stopped| Refusal::Internal(stopped.to_string()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
