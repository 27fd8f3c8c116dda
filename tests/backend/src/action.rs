//! One action and the rules of its life: pending until it is approved, rejected or too late, and settled once.

use std::time::Instant;

use serde::Serialize;

use crate::refusal::Refusal;
use crate::state::{now, now_ms};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Approved,
    Rejected,
    Expired,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// What the feed says of an action, in the protocol's order of fields.
#[derive(Clone, Serialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "coreClientID")]
    pub(crate) core_client_id: String,
    #[serde(rename = "type")]
    pub(crate) action_type: String,
    pub(crate) status: Status,
    pub(crate) timestamp: i64,
    #[serde(rename = "expireTime")]
    pub(crate) expire_time: i64,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    #[serde(flatten)]
    pub(crate) event: Event,
    pub(crate) kind: String,
    /// The accountCode whose feed gets it; whoever is connected, if none.
    pub(crate) agent: Option<String>,
    /// As GET gives them; hex unless a test wanted otherwise.
    pub(crate) messages: Vec<String>,
    /// As approved.
    pub(crate) signatures: Vec<String>,
    pub(crate) announcements: u64,
    pub(crate) gets: u64,
    /// PUTs answered 200: more than one is a repeat.
    pub(crate) approvals: u64,
    pub(crate) deletes: u64,
    /// What agents asked to be done with it, faults or not: each set of signatures, or `reject`; each once.
    pub(crate) asked: Vec<String>,
    /// PUTs and DELETEs refused.
    pub(crate) refused: u64,
    pub(crate) announced_at_ms: Option<i64>,
    pub(crate) settled_at_ms: Option<i64>,
    /// From 1, in the order in which actions were settled.
    pub(crate) settled_order: Option<u64>,
    /// Microseconds from first announcement to settlement.
    pub(crate) took_us: Option<u64>,
    #[serde(skip)]
    pub(crate) announced: Option<Instant>,
}

impl Action {
    /// Its status now: pending ones expire by the clock.
    pub(crate) fn status(&self) -> Status {
        match self.event.status {
            Status::Pending if self.event.expire_time <= now() => Status::Expired,
            status => status,
        }
    }

    pub(crate) fn refresh(&mut self) {
        self.event.status = self.status();
    }

    pub(crate) fn pending(&self) -> Result<(), Refusal> {
        match self.status() {
            Status::Pending => Ok(()),
            Status::Expired => Err(Refusal::Expired),
            other => Err(Refusal::NotPending(other.word())),
        }
    }

    /// The messages' octets; none if there is no message, an empty one, or one that is no hex.
    pub(crate) fn octets(&self) -> Option<Vec<Vec<u8>>> {
        let octets = self.messages.iter().map(|text| hex::decode(text).ok().filter(|message| !message.is_empty()));
        octets.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
    }

    /// Somebody asked this to be done with it.
    pub(crate) fn ask(&mut self, what: String) {
        if !self.asked.contains(&what) {
            self.asked.push(what);
        }
    }

    /// What is announced, and when for the first time.
    pub(crate) fn announce(&mut self) -> Event {
        self.announcements += 1;
        self.announced_at_ms.get_or_insert_with(now_ms);
        self.announced.get_or_insert_with(Instant::now);
        self.event.clone()
    }

    /// The step out of pending.
    pub(crate) fn settle(&mut self, status: Status, order: u64) {
        self.event.status = status;
        self.settled_order = Some(order);
        self.settled_at_ms = Some(now_ms());
        self.took_us = self.announced.and_then(|at| u64::try_from(at.elapsed().as_micros()).ok());
    }
}
