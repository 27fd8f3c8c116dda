//! Enters: the text of `signing-agent.toml`, as an operator wrote it.
//! Leaves: a [`Config`] in which everything has been checked that can be checked without the token or the network.
//! Never: a secret (a PIN file is named here and read only when it is asked for), nor a guess at what a typing error meant.

mod api;
mod backend;
mod callback;
mod check;
pub mod command_line;
pub mod guard;
pub mod logging;
mod people;
mod raw;
pub mod seams;
mod sections;
pub mod strict;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use backend::{Backend, Pin, backend_feed_url};
pub use check::is_loopback;
pub use sections::{
    Api, ApiClient, Audit, Auth, Callback, Curve, Hsm, Jail, Ledger, Level, Log, LogFormat, People, Person, PolicyFile,
    Profile, Sealing, State, Telemetry, Tls, Token,
};

/// Where the file is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/signing-agent/signing-agent.toml";

/// A configuration is a page; what is larger is something else.
const LARGEST_FILE: u64 = 1 << 20;

/// All that an operator can say. Paths are absolute if the file's own path was: relative ones in the file count from
/// the file's directory.
#[derive(Debug, Clone)]
pub struct Config {
    pub backend: Backend,
    pub api: Api,
    pub hsm: Hsm,
    pub sealing: Sealing,
    pub people: People,
    pub policy: PolicyFile,
    /// `None`: nobody is asked.
    pub callback: Option<Callback>,
    pub state: State,
    pub ledger: Ledger,
    pub audit: Audit,
    pub jail: Jail,
    pub log: Log,
    pub telemetry: Telemetry,
}

impl Config {
    /// Reads a configuration from its text; `base` is the directory that relative paths count from.
    pub fn parse(text: &str, base: &Path) -> Result<Config, strict::Error> {
        raw::read(text, base)
    }
}

/// Reads and checks the file. Its errors begin `PATH:LINE:COLUMN:`, with the path as it was given.
pub fn load(path: &Path) -> Result<Config, Error> {
    let text = read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let base = path.parent().unwrap_or(Path::new(""));
    Config::parse(&text, base).map_err(|fault| Error::Refused { path: path.to_owned(), fault })
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(std::io::Error::other("larger than 1 MiB: this is not a configuration"));
    }
    Ok(text)
}

/// What is wrong, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{}: cannot read the configuration: {source}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{fault}", .path.display())]
    Refused { path: PathBuf, fault: strict::Error },
    #[error("{}: cannot read [backend] pin_file: {source}", .path.display())]
    PinRead { path: PathBuf, source: std::io::Error },
    #[error("{}: [backend] pin_file must be a regular file that its owner alone can read: chmod 600 it (its mode is {mode:o})", .path.display())]
    PinMode { path: PathBuf, mode: u32 },
    #[error("{}: [backend] pin_file must hold one number from 0 to 9999 and nothing else", .path.display())]
    PinContent { path: PathBuf },
    #[error(transparent)]
    Guard(#[from] guard::Fault),
}

#[cfg(test)]
mod documented {
    use super::*;

    #[test]
    fn the_documented_file_says_every_default_as_it_is() {
        let documented = Config::parse(include_str!("../../../docs/signing-agent.toml"), Path::new("/etc")).unwrap();
        let least = "[backend]\nurl = \"https://play-api.qredo.network/api/v1/p\"\n";
        let least = Config::parse(least, Path::new("/etc")).unwrap();
        assert_eq!(format!("{documented:?}"), format!("{least:?}"));
    }
}
