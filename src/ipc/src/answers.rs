//! What the vault answers.

use crate::access::{AccessFault, TokenInfo};
use crate::actions::{ActionList, ActionPage, ActionStory, KnownAction};
use crate::asks::Verb;
use crate::credentials::CredentialFault;
use crate::metrics::Sample;
use crate::status::{Health, Status};
use crate::types::Secret;
use serde::{Deserialize, Serialize};

/// The longest body of the backend's that an errand brings home, octets.
pub const MAX_REPLY: usize = 1 << 20;
/// The longest text message of the feed that is taken, octets.
pub const MAX_FEED_MESSAGE: usize = 64 << 10;

/// An agent that was taken over, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub agent_id: String,
    pub name: String,
    /// SHA-256 of the BLS public key's 192 octets, hex.
    pub bls_key: String,
    /// The backend believed a pass of this agent's; `false` where it was not asked.
    pub known: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Registered {
        agent_id: String,
    },
    /// In any order.
    Metrics(Vec<Sample>),
    Imported(ImportReport),
    BackupMade(BackupMade),
    BackupPart {
        octets: Vec<u8>,
    },
    Restored(RestoreReport),
    Rotated(RotateReport),
    /// `None` before registration.
    Client {
        agent_id: Option<String>,
    },
    Decided {
        verb: Verb,
    },
    /// What came with it is on record and counts; the action is held until the rest has come, in bounded words.
    Counted {
        have: u32,
        needed: u32,
        words: String,
    },
    Feed(FeedPage),
    Health(Health),
    Errand(Errand),
    Retire,
    /// For the collector: OTLP as JSON, and how many spans it has.
    Traces {
        body: Vec<u8>,
        spans: u64,
    },
    Noted,
    FeedTicket {
        url: String,
        pass: String,
    },
    Status(Box<Status>),
    Initialised(InitReport),
    AuditPage(AuditPage),
    /// The audit log's size that a checkpoint covers now.
    AuditCheckpoint {
        size: u64,
    },
    /// What was accepted, in words for the operator.
    Recovered(String),
    Statement(StatementDraft),
    /// The token's only showing.
    TokenAdded {
        token: Secret,
        info: TokenInfo,
    },
    Tokens(Vec<TokenInfo>),
    PolicyReloaded(Reloaded),
    PolicyPart(PolicyPart),
    /// `None`: it is not known.
    Action(Option<Box<KnownAction>>),
    ActionPage(ActionPage),
    ActionList(ActionList),
    /// `None`: it is not known.
    ActionStory(Option<Box<ActionStory>>),
    /// A JSON text, as `signing-agent policy explain --json` prints it.
    Explained(String),
    /// For so many seconds still; `None` where none is open.
    RegistrationWindow(Option<u64>),
    PartnerKey(PartnerKey),
    ChangeDraft(ChangeDraft),
    Findings(Vec<Finding>),
    Refused(Refusal),
}

/// A piece of the feed's relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedPage {
    /// Oldest first.
    pub items: Vec<FeedItem>,
    /// The sequence number to ask on from.
    pub next: u64,
    /// How many messages were dropped because the asker was too slow.
    pub skipped: u64,
    /// Another number than before: somebody lost what let them in, and whoever is inside must be asked about again.
    pub access: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedItem {
    /// A text message of the backend's, as it came.
    Raw(String),
    /// What became of an action here: a JSON text (docs/api.md).
    Decision(String),
}

/// The RSA key that signs a registration for those who have no partner app. Its private half is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerKey {
    /// PEM `PUBLIC KEY`: what the custody console wants.
    pub public: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
    /// It was made by this ask.
    pub made: bool,
}

/// What a change's approvers are to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDraft {
    /// The octets, with the newline at their end.
    pub text: String,
    /// How many of whom; 0: nobody needs to sign.
    pub needed: u32,
    pub signers: Vec<String>,
    /// What it is about, for those who sign; bounded.
    pub about: Vec<String>,
}

/// What was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name, such as `token-pin`.
    pub check: String,
    pub health: FindingHealth,
    /// What was seen, in bounded words.
    pub words: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FindingHealth {
    Good,
    /// It could not be looked at.
    Unknown,
    /// It will be a trouble.
    Warning,
    Fault,
}

/// A backup that lies ready to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupMade {
    pub octets: u64,
    pub agent_id: Option<String>,
    /// Audit records in it.
    pub records: u64,
    /// The audit key that signed it: who restores it must know it from elsewhere.
    pub key: String,
    /// To whom it is sealed (age recipients).
    pub recipients: Vec<String>,
}

/// What was made of a key's rotation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RotateReport {
    /// The key in use from now on: an age recipient, or a vkey.
    pub key: String,
    /// The one before it, which is in the token still; `None` where former ones were destroyed.
    pub former: Option<String>,
    /// Objects of former keys that were destroyed.
    pub destroyed: u32,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestoreReport {
    pub agent_id: Option<String>,
    pub name: Option<String>,
    /// When the backup was made, Unix seconds.
    pub made: u64,
    /// Audit records in it.
    pub records: u64,
    /// The audit key that signs from now on; that of before where the token is the same.
    pub key: String,
    /// What more was remembered than is in it, where that was accepted.
    pub rollback: Option<String>,
}

/// A piece of the audit log's export: records and checkpoints as JSON lines, in their order (docs/audit-log.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Without their line ends.
    pub lines: Vec<String>,
    /// The record to ask on from; `None` where there are no more.
    pub next: Option<u64>,
    /// The key that signs the checkpoints (C2SP signed-note's vkey).
    pub key: String,
}

/// What an approver may sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatementDraft {
    /// The octets, with the newline at their end.
    pub text: String,
    /// What the action's messages say, each; bounded.
    pub facts: Vec<String>,
    /// Why it is held and what releases it, in bounded words.
    pub words: String,
}

/// What the vault wants done outside: one HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    pub id: u64,
    pub place: Place,
    pub method: Method,
    /// What follows `{base}/{resource}/` (protocol.md §1), such as `init` or `action/w1`; empty for other places.
    pub tail: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Vec<u8>,
    pub timeout_ms: u64,
}

/// Where an errand goes. The courier finds the URL in its own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    Backend,
    /// The witness of this number in `[audit] witnesses`, from 0.
    Witness(u16),
    /// Who is asked for a second opinion: `[callback] url`.
    Callback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    pub source: String,
    /// SHA-256, hex; of the policy before and of this one.
    pub was: String,
    pub hash: String,
    pub serial: Option<u64>,
    /// Of the shadow too: what is wrong with it does not stop a reload.
    pub warnings: Vec<String>,
}

/// A piece of the text of the policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyPart {
    /// SHA-256 of the whole, hex: a policy that is replaced between two parts shows in it.
    pub hash: String,
    /// What it calls itself.
    pub serial: Option<u64>,
    /// When its file was read, Unix seconds.
    pub loaded: Option<u64>,
    pub source: String,
    /// Octets of the whole.
    pub total: u64,
    pub octets: Vec<u8>,
}

/// What `signing-agent init` did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InitReport {
    /// What was made now; empty where all was there.
    pub made: Vec<String>,
    /// What was there already.
    pub kept: Vec<String>,
    /// Public key fingerprints, as in [`Status`].
    pub fingerprints: Vec<(String, String)>,
    /// The token's age recipient, `age1tag1…`.
    pub recipient: String,
    pub warnings: Vec<String>,
}

/// Why an ask was not granted: a small, stable code. Causes go to the vault's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The vault cannot work; bounded words for the operator.
    NotReady(String),
    AlreadyRegistered,
    NotRegistered,
    /// A registration is under way.
    RegistrationBusy,
    PrivateKey(KeyFault),
    /// The backend knows no such action.
    UnknownAction,
    /// The backend's action has no messages.
    NoMessages,
    /// Policy denies it, and nobody may release it; bounded words.
    Denied(String),
    /// A velocity window has no room for it now; it stays held. Bounded words that name the window.
    Window(String),
    /// Whoever is to be asked before an approval counts gave no answer that counts; bounded words. It is held.
    NoSecondOpinion(String),
    /// What was asked about cannot be explained; bounded words.
    Unexplained(String),
    /// The caller is not let in, or not for this.
    Access(AccessFault),
    /// So many signed statements of these people must come with it; bounded words.
    NeedsSigners(String),
    /// A bearer token with scope decide must come with it.
    NeedsToken,
    /// Signed statements of people must come with it; of whom, in bounded words.
    NeedsApprovers(String),
    /// Something that it came with is not good; whose it is, where that is known.
    Credential {
        fault: CredentialFault,
        who: Option<String>,
    },
    /// The action came to another end, or is on its way to one.
    Contradiction(ActionEnd),
    /// The backend answered with this status and these bounded words.
    Backend {
        status: u16,
        words: String,
    },
    /// The backend could not be reached; bounded words.
    Unreachable(String),
    Timeout,
    /// The backend's answer is not what the protocol says; bounded words.
    Malformed(String),
    /// Too much at once.
    Busy,
    /// The operator's `init` failed; words for the operator.
    Init(String),
    Internal,
}

/// What is wrong with a registration's private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyFault {
    NotBase64,
    NotPem,
    NotRsa,
}

/// How an action ended, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ActionEnd {
    Approved,
    Rejected,
    Expired,
    Failed,
    /// The backend was asked again after a lost answer, and would not say.
    Unknown,
}
