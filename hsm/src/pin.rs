//! The user PIN: read for each login, wiped after it, and after a refusal not tried again until the operator says so.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use age::secrecy::{ExposeSecret as _, SecretBox};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::call::{Call, PinVerdict};
use crate::config::PinSource;
use crate::error::Error;

/// PKCS#11 sets no limit; a PIN longer than this is a wrong file.
const MAX_PIN: usize = 255;

/// The shortest PIN that a token is given.
const LEAST_NEW: usize = 4;

/// So many logins in a row may end without a word on the PIN before none is tried any more. Each may have been counted
/// as a wrong PIN, and cards that lock at the third are common: one try is left to the operator.
const DOUBTS: u8 = 2;

/// The operator says that the PIN may be tried again: removes the marker, and the count of doubtful logins beside it.
/// None there is fine.
///
/// # Errors
/// [`Error::Marker`] if it cannot be removed.
pub fn clear_refused_pin(marker: &Path) -> Result<(), Error> {
    // The marker last: it holds until everything else is gone.
    for path in [try_path(marker), marker.into()] {
        match fs::remove_file(&path).and_then(|()| sync_parent(&path)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::Marker { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// Stands before every login.
pub(crate) struct PinGate {
    source: PinSource,
    marker: PathBuf,
    /// Set where even the marker could not be put in its place. Held during a login, so that "try again" does not
    /// change the files under it.
    refused: Mutex<bool>,
}

impl PinGate {
    pub(crate) fn new(source: PinSource, marker: PathBuf) -> Self {
        Self { source, marker, refused: Mutex::new(false) }
    }

    /// Fails if the PIN was refused before, in this process or an earlier one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.doubts(&mut self.refused()).map(drop)
    }

    /// As [`clear_refused_pin`], and this process forgets the refusal too.
    pub(crate) fn try_again(&self) -> Result<(), Error> {
        let mut refused = self.refused();
        clear_refused_pin(&self.marker)?;
        *refused = false;
        Ok(())
    }

    /// The token itself says that the PIN is locked, before any try.
    pub(crate) fn locked(&self) -> Error {
        let call = Call { function: cryptoki::context::Function::Login, code: RvError::PinLocked };
        self.refuse(&mut self.refused(), call)
    }

    /// One login, or none.
    pub(crate) fn login(&self, session: &Session) -> Result<(), Error> {
        self.login_by(|pin| session.login_with_raw(UserType::User, pin))
    }

    /// Gives the token another PIN; the source still has the old one.
    pub(crate) fn change(&self, session: &Session, new: &str) -> Result<(), Error> {
        let plain = |c: char| !c.is_control();
        if !(LEAST_NEW..=MAX_PIN).contains(&new.len()) || !new.chars().all(plain) {
            return Err(Error::NewPin { least: LEAST_NEW, most: MAX_PIN });
        }
        let (new, mut unsuited) = (AuthPin::from(new), false);
        self.login_by(|old| {
            let text = std::str::from_utf8(old.expose_secret()).map_err(|_| Pkcs11Error::InvalidValue)?;
            match session.set_pin(&AuthPin::from(text), &new) {
                // That says nothing against the old one.
                Err(Pkcs11Error::Pkcs11(RvError::PinLenRange | RvError::PinInvalid, _)) => {
                    unsuited = true;
                    Ok(())
                }
                answer => answer,
            }
        })?;
        if unsuited { Err(Error::NewPin { least: LEAST_NEW, most: MAX_PIN }) } else { Ok(()) }
    }

    /// The marker's file is made before the PIN is tried, so that a full or read-only disk cannot make us forget a
    /// refusal; afterwards it is renamed into place or removed. It counts the login meanwhile: if the process dies
    /// before it has noted the answer, the count is what the next one finds.
    fn login_by(&self, login: impl FnOnce(&SecretBox<Vec<u8>>) -> Result<(), Pkcs11Error>) -> Result<(), Error> {
        let mut refused = self.refused();
        let before = self.doubts(&mut refused)?;
        let pin = read(&self.source)?;
        self.count(before + 1).map_err(|source| Error::Marker { path: self.marker.clone(), source })?;
        let answer = login(&pin);
        drop(pin);
        match answer {
            Ok(()) => {
                self.settle(0);
                Ok(())
            }
            Err(Pkcs11Error::Pkcs11(code, function)) => {
                let call = Call { function, code };
                match call.pin_verdict() {
                    PinVerdict::NotJudged => {
                        self.settle(before);
                        // Someone in this process logged in already: the PIN is not needed.
                        if matches!(code, RvError::UserAlreadyLoggedIn) { Ok(()) } else { Err(Error::from_code(call)) }
                    }
                    PinVerdict::Unknown if before + 1 < DOUBTS => Err(Error::Pkcs11 { call }),
                    PinVerdict::Unknown | PinVerdict::Refused => Err(self.refuse(&mut refused, call)),
                }
            }
            // C_Login was not called.
            Err(other) => {
                self.settle(before);
                Err(Error::from_cryptoki(other))
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, bool> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many logins of unknown fate there were since the last good one; an error if the gate is closed.
    fn doubts(&self, refused: &mut bool) -> Result<u8, Error> {
        let trouble = |source| Error::Marker { path: self.marker.clone(), source };
        let seen = match fs::symlink_metadata(&self.marker) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(trouble(source)),
        };
        if seen || *refused {
            return Err(Error::PinRefusedBefore { marker: self.marker.clone() });
        }
        let doubts = match fs::read(self.try_path()) {
            Ok(content) => match content[..] {
                [digit @ b'0'..=b'9', ..] => digit - b'0',
                // The beginning of a note that was not put in its place.
                [b'C', b'_', ..] => DOUBTS,
                _ => 1,
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(trouble(source)),
        };
        if doubts >= DOUBTS {
            self.keep(refused, "C_Login: its answer could not be noted");
            return Err(Error::PinRefusedBefore { marker: self.marker.clone() });
        }
        Ok(doubts)
    }

    fn refuse(&self, refused: &mut bool, call: Call) -> Error {
        self.keep(refused, &call.to_string());
        match (call.code, call.pin_verdict()) {
            (RvError::PinIncorrect, _) => Error::PinIncorrect { call },
            (RvError::PinLocked, _) => Error::PinLocked { call },
            (_, PinVerdict::Refused) => Error::PinUnusable { call, why: "the token does not take a PIN like this" },
            _ => Error::PinUnusable {
                call,
                why: "again the token did not say whether it took the PIN; it may have refused it, and counted each try",
            },
        }
    }

    /// Puts the marker in its place.
    fn keep(&self, refused: &mut bool, answer: &str) {
        let kept = self.write_try(&note(answer)).and_then(|()| {
            fs::rename(self.try_path(), &self.marker)?;
            sync_parent(&self.marker)
        });
        if let Err(error) = kept {
            *refused = true;
            tracing::error!(marker = %self.marker.display(), %error, "the refusal of the PIN could not be recorded");
        }
    }

    /// On the disk already, with room for the note.
    fn count(&self, doubts: u8) -> io::Result<()> {
        self.write_try(&format!("{doubts:<512}"))?;
        sync_parent(&self.marker)
    }

    fn settle(&self, doubts: u8) {
        let removed = if doubts == 0 { fs::remove_file(self.try_path()) } else { self.count(doubts) };
        // Where it cannot be removed it must at least not count against the next login.
        if let Err(error) = removed.or_else(|_| self.count(doubts)) {
            tracing::warn!(%error, "the count of logins could not be put right");
        }
    }

    /// Over what is there: a file that was emptied first might lose its count.
    fn write_try(&self, content: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.try_path())?;
        file.write_all(content.as_bytes())?;
        file.set_len(content.len() as u64)?;
        file.sync_all()
    }

    fn try_path(&self) -> PathBuf {
        try_path(&self.marker)
    }
}

fn try_path(marker: &Path) -> PathBuf {
    let mut path = OsString::from(marker);
    path.push(".try");
    path.into()
}

fn note(answer: &str) -> String {
    format!(
        "{answer}\n\nThe token did not take the PIN, or did not say whether it did and may have counted the try. So that the\n\
         PIN is not locked by trying, no login is tried while this file is here. Look at the token, correct the PIN\n\
         file or credential if it is wrong, then type\n\n    signing-agent init --try-pin-again\n"
    )
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Reads, checks and trims. The buffers wipe themselves.
fn read(source: &PinSource) -> Result<SecretBox<Vec<u8>>, Error> {
    let (path, name) = locate(source)?;
    let refuse = |why: String| Error::PinSource { source_name: name.clone(), why };
    let io = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            refuse("it is not there; write the token's user PIN into it and make it mode 0600".into())
        }
        _ => refuse(format!("{e}")),
    };
    // Before it is opened, for a FIFO would block; and after, for the path may have changed.
    let regular = || refuse("it is not a regular file".into());
    if !fs::metadata(&path).map_err(io)?.is_file() {
        return Err(regular());
    }
    let mut file = File::open(&path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(regular());
    }
    // systemd gives the unit's user access to a credential by an ACL, which shows as the group's read bit.
    let forbidden = if matches!(source, PinSource::Credential(_)) { 0o037 } else { 0o077 };
    let mode = meta.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(refuse(format!("others may use it (mode {mode:04o}); type `chmod 600 {}`", path.display())));
    }

    let mut buffer = Zeroizing::new([0; MAX_PIN + 3]);
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..]).map_err(io)? {
            0 => break,
            n => length += n,
        }
    }
    let mut pin = &buffer[..length];
    pin = pin.strip_suffix(b"\n").unwrap_or(pin);
    pin = pin.strip_suffix(b"\r").unwrap_or(pin);
    if pin.is_empty() {
        return Err(refuse("it is empty; write the token's user PIN into it".into()));
    }
    if pin.len() > MAX_PIN {
        return Err(refuse(format!("it is longer than {MAX_PIN} bytes, so it is not a PIN")));
    }
    Ok(SecretBox::new(Box::new(pin.to_vec())))
}

fn locate(source: &PinSource) -> Result<(PathBuf, String), Error> {
    match source {
        PinSource::File(path) => Ok((path.clone(), path.display().to_string())),
        PinSource::Credential(name) => {
            let shown = format!("the credential \"{name}\"");
            let refuse = |why: &str| Error::PinSource { source_name: shown.clone(), why: why.into() };
            if name.is_empty() || name.starts_with('.') || name.contains('/') {
                return Err(refuse("this is not the name of a credential"));
            }
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                refuse("$CREDENTIALS_DIRECTORY is not set; give `pin_file`, or start the unit with LoadCredential=")
            })?;
            Ok((Path::new(&directory).join(name), shown))
        }
    }
}

#[cfg(test)]
#[path = "pin_tests.rs"]
mod tests;
