//! What the doors say of the time that they spent on an action, for its trace (docs/logs.md).

use crate::answers::Method;
use crate::asks::Verb;
use crate::credentials::text;
use crate::types::ActionId;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest id of a request, octets.
pub const MAX_REQUEST_ID: usize = 64;

/// What a request to the HTTP API is called in answers and logs: 1 to 64 letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestId(String);

impl RequestId {
    /// `None` where it is none.
    pub fn new(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        ((1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// Sixteen hexadecimal digits.
    pub fn numbered(number: u64) -> Self {
        Self(format!("{number:016x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text::<MAX_REQUEST_ID, _>(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("not a request's id"))
    }
}

/// A piece of work on an action, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub action: ActionId,
    pub work: Work,
    /// Unix nanoseconds.
    pub began: u64,
    pub ended: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// The api has answered a client's decision with this HTTP status.
    Decision { verb: Verb, request: Option<RequestId>, status: u16 },
    /// The courier was at the backend, which answered with this HTTP status, if it answered.
    Errand { errand: u64, method: Method, status: Option<u16> },
}

/// Unix nanoseconds; 0 where the clock stands before 1970.
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_short_and_plain_on_the_lane_too() {
        let long = "a".repeat(MAX_REQUEST_ID + 1);
        for (text, is_one) in
            [("a1", true), ("0-9_.Z", true), ("", false), ("a b", false), ("a\n", false), (&long, false)]
        {
            assert_eq!(RequestId::new(text).is_some(), is_one, "{text:?}");
            let frame = postcard::to_allocvec(text).unwrap();
            assert_eq!(postcard::from_bytes::<RequestId>(&frame).is_ok(), is_one, "{text:?}");
        }
    }
}
