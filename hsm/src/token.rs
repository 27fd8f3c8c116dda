//! The token as the rest of the house sees it: operations that log in again by themselves where the token was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::Session;
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::{Config, Curve, Generations, Role};
use crate::ecdh;
use crate::error::Error;
use crate::keys::{self, Keys, PublicKeys};
use crate::link::Link;
use crate::memory::Memory;
use crate::pin::PinGate;

/// What is signed to see whether a key is there.
const TRIAL: &[u8; 32] = b"signing-agent: is the key there?";

/// An open token. A process has one for each module, for C_Initialize and C_Finalize are the process's; share it.
pub struct Token {
    config: Config,
    gate: PinGate,
    library: Pkcs11,
    life: RwLock<Life>,
    /// Set once the keys have been seen: another token with the same label is not taken for this one.
    known: Mutex<Option<PublicKeys>>,
    /// Memories that may have been written: the module did not say. Held during a write, one at a time.
    unsure_memory: Mutex<Vec<Memory>>,
}

/// Workers hold it for reading during an operation; who logs in again holds it for writing, so that no session of an
/// earlier life is left when the next begins.
struct Life {
    number: u64,
    /// Why there is no link, where there is none.
    link: Result<Link, String>,
}

impl Token {
    /// Finds the token and logs in. It needs no keys yet.
    ///
    /// # Errors
    /// Token and PIN errors, each with what to do.
    pub fn open(config: Config) -> Result<Self, Error> {
        let library = config.module.0.clone();
        let gate = PinGate::new(config.pin.clone(), config.refused_pin_marker.clone());
        let call = config.watch.begin();
        let link = Link::new(&library, &config, &gate)?;
        drop(call);
        Ok(Self {
            config,
            gate,
            library,
            life: RwLock::new(Life { number: 0, link: Ok(link) }),
            known: Mutex::default(),
            unsure_memory: Mutex::default(),
        })
    }

    /// The three keys, made where they are missing, and tried: two signatures and a key agreement must verify.
    /// Repeating it changes nothing.
    ///
    /// # Errors
    /// Two keys of one role, a key of another type, a mechanism that is not offered, a token that may not be written to.
    pub fn ensure_keys(&self) -> Result<PublicKeys, Error> {
        // Keys that this process has seen are never made again.
        if self.known().is_none() {
            for (role, curve) in
                [(Role::Identity, self.config.identity_curve), (Role::Audit, Curve::P256), (Role::Sealing, Curve::P256)]
            {
                let which = (role, self.config.generations.of(role));
                self.with_writing_session(|session| keys::ensure(session, which, curve))?;
            }
        }
        self.tried(self.config.generations)
    }

    /// The next key of this role, made where it is missing and tried: all three public keys as they are with it. It is used once this
    /// token is opened with these generations.
    ///
    /// # Errors
    /// As [`Token::ensure_keys`], and [`Error::GenerationsUsedUp`].
    pub fn ensure_next(&self, role: Role) -> Result<PublicKeys, Error> {
        let next = self.config.generations.next(role)?;
        self.with_writing_session(|session| keys::ensure(session, (role, next.of(role)), Curve::P256))?;
        self.tried(next)
    }

    /// Destroys the keys of this role that were used before the one that is in use; how many objects those were.
    ///
    /// # Errors
    /// What the token says.
    pub fn destroy_former(&self, role: Role) -> Result<usize, Error> {
        let former = 1..self.config.generations.of(role);
        former.map(|generation| self.with_writing_session(|session| keys::destroy(session, (role, generation)))).sum()
    }

    /// Gives the token another user PIN, 4 to 255 octets, in the place of the one that its source has. The source is the caller's to
    /// change next: until it is, the next login is refused.
    ///
    /// # Errors
    /// [`Error::NewPin`]; or as a login.
    pub fn change_pin(&self, new: &str) -> Result<(), Error> {
        self.with_writing_session(|session| self.gate.change(session, new))
    }

    fn tried(&self, generations: Generations) -> Result<PublicKeys, Error> {
        let public = self.public_keys_of(generations)?;
        for role in [Role::Identity, Role::Audit] {
            self.sign_as(generations, role, TRIAL)?;
        }
        self.try_sealing_key(generations)?;
        Ok(public)
    }

    /// # Errors
    /// [`Error::KeyMissing`] before `signing-agent init`.
    pub fn public_keys(&self) -> Result<PublicKeys, Error> {
        self.public_keys_of(self.config.generations)
    }

    pub(crate) fn public_keys_of(&self, generations: Generations) -> Result<PublicKeys, Error> {
        self.with_keys(generations, |_, keys| Ok(keys.public()))
    }

    /// ECDSA over a SHA-256 digest with the identity or the audit key: r ‖ s, 32 bytes each, low-S, verified.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the signature does not verify; the sealing key does not sign.
    pub fn sign(&self, role: Role, digest: &[u8; 32]) -> Result<[u8; 64], Error> {
        self.sign_as(self.config.generations, role, digest)
    }

    /// The same with the keys of these generations.
    ///
    /// # Errors
    /// As [`Token::sign`].
    pub fn sign_as(&self, generations: Generations, role: Role, digest: &[u8; 32]) -> Result<[u8; 64], Error> {
        if role == Role::Sealing {
            return Err(Error::Malformed("the sealing key does not sign".into()));
        }
        // Raw CKM_ECDSA: not every module has CKM_ECDSA_SHA256.
        self.with_keys(generations, |session, keys| {
            let key = keys.of(role);
            let signature = session.sign(&Mechanism::Ecdsa, key.private, digest).map_err(Error::from_cryptoki)?;
            key.curve.low_s_verified(&key.public, digest, &signature).ok_or(Error::Mismatch { role })
        })
    }

    /// The x coordinate of `point` times the sealing key, 32 bytes. `point` is `04 ‖ x ‖ y` on P-256.
    ///
    /// # Errors
    /// [`Error::Point`], before the token sees it, if the point is not on the curve.
    pub fn ecdh(&self, point: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.ecdh_as(self.config.generations, point)
    }

    pub(crate) fn ecdh_as(&self, generations: Generations, point: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, Error> {
        if !Curve::P256.has(point) {
            return Err(Error::Point);
        }
        self.with_keys(generations, |session, keys| ecdh::derive(session, &keys.sealing, point))
    }

    /// Fills `out`, 16 bytes or more, from the token's generator.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if it is all zeros.
    pub fn random(&self, out: &mut [u8]) -> Result<(), Error> {
        out.zeroize();
        let length = out.len();
        let fresh = self.with_session(|session| {
            let mut bytes = Zeroizing::new(vec![0; length]);
            session.generate_random_slice(&mut bytes).map_err(Error::from_cryptoki)?;
            Ok(bytes)
        })?;
        if fresh.iter().all(|byte| *byte == 0) {
            return Err(Error::NoRandomness);
        }
        out.copy_from_slice(&fresh);
        Ok(())
    }

    /// The sealing key as an age recipient, `age1tag1…`.
    ///
    /// # Errors
    /// As [`Token::public_keys`].
    pub fn recipient(&self) -> Result<String, Error> {
        self.public_keys()?.recipient()
    }

    /// Is the token alive? A signature with the audit key; session and token information prove nothing (SoftHSM gives
    /// both after its token directory has gone).
    ///
    /// # Errors
    /// What the signature failed with, after a new login was tried.
    pub fn check(&self) -> Result<(), Error> {
        self.try_key(Role::Audit)
    }

    /// The operator says that the PIN was corrected: forgets its refusal, in the file and in this process. The login
    /// itself comes with the next use, e.g. [`Token::check`].
    ///
    /// # Errors
    /// [`Error::Marker`] if the marker cannot be removed; then the refusal stands.
    pub fn try_pin_again(&self) -> Result<(), Error> {
        self.gate.try_again()
    }

    /// As [`crate::Watch::longest`] of the configuration's watch.
    #[must_use]
    pub fn longest_call(&self) -> Option<Duration> {
        self.config.watch.longest()
    }

    /// Those that it was opened with.
    #[must_use]
    pub fn generations(&self) -> Generations {
        self.config.generations
    }

    pub(crate) fn identity_curve(&self) -> Curve {
        self.config.identity_curve
    }

    pub(crate) fn unsure_memory(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.unsure_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_key(&self, role: Role) -> Result<(), Error> {
        self.sign(role, TRIAL).map(drop)
    }

    fn try_sealing_key(&self, generations: Generations) -> Result<(), Error> {
        let (point, expected) = ecdh::ephemeral(&self.public_keys_of(generations)?.sealing).ok_or(Error::Point)?;
        if *self.ecdh_as(generations, &point)? == *expected {
            Ok(())
        } else {
            Err(Error::Mismatch { role: Role::Sealing })
        }
    }

    /// Does the token stand by what it made of this point, and compute rightly otherwise?
    pub(crate) fn try_agreement(
        &self,
        generations: Generations,
        point: &[u8; 65],
        made: &[u8; 32],
    ) -> Result<(), Error> {
        if *self.ecdh_as(generations, point)? != *made {
            return Err(Error::Mismatch { role: Role::Sealing });
        }
        self.try_sealing_key(generations)
    }

    fn with_keys<T>(
        &self,
        generations: Generations,
        work: impl Fn(&Session, &Keys) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if generations != self.config.generations {
            // Seldom: they are looked up each time.
            return self
                .with_session(|session| work(session, &Keys::find(session, self.identity_curve(), generations)?));
        }
        self.with_link(|link| {
            link.with_session(|session| match work(session, &*self.keys(link, session)?) {
                Err(error) if error.is_stale_handle() => {
                    link.cache_keys(None);
                    work(session, &*self.keys(link, session)?)
                }
                outcome => outcome,
            })
        })
    }

    /// On a session that may write, made for this.
    pub(crate) fn with_writing_session<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, Error> {
        self.with_link(|link| link.with_writing_session(&work))
    }

    pub(crate) fn with_session<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, Error> {
        self.with_link(|link| link.with_session(&work))
    }

    /// Runs `work`; where the token was lost, once more after a new login.
    fn with_link<T>(&self, work: impl Fn(&Link) -> Result<T, Error>) -> Result<T, Error> {
        let lost = {
            let life = self.life.read().unwrap_or_else(PoisonError::into_inner);
            match &life.link {
                Ok(link) => match work(link) {
                    Err(error) if self.is_loss(&error) => {
                        tracing::warn!(%error, "the token was lost; logging in again");
                        life.number
                    }
                    outcome => return outcome,
                },
                Err(_) => life.number,
            }
        };
        self.begin_anew(lost)?;
        let life = self.life.read().unwrap_or_else(PoisonError::into_inner);
        match &life.link {
            Ok(link) => work(link),
            Err(why) => Err(Error::Unreachable(why.clone())),
        }
    }

    /// Ends the life of this number and begins the next. If another worker has done so already, that one serves.
    fn begin_anew(&self, lost: u64) -> Result<(), Error> {
        let mut life = self.life.write().unwrap_or_else(PoisonError::into_inner);
        if life.number != lost {
            return Ok(());
        }
        life.number += 1;
        // The old one goes first: its sessions, then C_Finalize.
        let ending = self.config.watch.begin();
        life.link = Err("logging in".into());
        drop(ending);
        let _beginning = self.config.watch.begin();
        match Link::new(&self.library, &self.config, &self.gate) {
            Ok(link) => {
                life.link = Ok(link);
                Ok(())
            }
            Err(error) => {
                life.link = Err(error.to_string());
                Err(error)
            }
        }
    }

    /// A key that was there and is not is how SoftHSM says that its token has gone.
    fn is_loss(&self, error: &Error) -> bool {
        error.is_loss() || (matches!(error, Error::KeyMissing { .. }) && self.known().is_some())
    }

    fn keys(&self, link: &Link, session: &Session) -> Result<Arc<Keys>, Error> {
        if let Some(keys) = link.cached_keys() {
            return Ok(keys);
        }
        let keys = Arc::new(Keys::find(session, self.config.identity_curve, self.config.generations)?);
        self.recognise(&keys)?;
        link.cache_keys(Some(Arc::clone(&keys)));
        Ok(keys)
    }

    /// Are they those that this process has seen before, if it has?
    pub(crate) fn recognise(&self, keys: &Keys) -> Result<(), Error> {
        let mut known = self.known();
        if known.is_some_and(|known| known != keys.public()) {
            return Err(Error::KeysChanged);
        }
        *known = Some(keys.public());
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Option<PublicKeys>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
