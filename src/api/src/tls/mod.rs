//! TLS at the door: what was read last and whole, certificates that clients show, and reading the files again.

mod load;
mod names;
mod shown;

use crate::Error;
use config::{ApiClient, Auth};
use load::{Asks, Loaded};
use names::Pattern;
use rustls::pki_types::UnixTime;
pub(crate) use shown::Shown;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest file, octets: a revocation list of some ten thousand certificates.
pub(crate) const MAX_FILE: u64 = 4 << 20;
/// What ends within so many seconds is warned of.
const SOON: i64 = 14 * 86_400;
/// So many certificates are looked at again before others have their turn.
const AT_ONCE: usize = 32;

/// The door's TLS.
pub struct Tls {
    files: config::Tls,
    asks: Asks,
    patterns: Vec<Pattern>,
    state: Mutex<State>,
    asked: Notify,
}

struct State {
    loaded: Loaded,
    /// Why the files were not taken when they were read last.
    refused: Option<String>,
    /// The certificates of those who are here, and some of those who went.
    shown: Vec<Weak<Shown>>,
    /// With so many of them it is looked who went.
    sweep_at: usize,
}

impl Tls {
    /// Reads the files. A certificate or a list that is out of date is taken, with a warning: nobody is let in by it.
    pub fn open(files: &config::Tls, auth: Auth, clients: &[ApiClient]) -> Result<Self, Error> {
        let asks = match auth {
            Auth::None | Auth::Token => Asks::ForNone,
            Auth::Either => Asks::Optionally,
            Auth::Mtls | Auth::Both => Asks::Always,
        };
        let patterns = clients.iter().map(Pattern::new).collect::<Result<_, _>>()?;
        let loaded = Loaded::read(files, asks)?;
        let state = State { loaded, refused: None, shown: Vec::new(), sweep_at: 64 };
        Ok(Self { files: files.clone(), asks, patterns, state: Mutex::new(state), asked: Notify::new() })
    }

    /// Where the files are, and where they are in truth: what Landlock must leave open.
    pub fn directories(files: &config::Tls) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = files
            .all()
            .flat_map(|file| [Some(file.to_owned()), file.canonicalize().ok()])
            .filter_map(|file| file?.parent().map(PathBuf::from))
            .collect();
        places.sort();
        places.dedup();
        places
    }

    /// Has the files read again, by whoever serves.
    pub fn ask_to_reload(&self) {
        self.asked.notify_one();
    }

    pub(crate) async fn asked_to_reload(&self) {
        self.asked.notified().await;
    }

    /// Reads all files again. If one of them is not good the old ones stay in force, all of them. Otherwise who shows a
    /// certificate that is not taken any more is let go.
    pub(crate) async fn reload(&self) {
        let read = Loaded::read(&self.files, self.asks).and_then(|loaded| self.in_date(&loaded).map(|()| loaded));
        let (verifier, shown) = {
            let mut state = self.state();
            match read {
                Err(e) => {
                    tracing::warn!("the TLS files are not taken, and those before stay in force: {e}");
                    state.refused = Some(ipc::bounded(&e.to_string()));
                    return;
                }
                Ok(loaded) => (state.loaded, state.refused) = (loaded, None),
            }
            let verifier = state.loaded.clients.as_ref().map(|clients| clients.verifier.clone());
            (verifier, state.shown.clone())
        };
        tracing::info!("the TLS files were read again and are in force");
        let Some(verifier) = verifier else { return };
        for some in shown.chunks(AT_ONCE) {
            for shown in some.iter().filter_map(Weak::upgrade) {
                shown.look_again(&*verifier);
            }
            tokio::task::yield_now().await;
        }
    }

    /// What would only be a warning at the start is no reason to give up what works.
    fn in_date(&self, loaded: &Loaded) -> Result<(), Error> {
        let now = now();
        if loaded.expires <= now {
            return Err(Error::CertificateExpired { path: self.files.cert_file.clone() });
        }
        let list = loaded.clients.as_ref().and_then(|clients| clients.list);
        match (list, &self.files.client_crl_file) {
            (Some((_, until)), Some(path)) if until <= now => Err(Error::ListExpired { path: path.clone() }),
            _ => Ok(()),
        }
    }

    /// Shakes hands.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<Arc<Shown>>)> {
        let server = self.state().loaded.server.clone();
        let stream = TlsAcceptor::from(server).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = Shown::new(chain, &self.patterns);
        if let Some(shown) = &shown {
            let mut state = self.state();
            if state.shown.len() >= state.sweep_at {
                state.shown.retain(|other| other.strong_count() > 0);
                state.sweep_at = 64.max(state.shown.len() * 2);
            }
            state.shown.push(Arc::downgrade(shown));
            // The files may have been read again during the handshake.
            if let Some(clients) = &state.loaded.clients {
                shown.look_again(&*clients.verifier);
            }
        }
        Ok((stream, shown))
    }

    /// When the first certificate of the server's chain expires, Unix seconds.
    pub(crate) fn expires(&self) -> u64 {
        self.state().loaded.expires.try_into().unwrap_or_default()
    }

    /// What a person should look at, but for the server's own certificate.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let (state, now) = (self.state(), now());
        let mut warnings = Vec::new();
        if let Some(why) = &state.refused {
            warnings.push(format!(
                "the TLS files were not taken when they were read last, and those before stay in force: {why}"
            ));
        }
        if self.asks == Asks::ForNone && self.files.client_ca_file.is_some() {
            warnings.push("[api] client_ca_file is not used: auth takes no certificates".into());
        }
        let Some(clients) = &state.loaded.clients else { return warnings };
        let left = clients.ca_expires - now;
        if left < SOON {
            warnings.push(format!("a CA of [api] client_ca_file {}", ends("expires", "expired", left)));
        }
        if let Some((from, until)) = clients.list {
            // A list that is made anew each week would always be within two of its end.
            let left = until - now;
            if left < SOON.min((until - from) / 4) {
                let when = ends("is out of date", "has been out of date, and no certificate is taken,", left);
                warnings.push(format!("the list of [api] client_crl_file {when}"));
            }
        }
        warnings
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ends(will: &str, has: &str, seconds: i64) -> String {
    match seconds {
        ..=0 => format!("{has} for {} h", -seconds / 3600),
        1..172_800 => format!("{will} in {} h", seconds / 3600),
        _ => format!("{will} in {} days", seconds / 86_400),
    }
}

/// Unix seconds.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn unix_now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
