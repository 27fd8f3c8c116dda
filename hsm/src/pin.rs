//! The user PIN: read for each login, wiped after it, and after a refusal not tried again until the operator says so.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::SecretBox;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use zeroize::Zeroizing;

use crate::call::Call;
use crate::config::PinSource;
use crate::error::Error;

/// PKCS#11 sets no limit; a PIN longer than this is a wrong file.
const MAX_PIN: usize = 255;

/// The operator says that the PIN may be tried again: removes the marker. None there is fine.
///
/// # Errors
/// [`Error::Marker`] if it cannot be removed.
pub fn clear_refused_pin(marker: &Path) -> Result<(), Error> {
    match fs::remove_file(marker).and_then(|()| sync_parent(marker)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::Marker { path: marker.into(), source: e }),
        _ => Ok(()),
    }
}

/// Stands before every login.
pub(crate) struct PinGate {
    source: PinSource,
    marker: PathBuf,
    /// Set where even the marker could not be put in its place.
    refused: AtomicBool,
}

impl PinGate {
    pub(crate) fn new(source: PinSource, marker: PathBuf) -> Self {
        Self { source, marker, refused: AtomicBool::new(false) }
    }

    /// Fails if the PIN was refused before, in this process or an earlier one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let seen = match fs::symlink_metadata(&self.marker) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(Error::Marker { path: self.marker.clone(), source }),
        };
        if seen || self.refused.load(Ordering::SeqCst) {
            return Err(Error::PinRefusedBefore { marker: self.marker.clone() });
        }
        Ok(())
    }

    /// The token itself says that the PIN is locked, before any try.
    pub(crate) fn locked(&self) -> Error {
        self.refuse(Call { function: cryptoki::context::Function::Login, code: RvError::PinLocked })
    }

    /// One login, or none. The marker's file is made before the PIN is tried, so that a full or read-only disk cannot
    /// make us forget a refusal; afterwards it is renamed into place or removed.
    pub(crate) fn login(&self, session: &Session) -> Result<(), Error> {
        self.check()?;
        let pin = read(&self.source)?;
        self.prepare().map_err(|source| Error::Marker { path: self.marker.clone(), source })?;
        let answer = session.login_with_raw(UserType::User, &pin);
        drop(pin);
        match answer {
            Ok(()) => {}
            // Someone in this process logged in already. The PIN was not looked at, and is not needed.
            Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Pkcs11Error::Pkcs11(
                code @ (RvError::PinIncorrect
                | RvError::PinLocked
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired),
                function,
            )) => return Err(self.refuse(Call { function, code })),
            Err(other) => {
                self.tidy();
                return Err(Error::from_cryptoki(other));
            }
        }
        self.tidy();
        Ok(())
    }

    fn refuse(&self, call: Call) -> Error {
        let kept = self.prepare().and_then(|()| {
            let mut file = OpenOptions::new().write(true).open(self.try_path())?;
            file.write_all(note(call).as_bytes())?;
            file.sync_all()?;
            fs::rename(self.try_path(), &self.marker)?;
            sync_parent(&self.marker)
        });
        if let Err(error) = kept {
            self.refused.store(true, Ordering::SeqCst);
            tracing::error!(marker = %self.marker.display(), %error, "the refusal of the PIN could not be recorded");
        }
        match call.code {
            RvError::PinIncorrect => Error::PinIncorrect { call },
            RvError::PinLocked => Error::PinLocked { call },
            _ => Error::PinUnusable { call },
        }
    }

    /// Room for the note, on the disk already.
    fn prepare(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.try_path())?;
        file.write_all(&[b' '; 512])?;
        file.sync_all()
    }

    fn tidy(&self) {
        if let Err(error) = fs::remove_file(self.try_path()) {
            tracing::debug!(%error, "the prepared note could not be removed");
        }
    }

    fn try_path(&self) -> PathBuf {
        let mut path = OsString::from(&self.marker);
        path.push(".try");
        path.into()
    }
}

fn note(call: Call) -> String {
    format!(
        "{call}\n\nThe token did not take the PIN. So that the PIN is not locked by trying, no login is tried while this\n\
         file is here. Correct the PIN file or credential, then type\n\n    signing-agent init --try-pin-again\n"
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
