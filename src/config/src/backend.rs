//! `[backend]`: where the custody backend is. Two of the strings made here are signed over to the byte
//! (the request URL is part of `x-sign`), so they come from one place.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use url::Url;
use zeroize::Zeroizing;

use crate::{Error, check};

#[derive(Debug, Clone)]
pub struct Backend {
    /// `https`, or `http` to a loopback host; no user, query or fragment.
    pub url: Url,
    /// One path segment, `[A-Za-z0-9_-]+`: `client`, or `coreclient` as the service was deployed.
    pub resource: String,
    /// As configured. What `finish` names counts only if this is `None`; see [`Backend::feed`].
    pub feed_url: Option<Url>,
    /// Read it with [`Backend::read_pin`].
    pub pin: Pin,
    /// A PEM file; where it is given, no other CA is trusted.
    pub ca_file: Option<PathBuf>,
}

/// Where the M-Pin PIN is.
#[derive(Clone, PartialEq, Eq)]
pub enum Pin {
    /// 0 to 9999, written in the configuration itself.
    Inline(u16),
    File(PathBuf),
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Inline(_) => f.write_str("Inline(…)"),
            Pin::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Backend {
    /// `{url}/{resource}/{tail}`, with exactly one slash between: the string that is requested and signed over. The URL
    /// is in its normal form (host in lower case, no default port), in which an HTTP client sends it. `tail` is not
    /// escaped: only checked path segments may come here.
    pub fn endpoint(&self, tail: &str) -> String {
        format!("{}/{}/{tail}", self.url.as_str().trim_end_matches('/'), self.resource)
    }

    /// The feed: as configured, else derived from the URL (`http` → `ws`, `https` → `wss`, `/{resource}/feed`).
    pub fn feed(&self) -> String {
        match &self.feed_url {
            Some(url) => url.as_str().to_owned(),
            // `url` begins with "http", which `check::backend_url` saw to.
            None => format!("ws{}", self.endpoint("feed").trim_start_matches("http")),
        }
    }

    /// The M-Pin PIN, 0 to 9999. A PIN file must be regular and closed to group and others; what is in it goes into no
    /// error.
    pub fn read_pin(&self) -> Result<u32, Error> {
        match &self.pin {
            Pin::Inline(pin) => Ok(u32::from(*pin)),
            Pin::File(path) => read_pin_file(path),
        }
    }
}

/// Checks a feed URL that the backend sent as one that an operator wrote would be: `wss`, or `ws` to a loopback host; no
/// user, query or fragment. The error is a sentence for a log.
pub fn backend_feed_url(text: &str) -> Result<Url, String> {
    check::remote_url(text, "wss", "ws")
}

fn read_pin_file(path: &Path) -> Result<u32, Error> {
    let read = |source| Error::PinRead { path: path.to_owned(), source };
    // Asked before opening too: opening a FIFO would wait for ever. Asked after again: the answer is of what is read.
    private(path, &std::fs::metadata(path).map_err(read)?)?;
    let file = File::open(path).map_err(read)?;
    private(path, &file.metadata().map_err(read)?)?;

    // Room for every byte before the first is read: a growing String would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(64));
    file.take(32).read_to_string(&mut text).map_err(read)?;
    let digits = text.trim();
    let pin = (digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten();
    pin.ok_or_else(|| Error::PinContent { path: path.to_owned() })
}

fn private(path: &Path, of: &std::fs::Metadata) -> Result<(), Error> {
    let mode = of.permissions().mode() & 0o7777;
    if of.is_file() && mode & 0o077 == 0 { Ok(()) } else { Err(Error::PinMode { path: path.to_owned(), mode }) }
}
