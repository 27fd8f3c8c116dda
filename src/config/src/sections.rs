//! The sections but `[backend]`, as the rooms see them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc::Scopes;
use url::Url;

#[derive(Debug, Clone)]
pub struct Api {
    /// Port 0 lets the system choose. Off loopback only with TLS and somebody to ask for.
    pub listen: SocketAddr,
    pub auth: Auth,
    /// `ws` or `wss`, without query.
    pub public_url: Option<Url>,
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Whose certificates are let in, and for what. Names once, certificates once.
    pub clients: Vec<ApiClient>,
    /// Web pages that may call, as browsers write them in `Origin`; none by default.
    pub cors_origins: Vec<String>,
}

/// PEM files; read again on SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain, the leaf first.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// `None`: no client certificate is asked for.
    pub client_ca_file: Option<PathBuf>,
    pub client_crl_file: Option<PathBuf>,
}

impl Tls {
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let some = [&self.client_ca_file, &self.client_crl_file].into_iter().flatten();
        [&self.cert_file, &self.key_file].into_iter().chain(some).map(PathBuf::as_path)
    }
}

/// A certificate that is let in: all of `subject` and `san` that is given must be the certificate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// 1 to 64 of `a-z0-9._-`.
    pub name: String,
    /// RFC 4514, as `openssl x509 -noout -subject -nameopt RFC2253` writes it.
    pub subject: Option<String>,
    /// A DNS name, a URI, an e-mail address or an IP address among the certificate's.
    pub san: Option<String>,
    pub scopes: Scopes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Everybody who reaches the port may ask; the port is on loopback.
    None,
    /// A bearer token's scopes say what it may.
    Token,
    /// A client certificate's.
    Mtls,
    /// Those of the token where there is one, else those of the certificate.
    Either,
    /// There must be both, and both must be good for it.
    Both,
}

impl Auth {
    pub fn as_str(self) -> &'static str {
        match self {
            Auth::None => "none",
            Auth::Token => "token",
            Auth::Mtls => "mtls",
            Auth::Either => "either",
            Auth::Both => "both",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Auth> {
        [Auth::None, Auth::Token, Auth::Mtls, Auth::Either, Auth::Both].into_iter().find(|auth| auth.as_str() == name)
    }

    pub fn takes_certificates(self) -> bool {
        matches!(self, Auth::Mtls | Auth::Either | Auth::Both)
    }
}

impl Api {
    /// The agent's own feed URL, which registration answers with: below `public_url`, else below `bound`, the address
    /// that the socket really has (`listen` may say port 0).
    pub fn feed_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let base =
            self.public_url.as_ref().map_or_else(|| format!("{scheme}://{bound}"), |url| url.as_str().to_owned());
        format!("{}/api/v1/client/feed", base.trim_end_matches('/'))
    }
}

#[derive(Debug, Clone)]
pub struct Hsm {
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    pub token: Token,
    pub profile: Profile,
    /// `None`: the systemd credential `token-pin`.
    pub pin_file: Option<PathBuf>,
    /// Directories that the module writes in, besides those that SoftHSM's own configuration names.
    pub writable: Vec<PathBuf>,
    pub identity_curve: Curve,
    /// A call into the module that takes longer has hung: the vault ends itself.
    pub call_deadline: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// At most 32 bytes (PKCS#11 CK_TOKEN_INFO.label).
    Label(String),
    /// For modules whose labels cannot be read.
    Slot(u64),
}

/// The seccomp profile that the vault gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// The module works with files.
    Local,
    /// The module speaks over a network or to a service of this machine.
    NetworkHsm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    Secp256k1,
}

#[derive(Debug, Clone, Default)]
pub struct Sealing {
    /// age recipients, each once. Only their form was looked at.
    pub recovery_recipients: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Whose signed statements may release what a rule holds for them. Names once, keys once.
    pub approvers: Vec<Person>,
    /// Who signs policies.
    pub policy_signers: Vec<Person>,
    /// How many of them a policy needs; 0: it needs no signature.
    pub policy_signatures: u64,
    /// Who signs what gives power to somebody: tokens, releases, recovery and the like.
    pub change_signers: Vec<Person>,
    /// How many of them that needs; 0: the operator alone does it. Never more than 0 with `policy_signatures` 0, for a policy
    /// is a change too.
    pub change_signatures: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// 1 to 64 of `a-z0-9._-`.
    pub name: String,
    /// `TYPE BASE64` of an OpenSSH public key. Only its form was looked at.
    pub key: String,
}

#[derive(Debug, Clone, Default)]
pub struct PolicyFile {
    /// `None`: everything is held.
    pub file: Option<PathBuf>,
    /// Judged beside it, and nothing more.
    pub shadow: Option<PathBuf>,
}

/// Who is asked before an approval counts.
#[derive(Debug, Clone)]
pub struct Callback {
    /// `https`, or `http` to a loopback host; no user, query or fragment.
    pub url: Url,
    /// A PEM `PUBLIC KEY` of P-256: whose answers are believed.
    pub public_key_file: PathBuf,
    /// A PEM file; where it is given, no other CA is trusted.
    pub ca_file: Option<PathBuf>,
    /// How long one question may take.
    pub timeout: Duration,
    /// How many times more it is asked after a RETRY or a lost connection,
    pub retries: u32,
    /// and how long that waits.
    pub retry_wait: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct Ledger {
    /// Whether the token remembers how far the ledger is.
    pub token_memory: bool,
}

#[derive(Debug, Clone)]
pub struct Audit {
    /// A checkpoint is made when so many records are without one,
    pub checkpoint_records: u64,
    /// or when the oldest of them is so old.
    pub checkpoint_interval: Duration,
    /// Checkpoints are written here too.
    pub witness_dir: Option<PathBuf>,
    /// C2SP tlog-witness submission prefixes, at most 16.
    pub witnesses: Vec<Url>,
}

/// What outlives a restart, and where.
#[derive(Debug, Clone)]
pub struct State {
    pub dir: PathBuf,
}

impl State {
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.sqlite")
    }

    /// The BLS key, an age file.
    pub fn bls_sealed(&self) -> PathBuf {
        self.dir.join("bls.age")
    }

    /// The M-Pin token, an age file.
    pub fn mpin_sealed(&self) -> PathBuf {
        self.dir.join("mpin.age")
    }

    /// The RSA key for the Partner API, an age file; from `partner-key new` until the agent is registered.
    pub fn partner_key_sealed(&self) -> PathBuf {
        self.dir.join("partner.age")
    }

    pub fn deed(&self) -> PathBuf {
        self.dir.join("deed.jws")
    }

    /// The ledger's copy in a backup that is being made.
    pub fn backup_ledger(&self) -> PathBuf {
        self.dir.join("backup.sqlite")
    }

    /// A backup that is ready to be fetched, an age file.
    pub fn backup(&self) -> PathBuf {
        self.dir.join("backup.age")
    }

    /// A backup that was brought to be restored; while it is there, what lies beside it without a deed is an interrupted restore's.
    pub fn restore(&self) -> PathBuf {
        self.dir.join("restore.age")
    }

    /// The ledger that was in it.
    pub fn restore_ledger(&self) -> PathBuf {
        self.dir.join("restore.sqlite")
    }

    /// Exists while the token has refused the PIN and no operator has said to try again.
    pub fn refused_pin_marker(&self) -> PathBuf {
        self.dir.join("pin-refused")
    }

    /// Exists while somebody wants it frozen, and no ledger could be told.
    pub fn freeze_wish(&self) -> PathBuf {
        self.dir.join("freeze-wanted")
    }

    pub fn lanes_dir(&self) -> PathBuf {
        self.dir.join("lanes")
    }

    pub fn lane_api(&self) -> PathBuf {
        self.lane("api.sock")
    }

    pub fn lane_courier(&self) -> PathBuf {
        self.lane("courier.sock")
    }

    pub fn lane_admin(&self) -> PathBuf {
        self.lane("admin.sock")
    }

    fn lane(&self, name: impl AsRef<Path>) -> PathBuf {
        self.lanes_dir().join(name)
    }
}

/// Where traces go.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// An OTLP/HTTP collector's traces, whole (`https`, or `http` to a loopback host); `None`: there are none.
    pub traces_url: Option<Url>,
    /// A PEM file; where it is given, no other CA is trusted.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Jail {
    /// Whether a room starts where the kernel has Landlock not or in part.
    pub landlock_required: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Log {
    pub format: LogFormat,
    pub level: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
    /// systemd's, by its own protocol.
    Journal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}
