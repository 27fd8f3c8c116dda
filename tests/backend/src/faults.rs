//! Faults on request: what goes wrong at which endpoint, how often.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::iddoc::IdDocFault;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Endpoint {
    Init,
    Finish,
    Get,
    Put,
    Delete,
    Feed,
}

/// One thing that goes wrong, or several together, such as a delay before a status.
///
/// Credentials are verified all the same, and a pass is spent: a client that sends it again is found out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// Answer with this status and do nothing.
    pub(crate) status: Option<u16>,
    pub(crate) body: Option<String>,
    /// Seconds, sent as `Retry-After` with `status`.
    pub(crate) retry_after: Option<u64>,
    pub(crate) delay_ms: Option<u64>,
    /// Close the connection, do nothing.
    #[serde(default)]
    pub(crate) drop: bool,
    /// Do nothing and answer 200 with what is no JSON. On the feed: send it, after the upgrade.
    #[serde(default)]
    pub(crate) garbage: bool,
    /// Do it, then close the connection without an answer.
    #[serde(default)]
    pub(crate) drop_after: bool,
    /// Do nothing, send these octets as they stand in the answer's place, HTTP or not, and close.
    pub(crate) raw: Option<String>,
    /// Do nothing and answer 200 with so many megabytes of spaces, their length announced or, if `chunked`, not.
    pub(crate) megabytes: Option<u64>,
    #[serde(default)]
    pub(crate) chunked: bool,
    /// Do it, and send the answer's body octet by octet, so many milliseconds apart.
    pub(crate) trickle_ms: Option<u64>,
    /// At init: hand out a wrong IDDoc.
    pub(crate) iddoc: Option<IdDocFault>,
    /// At init: hand out a wrong reply.
    pub(crate) reply: Option<ReplyFault>,
}

impl Fault {
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.delay_ms.map(Duration::from_millis)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReplyFault {
    /// `id` is not the accountCode.
    MismatchedIds,
    /// 97 octets that are no point.
    BadClientSecret,
    /// A point, but another identity's secret: no pass will be accepted.
    OtherClientSecret,
    /// No `idDoc`.
    MissingField,
}

/// An order at `/control/faults`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Armed {
    endpoint: Endpoint,
    fault: Fault,
    /// How many requests it hits; until cleared if absent or null.
    times: Option<u64>,
    /// The share of requests that it hits, 0 to 1; all if absent.
    rate: Option<f64>,
    /// Makes the choice of `rate` repeatable.
    #[serde(default)]
    seed: u64,
}

#[derive(Default)]
pub(crate) struct Faults(Vec<Armed>);

impl Faults {
    pub(crate) fn arm(&mut self, armed: Armed) {
        self.0.push(armed);
    }

    pub(crate) fn clear(&mut self, endpoint: Option<Endpoint>) {
        self.0.retain(|armed| endpoint.is_some_and(|only| armed.endpoint != only));
    }

    /// The fault that hits this request: the first armed one that is for it and fires.
    pub(crate) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let hit = self.0.iter_mut().find_map(|armed| armed.fires(endpoint));
        self.0.retain(|armed| armed.times != Some(0));
        hit
    }
}

impl Armed {
    fn fires(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let hits = self.endpoint == endpoint
            && self.times != Some(0)
            && self.rate.is_none_or(|rate| fraction(&mut self.seed) < rate);
        if !hits {
            return None;
        }
        self.times = self.times.map(|left| left - 1);
        Some(self.fault.clone())
    }
}

/// SplitMix64: repeatable, and nothing else is asked of it.
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
