//! What a monitoring system is told (docs/metrics.md). Counting is a lock held for a moment; nothing here waits for the token.

use crate::gate::Lane;
use crate::ledger::{Condition, Event, Row, audit, registration_window};
use crate::reply::Reply;
use crate::room::Room;
use crate::traces::Traces;
use crate::vault::Vault;
use crate::{access, status};
use ipc::{ActionId, Answer, FeedState, Sample, Vitals};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Seconds; the last bucket is +Inf.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Types of actions that are told apart; others, and those with an odd name, are `other`.
const MOST_TYPES: usize = 16;
const LONGEST_TYPE: usize = 40;
/// Actions under way whose stages are measured; what comes above that is only counted.
const MOST_UNDER_WAY: usize = 4096;

/// The states of actions that are not settled.
const OPEN: [&str; 4] = ["seen", "held", "approving", "rejecting"];

/// How far an action is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Judged,
    Signed,
    Settled,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Judged => "judged",
            Stage::Signed => "signed",
            Stage::Settled => "settled",
        }
    }
}

#[derive(Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    pub traces: Traces,
}

#[derive(Default)]
struct Counts {
    types: Vec<String>,
    decisions: BTreeMap<(String, &'static str), u64>,
    settled: BTreeMap<(String, &'static str), u64>,
    stages: BTreeMap<Stage, Histogram>,
    under_way: HashMap<ActionId, Instant>,
    /// What the doors said of themselves last.
    doors: BTreeMap<&'static str, Vitals>,
}

#[derive(Default)]
struct Histogram {
    /// Of each bucket alone; the last is what is above all.
    counts: [u64; BUCKETS.len() + 1],
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BUCKETS.iter().position(|most| seconds <= *most).unwrap_or(BUCKETS.len());
        self.counts[place] += 1;
        self.sum += seconds;
    }

    fn tell(&self, samples: &mut Vec<Sample>, stage: &str) {
        let mut so_far = 0;
        let ends = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (count, end) in self.counts.iter().zip(ends) {
            so_far += count;
            samples.push(Sample::new("stage_seconds_bucket", number(so_far)).with("stage", stage).with("le", &end));
        }
        samples.push(Sample::new("stage_seconds_sum", self.sum).with("stage", stage));
        samples.push(Sample::new("stage_seconds_count", number(so_far)).with("stage", stage));
    }
}

impl Counts {
    fn called(&mut self, claim: Option<&str>) -> String {
        let plain = |claim: &&str| claim.len() <= LONGEST_TYPE && claim.bytes().all(|c| c.is_ascii_alphanumeric());
        let Some(claim) = claim.filter(plain).filter(|claim| !claim.is_empty()) else { return "other".into() };
        if !self.types.iter().any(|known| known == claim) {
            if self.types.len() >= MOST_TYPES {
                return "other".into();
            }
            self.types.push(claim.to_owned());
        }
        claim.to_owned()
    }
}

impl Meter {
    pub fn new(traces: Traces) -> Self {
        Self { traces, ..Self::default() }
    }

    /// The feed has named it.
    pub fn seen(&self, id: &ActionId) {
        self.traces.seen(id);
        let mut counts = self.lock();
        if counts.under_way.len() < MOST_UNDER_WAY {
            counts.under_way.insert(id.clone(), Instant::now());
        }
    }

    pub fn reached(&self, id: &ActionId, stage: Stage) {
        self.traces.reached(id, stage.name());
        let mut counts = self.lock();
        if let Some(begun) = counts.under_way.get(id).copied() {
            counts.stages.entry(stage).or_default().observe(begun.elapsed());
        }
    }

    /// As the ledger has it now.
    pub fn heard(&self, event: &Event) {
        let outcomes = ["approved", "rejected", "expired", "failed", "unknown"];
        let verdicts = ["approving", "rejecting", "held"];
        let found = |all: &[&'static str]| all.iter().copied().find(|name| *name == event.status);
        let id = ActionId::try_from(event.action.clone()).ok();
        if let Some(id) = &id {
            self.traces.heard(id, &event.status, event.claim.as_deref(), found(&outcomes).is_some());
        }
        let mut counts = self.lock();
        let called = counts.called(event.claim.as_deref());
        if let Some(verdict) = found(&verdicts) {
            *counts.decisions.entry((called, verdict)).or_default() += 1;
            // What waits for people says nothing of how quick this is.
            if verdict != "approving" {
                id.map(|id| counts.under_way.remove(&id));
            }
        } else if let Some(outcome) = found(&outcomes) {
            *counts.settled.entry((called, outcome)).or_default() += 1;
            // Whatever became of it, its place is another's now.
            let begun = id.and_then(|id| counts.under_way.remove(&id)).filter(|_| outcome == "approved");
            if let Some(begun) = begun {
                counts.stages.entry(Stage::Settled).or_default().observe(begun.elapsed());
            }
        }
    }

    pub fn of_a_door(&self, lane: Lane, vitals: Vitals) {
        let door = if lane == Lane::Api { "api" } else { "courier" };
        self.lock().doors.insert(door, vitals);
    }

    /// Of the doors, those that are `here`.
    fn tell(&self, samples: &mut Vec<Sample>, here: impl Fn(&str) -> bool) {
        let counts = self.lock();
        let doors = counts.doors.iter().filter(|(door, _)| here(door));
        samples.extend(doors.flat_map(|(door, vitals)| vitals.samples(door)));
        for (name, label, all) in
            [("decisions_total", "verdict", &counts.decisions), ("settled_total", "outcome", &counts.settled)]
        {
            let told = all
                .iter()
                .map(|((kind, what), count)| Sample::new(name, number(*count)).with("type", kind).with(label, what));
            samples.extend(told);
        }
        counts.stages.iter().for_each(|(stage, histogram)| histogram.tell(samples, stage.name()));
        drop(counts);
        let spans = self.traces.counts().into_iter();
        samples.extend(spans.map(|(fate, count)| Sample::new("trace_spans_total", number(count)).with("fate", fate)));
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts are far below 2⁵³.
#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Asks the ledger, and adds what is known without it.
pub fn on_ask(room: &Arc<Room>, reply: Reply) {
    let Ok(vault) = room.vault() else {
        let mut samples = of_the_room(room, None);
        samples.push(Sample::new("ready", 0.0));
        return reply.send(Answer::Metrics(samples));
    };
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.ask(
        |t| {
            let full = Condition::WindowsFullUntil.read(t)? > 0;
            let late = status::overdue(t)?;
            Ok((
                Row::count_open(t, OPEN)?,
                Row::next_expiry(t)?,
                audit::counts(t)?,
                registration_window::left(t)?,
                full,
                late,
            ))
        },
        move |read| {
            let mut samples = of_the_room(&room, Some(&then));
            let late = read.as_ref().map_or(1, |(.., late)| *late);
            samples.push(Sample::new("ready", yes(late == 0 && status::is_well(&room, &then))));
            if let Ok((actions, expiry, (records, covered), open, full, _)) = read {
                samples.extend(
                    actions.iter().map(|(state, count)| Sample::new("actions", number(*count)).with("state", state)),
                );
                samples.extend(expiry.map(|at| Sample::new("pending_expiry_timestamp_seconds", number(at))));
                samples.push(Sample::new("audit_records", number(records)));
                samples.push(Sample::new("audit_covered_records", number(covered)));
                samples.push(Sample::new("registration_open_seconds", number(open.unwrap_or_default())));
                samples.push(Sample::new("windows_full", yes(full)));
            }
            reply.send(Answer::Metrics(samples));
        },
    );
}

fn of_the_room(room: &Room, vault: Option<&Vault>) -> Vec<Sample> {
    let active = room.policy.active();
    let serial = active.policy.serial().map(|serial| serial.to_string()).unwrap_or_default();
    let calls = room.token_watch.counts();
    let (api, courier) = room.doors_open();
    let mut samples = vec![
        Sample::new("build_info", 1.0).with("version", env!("CARGO_PKG_VERSION")),
        Sample::new("registered", yes(vault.is_some_and(|vault| vault.agent().is_some()))),
        Sample::new("policy_info", 1.0).with("hash", &active.hash()).with("serial", &serial),
        Sample::new("unwritten_events", number(room.unseen.load(std::sync::atomic::Ordering::SeqCst) as u64)),
        Sample::new("feed_open", yes(room.feed_state() == FeedState::Open)),
        Sample::new("door_connected", yes(api)).with("door", "api"),
        Sample::new("door_connected", yes(courier)).with("door", "courier"),
        Sample::new("token_operations_total", number(calls.operations)),
        Sample::new("token_failures_total", number(calls.failures)),
        Sample::new("token_logins_total", number(calls.logins)),
        Sample::new("token_longest_call_seconds", room.token_watch.longest().unwrap_or_default().as_secs_f64()),
        Sample::new("warnings", number(access::warnings(room, vault).len() as u64)),
        Sample::new("witnesses_behind", number(room.witnesses.behind().len() as u64)),
    ];
    samples.extend(active.loaded().map(|at| Sample::new("policy_loaded_timestamp_seconds", number(at))));
    samples.extend(room.feed_age().map(|age| Sample::new("feed_age_seconds", number(age))));
    samples.extend(
        room.access
            .counts()
            .into_iter()
            .map(|(cause, count)| Sample::new("refused_calls_total", number(count)).with("cause", &cause)),
    );
    let door = room.access.door.state();
    samples.extend(door.certificate_expires.map(|at| Sample::new("certificate_expiry_timestamp_seconds", number(at))));
    if let Some(vault) = vault {
        samples.extend([
            Sample::new("frozen", yes(vault.frozen.load(std::sync::atomic::Ordering::SeqCst))),
            Sample::new("clock_stepped", yes(vault.wall_clock.has_stepped())),
            Sample::new("alarms", number(vault.alarms.list().len() as u64)),
            Sample::new("checkpoint_overdue", yes(vault.notary.checkpoint_trouble().is_some())),
            Sample::new("ledger_well", yes(vault.ledger.complaint().is_none())),
        ]);
    }
    room.meter.tell(&mut samples, |door| if door == "api" { api } else { courier });
    let own = room.vitals.read();
    let own = own.map(|jail::Reading { resident, processor, began }| Vitals { resident, processor, began });
    samples.extend(own.into_iter().flat_map(|vitals| vitals.samples("vault")));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ActionId {
        ActionId::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn what_the_backend_invents_does_not_grow_without_end() {
        let meter = Meter::default();
        for n in 0..100_000 {
            meter.seen(&id(&format!("a{n}")));
            let called = meter.lock().called(Some(&format!("Type{n}")));
            assert_eq!(called == "other", n >= MOST_TYPES, "{n}");
        }
        for odd in ["", "with space", "\u{202e}", &"x".repeat(41)] {
            assert_eq!(meter.lock().called(Some(odd)), "other");
        }
        assert_eq!(meter.lock().under_way.len(), MOST_UNDER_WAY);
    }

    #[test]
    fn whatever_becomes_of_an_action_the_next_one_is_measured() {
        let meter = Meter::default();
        for outcome in ["expired", "failed", "unknown", "rejected", "approved"] {
            for n in 0..MOST_UNDER_WAY {
                let name = format!("{outcome}{n}");
                meter.seen(&id(&name));
                meter.heard(&Event::for_a_test(&name, outcome));
            }
            assert!(meter.lock().under_way.is_empty(), "{outcome}");
        }
        let settled: u64 = meter.lock().stages[&Stage::Settled].counts.iter().sum();
        assert_eq!(settled, MOST_UNDER_WAY as u64, "approved ones alone");
    }

    #[test]
    fn a_histogram_counts_what_is_below_each_bound_and_all() {
        let mut histogram = Histogram::default();
        for millis in [1, 5, 6, 70_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut samples = Vec::new();
        histogram.tell(&mut samples, "judged");
        let of = |end: &str| samples.iter().find(|sample| sample.labels.iter().any(|(_, value)| value == end)).unwrap();
        assert_eq!([of("0.005"), of("0.01"), of("60"), of("+Inf")].map(|sample| sample.value), [2.0, 3.0, 3.0, 4.0]);
    }
}
