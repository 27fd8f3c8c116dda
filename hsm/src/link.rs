//! One life of the connection to a token: from C_Initialize to C_Finalize, with a login and its sessions.

use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::Session;
use cryptoki::slot::Slot;

use crate::config::{Config, TokenSelector};
use crate::error::Error;
use crate::keys::Keys;
use crate::pin::PinGate;
use crate::watch::Watch;

/// The fields' order is the order in which they end: all sessions before C_Finalize. Modules number handles anew after
/// the next C_Initialize, and a session that survived would work on somebody else's.
pub(crate) struct Link {
    pool: Mutex<Vec<Session>>,
    returned: Condvar,
    /// Closing the last session logs out; this one stays open and does nothing else. (In a Mutex for Link to be Sync.)
    _anchor: Mutex<Session>,
    keys: RwLock<Option<Arc<Keys>>>,
    slot: Slot,
    watch: Watch,
    library: Initialized,
}

impl Link {
    pub(crate) fn new(library: &Pkcs11, config: &Config, gate: &PinGate) -> Result<Self, Error> {
        gate.check()?;
        let library = Initialized::new(library, &config.watch)?;
        let slot = find_slot(&library.0, &config.token)?;
        // Some modules' token information cannot be read at all; then only the login tells.
        if library.0.get_token_info(slot).is_ok_and(|info| info.user_pin_locked()) {
            return Err(gate.locked());
        }
        let anchor = library.0.open_ro_session(slot).map_err(Error::from_cryptoki)?;
        gate.login(&anchor)?;
        config.watch.logged_in();
        let pool = (0..config.workers.max(1))
            .map(|_| library.0.open_ro_session(slot).map_err(Error::from_cryptoki))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            pool: Mutex::new(pool),
            returned: Condvar::new(),
            _anchor: Mutex::new(anchor),
            keys: RwLock::new(None),
            slot,
            watch: config.watch.clone(),
            library,
        })
    }

    /// Runs `work` on a session of its own, waiting for one if all are at work. A session that has seen an error may
    /// have an operation pending (CKR_OPERATION_ACTIVE): it is replaced.
    pub(crate) fn with_session<T>(&self, work: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let session = loop {
            match pool.pop() {
                Some(session) => break session,
                None => pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(pool);
        let _call = self.watch.begin();
        let mut lent = Lent { link: self, session: Some(session), spoilt: true };
        let outcome = lent.session.as_ref().map_or(Err(Error::Malformed("no session".into())), work);
        lent.spoilt = outcome.is_err();
        if lent.spoilt {
            self.watch.failed();
        }
        outcome
    }

    /// Runs `work` on a session that may write, which is made for it and closed after it.
    pub(crate) fn with_writing_session<T>(&self, work: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let _call = self.watch.begin();
        let done =
            self.library.0.open_rw_session(self.slot).map_err(Error::from_cryptoki).and_then(|session| work(&session));
        if done.is_err() {
            self.watch.failed();
        }
        done
    }

    pub(crate) fn cached_keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn cache_keys(&self, keys: Option<Arc<Keys>>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

/// A session on loan; it comes back also if the work panics.
struct Lent<'a> {
    link: &'a Link,
    session: Option<Session>,
    spoilt: bool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if self.spoilt {
            // Where no new one can be had, the old one has to do: the pool must not run dry.
            if let Ok(fresh) = self.link.library.0.open_ro_session(self.link.slot) {
                session = fresh;
            }
        }
        self.link.pool.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        self.link.returned.notify_one();
    }
}

/// C_Initialize was called; C_Finalize will be.
struct Initialized(Pkcs11, Watch);

impl Initialized {
    fn new(library: &Pkcs11, watch: &Watch) -> Result<Self, Error> {
        match Self::initialize(library) {
            // The life before could not be ended, for its token was gone: it is ended now.
            Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) if watch.is_unfinished() => {
                library.clone().finalize().map_err(Error::from_cryptoki)?;
                Self::initialize(library).map_err(Error::from_cryptoki)?;
            }
            Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => return Err(Error::ModuleInUse),
            outcome => outcome.map_err(Error::from_cryptoki)?,
        }
        watch.set_unfinished(false);
        Ok(Self(library.clone(), watch.clone()))
    }

    fn initialize(library: &Pkcs11) -> Result<(), Pkcs11Error> {
        // CKF_OS_LOCKING_OK always: without it SoftHSM crashes as soon as two threads use it.
        library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
    }
}

impl Drop for Initialized {
    fn drop(&mut self) {
        if let Err(error) = self.0.clone().finalize() {
            tracing::debug!(%error, "C_Finalize failed");
            self.1.set_unfinished(true);
        }
    }
}

fn find_slot(library: &Pkcs11, wanted: &TokenSelector) -> Result<Slot, Error> {
    let slots = library.get_slots_with_token().map_err(Error::from_cryptoki)?;
    match wanted {
        TokenSelector::Slot(id) => slots.iter().copied().find(|slot| slot.id() == *id).ok_or_else(|| {
            let ids: Vec<_> = slots.iter().map(ToString::to_string).collect();
            Error::TokenMissing {
                wanted: format!("in slot {id}"),
                there: if ids.is_empty() {
                    "no token at all".into()
                } else {
                    format!("tokens in slots {}", ids.join(", "))
                },
            }
        }),
        TokenSelector::Label(label) => {
            let (mut labels, mut found) = (Vec::new(), Vec::new());
            for slot in slots {
                let Ok(info) = library.get_token_info(slot) else { continue };
                if !info.token_initialized() {
                    continue;
                }
                if info.label().trim_end() == label {
                    found.push(slot);
                }
                labels.push(format!("\"{}\"", info.label().trim_end()));
            }
            match found[..] {
                [slot] => Ok(slot),
                [] => Err(Error::TokenMissing {
                    wanted: format!("with the label \"{label}\""),
                    there: if labels.is_empty() { "no initialised token".into() } else { labels.join(", ") },
                }),
                _ => Err(Error::TokenAmbiguous { label: label.clone(), count: found.len() }),
            }
        }
    }
}
