//! The values that asks and answers are made of, checked when they are made and again when they are read from a frame.

use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest action id, octets.
pub const MAX_ACTION_ID: usize = 128;
/// The longest agent name and API key, characters (protocol.md §2).
pub const MAX_NAME: usize = 256;
/// The longest `Base64PrivateKey`, characters (protocol.md §2).
pub const MAX_PRIVATE_KEY: usize = 16_384;
/// The most that is passed on of somebody else's words, characters.
pub const MAX_WORDS: usize = 400;

/// An action's id, as it stands in a URL's path: 1 to 128 of RFC 3986's unreserved characters and `:`, and no `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionId(String);

/// Not an action id.
#[derive(Debug, thiserror::Error)]
#[error("not an action id: 1 to {MAX_ACTION_ID} letters, digits, '-', '_', '.', '~' or ':', and no '..'")]
pub struct NotAnActionId;

impl ActionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ActionId {
    type Error = NotAnActionId;
    fn try_from(text: String) -> Result<Self, NotAnActionId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':');
        let good =
            (1..=MAX_ACTION_ID).contains(&text.len()) && text.bytes().all(plain) && text != "." && !text.contains("..");
        if good { Ok(Self(text)) } else { Err(NotAnActionId) }
    }
}

impl From<ActionId> for String {
    fn from(id: ActionId) -> String {
        id.0
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ActionState {
    Seen,
    Held,
    Approving,
    Rejecting,
    Approved,
    Rejected,
    Expired,
    Failed,
    Unknown,
}

impl ActionState {
    pub const ALL: [ActionState; 9] = [
        ActionState::Seen,
        ActionState::Held,
        ActionState::Approving,
        ActionState::Rejecting,
        ActionState::Approved,
        ActionState::Rejected,
        ActionState::Expired,
        ActionState::Failed,
        ActionState::Unknown,
    ];

    /// As the ledger and the HTTP API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionState::Seen => "seen",
            ActionState::Held => "held",
            ActionState::Approving => "approving",
            ActionState::Rejecting => "rejecting",
            ActionState::Approved => "approved",
            ActionState::Rejected => "rejected",
            ActionState::Expired => "expired",
            ActionState::Failed => "failed",
            ActionState::Unknown => "unknown",
        }
    }

    pub fn named(name: &str) -> Option<ActionState> {
        ActionState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Text that is wiped on drop and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a partner app sends to register the agent (protocol.md §2): trimmed, not empty, not over-long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRegistration", into = "RawRegistration")]
pub struct Registration {
    name: String,
    api_key: Secret,
    private_key: Secret,
}

/// A registered agent, as Qredo's Go program keeps it (protocol.md §8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoAgent {
    pub name: String,
    /// The account code.
    pub agent_id: String,
    /// The M-Pin identity's octets (`zkpid`), which are JSON.
    pub identity: Vec<u8>,
    /// Hex of the 48 octets that its keys are made of (`bls_seed`).
    pub seed: Secret,
    /// Hex of the M-Pin token without the PIN (`zkptoken`): 97 octets, a point of G1.
    pub token: Secret,
}

/// The field of a registration that is missing, blank or over-long, by the name that the Go agent gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadField(pub &'static str);

impl Registration {
    /// Trims and checks the three fields; the first bad one is named.
    pub fn new(name: &str, api_key: &str, private_key: &str) -> Result<Self, BadField> {
        let checked = |field, value: &str, most| match value.trim() {
            "" => Err(BadField(field)),
            value if value.chars().count() > most => Err(BadField(field)),
            value => Ok(value.to_owned()),
        };
        Ok(Self {
            name: checked("name", name, MAX_NAME)?,
            api_key: Secret(checked("APIKey", api_key, MAX_NAME)?),
            private_key: Secret(checked("base64PrivateKey", private_key, MAX_PRIVATE_KEY)?),
        })
    }
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn api_key(&self) -> &Secret {
        &self.api_key
    }
    /// Standard base64 of a PEM RSA private key.
    pub fn private_key(&self) -> &Secret {
        &self.private_key
    }
}

#[derive(Serialize, Deserialize)]
struct RawRegistration {
    name: String,
    api_key: Secret,
    private_key: Secret,
}

impl TryFrom<RawRegistration> for Registration {
    type Error = BadField;
    fn try_from(raw: RawRegistration) -> Result<Self, BadField> {
        Self::new(&raw.name, raw.api_key.expose(), raw.private_key.expose())
    }
}

impl From<Registration> for RawRegistration {
    fn from(r: Registration) -> Self {
        Self { name: r.name, api_key: r.api_key, private_key: r.private_key }
    }
}

/// Bounds somebody else's words: no control characters, at most [`MAX_WORDS`] characters.
pub fn bounded(words: &str) -> String {
    words.trim().chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_id_is_one_plain_path_segment() {
        for good in ["w1", "2IXwq4gyoiUBrIjD3VwhTpnTsxL", "a.b", "a:b~c_d-e"] {
            assert!(ActionId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_ACTION_ID + 1);
        for bad in ["", ".", "..", "a..b", "a/b", "a?b", "a#b", "a b", "a%2fb", "ä", "a\n", long.as_str()] {
            assert!(ActionId::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_registration_is_checked_again_when_it_is_read_from_a_frame() {
        let forged = RawRegistration {
            name: " ".into(),
            api_key: Secret::new("key".into()),
            private_key: Secret::new("pem".into()),
        };
        let bytes = postcard::to_stdvec(&forged).unwrap();
        assert!(postcard::from_bytes::<Registration>(&bytes).is_err());
        assert_eq!(Registration::new("a", "", "c"), Err(BadField("APIKey")));
        assert_eq!(Registration::new("a", "b", &"c".repeat(MAX_PRIVATE_KEY + 1)), Err(BadField("base64PrivateKey")));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let registration = Registration::new("agent", "the-key", "the-pem").unwrap();
        let shown = format!("{registration:?}");
        assert!(!shown.contains("the-key") && !shown.contains("the-pem"), "{shown}");
    }
}
