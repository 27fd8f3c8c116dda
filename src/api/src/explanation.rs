//! What an explanation says: the vault's JSON, which is that of `signing-agent policy explain --json` (docs/policy-tools.md).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the policy in force says of an action, and why. Times are Unix seconds; amounts are decimal, in the smallest unit.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    /// What became of it; `null` for messages.
    then: Option<Then>,
    /// What the feed calls it.
    #[serde(rename = "type")]
    claim: Option<String>,
    expires: Option<u64>,
    /// As of what time it was judged: now, or when an action that was decided was first seen. `null`: the clock is not believed.
    at: Option<u64>,
    policy: Policy,
    messages: Vec<Facts>,
    rules: Vec<Rule>,
    /// `approve`, `hold` or `deny`.
    verdict: String,
    rule: Option<String>,
    why: String,
    /// The feed calls it something else than its bytes say.
    contradiction: bool,
    /// Who may release it, where it is held.
    release: Option<Release>,
    /// What an approval takes of the windows.
    windows: Vec<Window>,
}

/// What the ledger has of it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Then {
    action: String,
    state: String,
    seen: u64,
    verdict: Option<String>,
    rule: Option<String>,
    why: Option<String>,
    decided_by: Option<String>,
    /// SHA-256 of the policy of then, hex.
    policy: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    source: String,
    /// SHA-256, hex.
    hash: String,
    serial: Option<u64>,
}

/// What a message says.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// `wallet`, `iddoc`, `group`, `underlying`, `key-value`, `MPC`, `malformed` or `opaque`.
    kind: String,
    /// SHA-256 of the message, hex.
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    wallet: Option<Wallet>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wallet {
    transfer_type: String,
    currency: i64,
    /// The asset's ID, hex.
    wallet: String,
    owner: String,
    moves: Vec<Move>,
    total: Option<String>,
    fee: Option<String>,
    participants: Vec<String>,
    expressions: Vec<String>,
    other_fields: Vec<String>,
    description: String,
    wallet_description: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    to: String,
    amount: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    name: String,
    verdict: String,
    /// Of each message: `null` where the rule is met, else the first condition that is not.
    failed: Vec<Option<String>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// It takes a bearer token with scope decide.
    token: bool,
    approvers: Vec<Approvers>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approvers {
    needed: u32,
    of: Vec<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Window {
    window: String,
    /// Seconds.
    period: u64,
    /// `null`: it cannot be measured.
    amount: Option<String>,
    max_amount: Option<String>,
    max_count: Option<u64>,
    /// What of it is used now; absent where the action was decided already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    used: Option<Used>,
    /// Whether an approval has room in it now; absent as `used`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fits: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    amount: String,
    count: u64,
}
