//! What may be asked of the vault.

use crate::access::{AccessFault, Caller, Scope, Scopes};
use crate::credentials::{Credentials, SignedStatement};
use crate::metrics::Vitals;
use crate::spans::Span;
use crate::types::{ActionId, ActionState, GoAgent, Registration, Secret};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An ask. Which lane may ask which is the table in the vault's gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    // ---- the api's lane
    /// What a client of the HTTP API wants. Whether it may is the vault's to say: `Refused(Access(…))` where not.
    Call { caller: Caller, call: Call },
    /// The feed's relay after this sequence number, 0 for what comes from now on. Held open until there is some, or until
    /// another `access` number holds than the asker's. → `Feed`
    FeedAfter { sequence: u64, access: u64 },
    /// Whom the api turned away by itself since it told so last. → `Noted`
    TurnedAway(Vec<TurnedAway>),
    /// What the api is at. → `Noted`
    DoorState(DoorState),

    // ---- either door's lane
    /// What the room's process is at. → `Noted`
    Vitals(Vitals),
    /// Where time went; asked only where the configuration has traces. → `Noted`
    Span(Span),

    // ---- the courier's lane
    /// Held open until the vault wants something done outside. → `Errand`, or `Retire`: end yourself
    NextErrand,
    /// What became of an errand. → `Noted`
    ErrandDone { errand: u64, outcome: Outcome },
    /// Where to open the feed, and one pass for it. Held open until the agent is registered. → `FeedTicket`
    FeedTicket,
    /// → `Noted`
    FeedState(FeedState),
    /// A text message of the feed, as it came. → `Noted`, once what it says is on disk
    FeedMessage(String),
    /// Held open until there are spans to be taken to the collector; so many of those before did not get there. → `Traces`
    NextTraces { lost: u64 },

    // ---- the admin lane: read
    /// → `Status`
    Status,
    /// Look at what can be wrong. → `Findings`
    Doctor,
    /// The audit log's lines from this record on. → `AuditPage`
    AuditFrom { record: u64 },
    /// What an approver is to sign about an action, good for so many seconds. → `Statement`
    Statement { action: ActionId, verb: Verb, seconds: u64 },
    /// What is to be signed for a change, good for so many seconds. → `ChangeDraft`
    ChangeDraft { change: Change, seconds: u64 },
    /// → `Tokens`
    Tokens,
    /// The text of the policy in force, from this octet on. → `PolicyPart`
    PolicyText { offset: u64 },
    /// What is known of an action. → `Action`
    Action(ActionId),
    /// The actions that were first seen at or after `since` (Unix seconds), in the order of that; after the one that is
    /// named, where one is. → `ActionPage`
    ActionsSince { since: u64, after: Option<(u64, ActionId)> },
    /// → `ActionList`
    Actions(ActionQuery),
    /// The whole story of an action. → `ActionStory`
    ActionStory(ActionId),
    /// → `RegistrationWindow`
    RegistrationWindow,

    // ---- the admin lane: operate
    /// Approve or reject on the operator's word and what it came with. An approval that comes with nothing is a change:
    /// `Change::Release`. → `Decided`, or `Counted`
    Decide { action: ActionId, verb: Verb, credentials: Credentials },
    /// Make what is missing of the token's keys, the deed and the state directory; `amend` is a change. → `Initialised`
    Init(InitOptions),
    /// Make a checkpoint of the audit log as it is now. → `AuditCheckpoint`
    AuditCheckpoint,
    /// Stop all signing, at once; it outlives restarts. → `Noted`
    Freeze,
    /// → `Noted`
    TokenRevoke { name: String },
    /// Register this agent. Without a private key the sealed partner key signs. → `Registered`
    Register { name: String, api_key: Secret, private_key: Option<Secret> },
    /// Take over an agent of Qredo's Go program, while a registration is taken. → `Imported`
    Import { agent: GoAgent, options: ImportOptions },
    /// No registration is taken from now on. → `Noted`
    RegistrationClose,
    /// Give the token another PIN, in the place of the one in the PIN's file or credential. → `Noted`
    ChangePin { new: Secret },
    /// Make a backup, sealed to the recovery recipients. → `BackupMade`
    Backup,
    /// Its octets from here on; after the last there is none any more. → `BackupPart`
    BackupPart { offset: u64 },
    /// A part of a backup that is to be restored, one behind the other; where there is no agent. → `Noted`
    RestorePart { offset: u64, octets: Vec<u8> },
    /// Restore what was brought. → `Restored`
    Restore { identity: Secret, options: RestoreOptions },
    /// The sealed RSA key for the Partner API; made where `make` says so and there is none. → `PartnerKey`
    PartnerKey { make: bool },

    // ---- the admin lane: change
    /// With the signed statements that the deed wants for it, if it wants any.
    Change {
        change: Change,
        #[serde(deserialize_with = "crate::few")]
        statements: Vec<SignedStatement>,
    },
}

/// How a backup is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// The audit key that signed it, as the operator keeps it (a vkey).
    pub key: String,
    /// The newest checkpoint of its log that the operator knows of (a signed note).
    pub newest: Option<String>,
    /// Restore it, although more is remembered than is in it.
    pub accept_rollback: bool,
}

/// How an agent is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// Look at all of it, and change nothing.
    pub dry_run: bool,
    /// Do not ask the backend whether it believes this agent's pass.
    pub offline: bool,
}

/// What only those may do whom the deed says, where it says so: each of these gives power that was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Release a held action that nobody else must release. → `Decided`
    Release { action: ActionId },
    /// Make a bearer token, good for so many seconds or until it is revoked. → `TokenAdded`
    TokenAdd { name: String, scopes: Scopes, seconds: Option<u64>, per_minute: Option<u32> },
    /// Read the policy's file again, and the shadow's. → `PolicyReloaded`
    PolicyReload,
    /// Allow signing again. → `Noted`
    Unfreeze,
    /// The wall clock, which jumped, is right as it is now. → `Noted`
    ConfirmClock,
    /// What was approved since the backup that was restored is known to leave the windows as the ledger has them. → `Noted`
    ConfirmWindows,
    /// Take the state directory as it is, although the token remembers a later one; it starts frozen. → `Recovered`
    AcceptRollback,
    /// Go over to a new key of the token's; the vault starts anew with it. → `Rotated`
    Rotate { key: RotatedKey },
    /// Destroy the keys that were used before the one that is in use. → `Rotated`
    DestroyFormer { key: RotatedKey },
    /// Write what the configuration says of recipients and people into the deed, and seal the keys anew. → `Initialised`
    Amend(InitOptions),
    /// Take a registration within so many seconds. → `Noted`
    RegistrationOpen { seconds: u64 },
}

/// A key of the token's that can be replaced. (The identity key stays with its registration.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotatedKey {
    Sealing,
    Audit,
}

impl RotatedKey {
    pub fn as_str(self) -> &'static str {
        match self {
            RotatedKey::Sealing => "sealing-key",
            RotatedKey::Audit => "audit-key",
        }
    }
}

/// What a client of the HTTP API wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Nothing more than to be let in for this. → `Noted`
    Enter(Scope),
    /// Register this agent with the custody backend. → `Registered`
    Register(Registration),
    /// The numbers for a monitoring system. → `Metrics`
    Metrics,
    /// Who is this agent? → `Client`
    Client,
    /// To hear the feed: the same. → `Client`
    Feed,
    /// Approve or reject an action on the caller's word. → `Decided`, once the backend has accepted it, or `Counted`: more
    /// people are needed
    Decide {
        action: ActionId,
        verb: Verb,
        #[serde(deserialize_with = "crate::few")]
        statements: Vec<SignedStatement>,
    },
    /// → `Health`
    Health,
    /// → `ActionList`
    Actions(ActionQuery),
    /// → `ActionStory`
    Action(ActionId),
    /// The text of the policy in force, from this octet on. → `PolicyPart`
    Policy { offset: u64 },
    /// What the policy in force says now, and why. → `Explained`
    Explain(Matter),
}

/// Of a caller of whom nothing is known.
impl From<Call> for Ask {
    fn from(call: Call) -> Self {
        Ask::Call { caller: Caller::default(), call }
    }
}

impl Call {
    /// What a token or a certificate must be good for.
    pub fn scope(&self) -> Scope {
        match self {
            Call::Enter(scope) => *scope,
            Call::Register(_) => Scope::Register,
            Call::Decide { .. } => Scope::Decide,
            Call::Feed => Scope::Feed,
            Call::Metrics => Scope::Metrics,
            Call::Client
            | Call::Health
            | Call::Actions(_)
            | Call::Action(_)
            | Call::Policy { .. }
            | Call::Explain(_) => Scope::Read,
        }
    }
}

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Matter {
    /// An action that the ledger knows.
    Known(ActionId),
    /// What was never announced: the octets to be signed, and the feed's `type`.
    Messages { messages: Vec<Vec<u8>>, claim: Option<String> },
}

/// Which actions, in the order in which they were first seen, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionQuery {
    /// Empty: all.
    pub states: Vec<ActionState>,
    /// First seen then or later, Unix seconds.
    pub since: u64,
    /// Only what comes behind this one, as [`crate::ActionList::next`] had it.
    pub after: Option<(u64, ActionId)>,
    /// At most so many; the vault gives no more than [`MOST_LISTED`].
    pub limit: u16,
}

/// The most actions in one list.
pub const MOST_LISTED: u16 = 200;

/// A refusal that the api gave by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnedAway {
    pub address: Option<IpAddr>,
    pub fault: AccessFault,
    pub times: u32,
}

/// What the api is at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorState {
    /// When the first certificate of the TLS configuration that matters expires, Unix seconds; `None` without TLS.
    pub certificate_expires: Option<u64>,
    /// What a person should look at, in bounded words.
    pub warnings: Vec<String>,
    /// Open connections, and how many of them are feed clients.
    pub connections: u32,
    pub feed_clients: u32,
}

/// What a partner app wants of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verb {
    Approve,
    Reject,
}

/// What the operator says with `signing-agent init`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitOptions {
    /// Write the configuration's recipients into the deed, and seal the keys to them anew.
    pub amend: bool,
    /// The PIN that the token refused has been looked after: it may be tried again.
    pub try_pin_again: bool,
}

/// What came back from an errand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The backend answered.
    Reply {
        status: u16,
        /// At most [`crate::MAX_REPLY`] octets.
        body: Vec<u8>,
        /// The reply's `Retry-After`, seconds.
        retry_after: Option<u32>,
        /// The reply's `Date`, Unix seconds.
        date: Option<u64>,
    },
    /// It did not.
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// No answer within the errand's time: whether the backend acted is not known.
    Timeout,
    /// A broken connection, a reply that is no HTTP or too long; with bounded words. Whether the backend acted is not known.
    Transport(String),
    /// No connection came about, or the request was never sent for another cause; with bounded words. The backend did nothing.
    NotSent(String),
}

/// The feed's connection, as the courier sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedState {
    /// Not asked for: the agent is not registered.
    Idle,
    Connecting,
    Open,
    /// Lost or refused, with bounded words; the next try comes in so many milliseconds.
    Closed {
        why: String,
        retry_ms: u64,
    },
}
