//! The three verdicts.

use serde::{Deserialize, Serialize};

/// Ordered: the greater beats the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sign it.
    Approve,
    /// Leave it to a person or the partner app, until it expires.
    Hold,
    /// Reject it at the backend.
    Deny,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approve => "approve",
            Verdict::Hold => "hold",
            Verdict::Deny => "deny",
        }
    }

    /// Whether a person may let it go by hand: everything but what is denied, and so never an IDDoc. That there is
    /// something to sign at all (messages, and none of them empty) is not asked here.
    pub fn may_release(self) -> bool {
        self != Verdict::Deny
    }
}
