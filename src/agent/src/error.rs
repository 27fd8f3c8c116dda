//! What can go wrong with a command, its exit code, and what programs know it by.

use crate::words;
use ipc::Refusal;
use serde_json::json;
use std::path::PathBuf;

/// Ctrl-C at a prompt, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Every exit code, and what it means. docs/commands.md has the same table.
#[cfg(test)]
pub const EXITS: &[(u8, &str)] = &[
    (0, "done"),
    (1, "failed, refused, or in trouble"),
    (2, "the command line is wrong"),
    (3, "no vault answers"),
    (4, "counted; more people are needed"),
    (ipc::EXIT_CONFIG, "the configuration is at fault"),
    (INTERRUPTED, "Ctrl-C at a prompt"),
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Config(#[from] config::Error),
    /// What is wrong is on stdout or stderr already.
    #[error("see above")]
    Said,
    /// A policy, a file of cases or a value of the command line: words, with `FILE:LINE:COLUMN` where there is a place.
    #[error("{0}")]
    Policy(String),
    #[error("a room refused the configuration; see its message above")]
    RoomConfig,
    #[error("no vault answers (tried {tried}); start it with `signing-agent run` or by systemd")]
    NoVault { tried: String },
    #[error("{}: {cause}; ask as root, as the user that the vault runs as, or as a member of the group signing-agent-admin", .lane.display())]
    Closed { lane: PathBuf, cause: std::io::Error },
    #[error("{}: the vault did not answer: {why}; its log may say why", .lane.display())]
    NoAnswer { lane: PathBuf, why: String },
    #[error("the vault cannot work: see the trouble that it reports")]
    Trouble,
    #[error("the vault refused: {0}")]
    Refused(String),
    #[error("the vault refused: {}", words::refusal(.0))]
    RefusedBy(Refusal),
    #[error("the ledger has no action {0}: neither the feed nor a client has named it yet")]
    NoAction(String),
    #[error(
        "nobody needs to sign this: type it without --draft. (Changes are signed where [people] change_signatures says so, policies by `[people] policy_signatures`)"
    )]
    NothingToSign,
    #[error("{0}")]
    Usage(String),
    #[error("the vault that was started for this {0}; its messages above say why")]
    VaultDied(String),
    #[error("{}: in use by another `signing-agent`; stop that one first, or give this one a [state] dir of its own", .0.display())]
    Taken(PathBuf),
    #[error(
        "{} belongs to another user ({owner}): the agent is a service of this system? Then `systemctl start signing-agent.target` \
         first, and type this again; else type it as that user", .dir.display()
    )]
    Foreign { dir: PathBuf, owner: u32 },
    #[error("{}: a socket's path has at most 107 octets; give [state] dir a shorter one", .0.display())]
    TooLong(PathBuf),
    #[error("{name} is neither beside this program nor in {}; install the rooms together", crate::handover::LIBEXEC)]
    NoRoom { name: String },
    #[error("[api] listen {address}: {cause}; is another program listening there?")]
    Listen { address: std::net::SocketAddr, cause: std::io::Error },
    #[error("{}: {cause}", .path.display())]
    At { path: PathBuf, cause: std::io::Error },
    #[error("cannot {what}: {cause}")]
    System { what: &'static str, cause: std::io::Error },
    #[error("{0}")]
    Jail(#[from] jail::Error),
    #[error("rooms were killed before they had finished; what was in flight goes on at the next start")]
    Hurried,
    #[error("the key: {0}")]
    Key(String),
    #[error("--statement and --signature come in pairs, at most {0} of them; more people come one after another")]
    Pairs(usize),
    /// What counts was said on stdout.
    #[error("it is held until the rest has come")]
    Counted,
    #[error("the export is not good: {0}")]
    BadExport(String),
    #[error("the backup is not good: {0}")]
    BadBackup(String),
    #[error(
        "the token remembers a later state directory than this one, where it was restored from a backup. If that is what you \
         did, `signing-agent recover --accept-rollback` takes it as it is: that is on record, and the agent starts frozen. \
         What was decided since the backup is then only known to the backend"
    )]
    NotAccepted,
    #[error("{0}")]
    Shim(String),
}

impl Error {
    /// 1 failure, 3 nobody answers, 4 more people are needed, 78 (EX_CONFIG) the configuration; 2 is the command line's.
    pub fn code(&self) -> u8 {
        match self {
            Error::Config(_) | Error::RoomConfig => ipc::EXIT_CONFIG,
            Error::NoVault { .. } => 3,
            Error::NotAccepted | Error::Usage(_) | Error::Pairs(_) => 2,
            Error::Counted | Error::RefusedBy(Refusal::NeedsSigners(_)) => 4,
            _ => 1,
        }
    }

    /// For programs: these names stay. docs/commands.md has them.
    pub fn name(&self) -> &'static str {
        match self {
            Error::Config(_) | Error::RoomConfig => "config",
            Error::Said | Error::Policy(_) => "policy",
            Error::NoVault { .. } => "no-vault",
            Error::Closed { .. } => "not-permitted",
            Error::NoAnswer { .. } => "no-answer",
            Error::Trouble => "trouble",
            Error::RefusedBy(refusal) => words::name(refusal),
            Error::Refused(_) => "refused",
            Error::BadBackup(_) => "bad-backup",
            Error::NoAction(_) => "unknown-action",
            Error::NothingToSign => "nothing-to-sign",
            Error::VaultDied(_) => "vault-died",
            Error::Taken(_) => "in-use",
            Error::Foreign { .. } => "other-user",
            Error::NotAccepted | Error::Usage(_) | Error::Pairs(_) => "usage",
            Error::Listen { .. } => "listen",
            Error::Counted => "more-people-needed",
            Error::Key(_) => "key",
            Error::BadExport(_) => "bad-export",
            Error::TooLong(_)
            | Error::NoRoom { .. }
            | Error::At { .. }
            | Error::System { .. }
            | Error::Jail(_)
            | Error::Hurried
            | Error::Shim(_) => "system",
        }
    }

    /// What stands on stderr, if anything does: a line.
    pub fn told(&self, as_json: bool) -> Option<String> {
        match self {
            // It was told already.
            Error::RoomConfig | Error::Said => None,
            _ if as_json => Some(in_json(self.name(), &self.to_string())),
            _ => Some(format!("signing-agent: {self}")),
        }
    }

    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |cause| Error::At { path, cause }
    }

    pub fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |cause| Error::System { what, cause }
    }
}

/// An error as programs read it.
pub fn in_json(name: &str, text: &str) -> String {
    words::escaped(&json!({ "error": { "code": name, "words": text } }).to_string())
}
