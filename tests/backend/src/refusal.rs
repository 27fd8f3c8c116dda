//! Every way in which the backend says no, with the status it answers.

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} is missing, repeated or not text; send it once")]
    Header(&'static str),
    #[error("the API key is unknown; register it at /control/partners")]
    ApiKey,
    #[error("x-timestamp is not a decimal number of Unix seconds")]
    TimestampUnreadable,
    #[error("x-timestamp is {0} s from this clock, more than 60; sign the request anew")]
    TimestampFar(i64),
    #[error("x-sign is not base64url without padding")]
    SignUnreadable,
    #[error("x-sign is not the API key's signature over timestamp, URL and body; the URL verified was {0}")]
    Sign(String),
    #[error("the body is not what this endpoint takes: {0}")]
    Body(String),
    #[error("{0} is not lower-case hex")]
    Hex(&'static str),
    #[error("blsPublicKey: {0}")]
    BlsKey(milagro::Error),
    #[error("ecPublicKey is not 65 octets, 04 first, of a point on P-256 or secp256k1")]
    EcKey,
    #[error("the pass cannot be read: {0}")]
    PassUnreadable(milagro::Error),
    #[error("the pass is for an identity that was never given out")]
    PassOfStranger,
    #[error("the pass is {0} s from this clock, more than 60; make a fresh one for each attempt")]
    PassFar(i64),
    #[error("the pass proves nothing: {0}")]
    PassWrong(milagro::Error),
    #[error("the pass was used before; make a fresh one for each attempt")]
    PassReplayed,
    #[error("U of the pass was used before with another time: x was repeated, which reveals the client secret")]
    NonceReused,
    #[error("idDocSignatureHex: {0}")]
    IdDocSignature(milagro::Error),
    #[error("this agent sent no finish; registration is not complete")]
    NotFinished,
    #[error("there is no such action")]
    UnknownAction,
    #[error("the action belongs to another agent, {0}")]
    ForeignAction(String),
    #[error("the action is {0}, not pending")]
    NotPending(&'static str),
    #[error("the action has expired")]
    Expired,
    #[error("the action has no message that could be signed; it can only be rejected")]
    NothingToSign,
    #[error("{found} signatures for {expected} messages; send one for each, in order")]
    SignatureCount { expected: usize, found: usize },
    #[error("signature {index}: {source}")]
    Signature { index: usize, source: milagro::Error },
    #[error("the feed takes WebSocket upgrades only: {0}")]
    Upgrade(String),
    #[error("the simulator failed: {0}")]
    Internal(String),
}

impl Refusal {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Header(_)
            | Self::TimestampUnreadable
            | Self::SignUnreadable
            | Self::Body(_)
            | Self::Hex(_)
            | Self::BlsKey(_)
            | Self::EcKey
            | Self::IdDocSignature(_)
            | Self::NothingToSign
            | Self::SignatureCount { .. }
            | Self::Signature { .. }
            | Self::Upgrade(_) => 400,
            Self::ApiKey
            | Self::TimestampFar(_)
            | Self::Sign(_)
            | Self::PassUnreadable(_)
            | Self::PassOfStranger
            | Self::PassFar(_)
            | Self::PassWrong(_)
            | Self::PassReplayed
            | Self::NonceReused => 401,
            Self::NotFinished => 403,
            Self::UnknownAction | Self::ForeignAction(_) => 404,
            Self::NotPending(_) => 409,
            Self::Expired => 410,
            Self::Internal(_) => 500,
        }
    }
}
