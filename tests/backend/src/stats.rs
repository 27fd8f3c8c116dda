//! What was accepted and what was refused, for tests to ask.

use std::collections::VecDeque;

use serde::Serialize;

use crate::faults::Endpoint;
use crate::refusal::Refusal;

/// So many refusals are kept with their reasons; `refusalsTotal` counts on.
const REFUSALS_KEPT: usize = 1000;

/// What `/control/stats` shows.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    refusals: VecDeque<Refused>,
}

/// Counters since the start. Each can be waited for at `/control/wait`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) init_ok: u64,
    pub(crate) finish_ok: u64,
    pub(crate) gets: u64,
    /// PUTs answered 200, repeats included.
    pub(crate) puts: u64,
    pub(crate) repeated_puts: u64,
    pub(crate) deletes: u64,
    pub(crate) passes_accepted: u64,
    pub(crate) passes_replayed: u64,
    pub(crate) nonces_reused: u64,
    pub(crate) created: u64,
    pub(crate) announced: u64,
    pub(crate) settled: u64,
    pub(crate) approved: u64,
    pub(crate) rejected: u64,
    /// Feeds open now.
    pub(crate) feeds: u64,
    /// Feeds ever opened.
    pub(crate) feed_connections: u64,
    pub(crate) feed_pings: u64,
    pub(crate) feed_pongs: u64,
    pub(crate) faults_fired: u64,
    pub(crate) refusals_total: u64,
}

#[derive(Serialize)]
struct Refused {
    endpoint: Endpoint,
    status: u16,
    why: String,
}

impl Stats {
    pub(crate) fn refuse(&mut self, endpoint: Endpoint, refusal: &Refusal) {
        match refusal {
            Refusal::PassReplayed => self.counts.passes_replayed += 1,
            Refusal::NonceReused => self.counts.nonces_reused += 1,
            _ => {}
        }
        self.counts.refusals_total += 1;
        if self.refusals.len() == REFUSALS_KEPT {
            self.refusals.pop_front();
        }
        self.refusals.push_back(Refused { endpoint, status: refusal.status(), why: refusal.to_string() });
    }
}
