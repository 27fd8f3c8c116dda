//! The numbers for a monitoring system (docs/metrics.md): which there are, and what the vault says of them.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As the text format has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A metric, with everything that is known of it before there is a number.
#[derive(Debug)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn family(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

/// All of them, in the order in which they are given out. Counters begin anew with the room that counts.
pub const FAMILIES: [Family; 37] = {
    use Kind::{Counter, Gauge, Histogram};
    [
        family("signing_agent_build_info", Gauge, &["version"], "1, of this version"),
        family(
            "signing_agent_ready",
            Gauge,
            &[],
            "1 where nothing stands in the way of an approval, as /readyz has it",
        ),
        family("signing_agent_registered", Gauge, &[], "1 once an agent is registered"),
        family("signing_agent_frozen", Gauge, &[], "1 while it is frozen"),
        family("signing_agent_clock_stepped", Gauge, &[], "1 while the wall clock is not believed"),
        family("signing_agent_windows_full", Gauge, &[], "1 while windows count as full after a restore"),
        family("signing_agent_alarms", Gauge, &[], "Alarms that status shows; the newest 8 are kept"),
        family("signing_agent_policy_info", Gauge, &["hash", "serial"], "1, of the policy in force"),
        family("signing_agent_policy_loaded_timestamp_seconds", Gauge, &[], "When its file was read"),
        family("signing_agent_actions", Gauge, &["state"], "Open actions by state: seen, held, approving or rejecting"),
        family(
            "signing_agent_decisions_total",
            Counter,
            &["type", "verdict"],
            "Decisions by the feed's type and verdict: approving, rejecting or held",
        ),
        family(
            "signing_agent_settled_total",
            Counter,
            &["type", "outcome"],
            "Actions that came to their end: approved, rejected, expired, failed or unknown",
        ),
        family(
            "signing_agent_stage_seconds",
            Histogram,
            &["stage"],
            "From the feed's event: to judged (of every action), to signed and to settled (of approvals by policy)",
        ),
        family(
            "signing_agent_pending_expiry_timestamp_seconds",
            Gauge,
            &[],
            "When the open action expires that expires next; absent where none is open",
        ),
        family("signing_agent_unwritten_events", Gauge, &[], "Events of the feed that wait for the ledger"),
        family("signing_agent_feed_open", Gauge, &[], "1 while the backend's feed is open"),
        family("signing_agent_feed_age_seconds", Gauge, &[], "Since the feed was last heard of; absent before that"),
        family("signing_agent_door_connected", Gauge, &["door"], "1 while the room's lane is there"),
        family("signing_agent_refused_calls_total", Counter, &["cause"], "Callers of the API that were not let in"),
        family("signing_agent_audit_records", Gauge, &[], "Records of the audit log"),
        family("signing_agent_audit_covered_records", Gauge, &[], "How many of them the last checkpoint covers"),
        family("signing_agent_checkpoint_overdue", Gauge, &[], "1 while a checkpoint is due and cannot be made"),
        family(
            "signing_agent_witnesses_behind",
            Gauge,
            &[],
            "Witnesses that have not cosigned the newest checkpoint in their time",
        ),
        family(
            "signing_agent_token_operations_total",
            Counter,
            &[],
            "Operations in the PKCS#11 module that were begun",
        ),
        family("signing_agent_token_failures_total", Counter, &[], "Those that failed"),
        family(
            "signing_agent_token_logins_total",
            Counter,
            &[],
            "Logins to the token: more than one after a start are reconnections",
        ),
        family(
            "signing_agent_token_longest_call_seconds",
            Gauge,
            &[],
            "How long the oldest call that is under way has been running; 0 where none is",
        ),
        family(
            "signing_agent_certificate_expiry_timestamp_seconds",
            Gauge,
            &[],
            "When the first certificate of the API's TLS expires; absent without TLS",
        ),
        family("signing_agent_connections", Gauge, &[], "Open connections of the API"),
        family("signing_agent_feed_clients", Gauge, &[], "Of those, who hears the feed"),
        family(
            "signing_agent_registration_open_seconds",
            Gauge,
            &[],
            "For how long a registration is taken still; 0 where none is",
        ),
        family(
            "signing_agent_trace_spans_total",
            Counter,
            &["fate"],
            "Spans: taken (for the collector), dropped (there was no room for them), lost (on the way to it)",
        ),
        family("signing_agent_warnings", Gauge, &[], "What will be trouble if nobody looks after it, as status has it"),
        family("signing_agent_ledger_well", Gauge, &[], "0 while the ledger cannot be written"),
        family("signing_agent_process_resident_memory_bytes", Gauge, &["room"], "Memory in use"),
        family("signing_agent_process_cpu_seconds_total", Counter, &["room"], "Processor time, of user and system"),
        family("signing_agent_process_start_timestamp_seconds", Gauge, &["room"], "When the room began"),
    ]
};

/// A number. Which family it is of is `name`; a histogram's have their suffix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    /// Neither infinite nor no number.
    #[serde(deserialize_with = "finite")]
    pub value: f64,
}

fn finite<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    value.is_finite().then_some(value).ok_or_else(|| serde::de::Error::custom("not a number"))
}

impl Sample {
    pub fn new(name: &str, value: f64) -> Self {
        Self { name: format!("signing_agent_{name}"), labels: Vec::new(), value }
    }

    #[must_use]
    pub fn with(mut self, label: &str, value: &str) -> Self {
        self.labels.push((label.to_owned(), value.to_owned()));
        self
    }
}

/// What a room's process is at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Octets.
    pub resident: u64,
    /// Milliseconds, of user and system.
    pub processor: u64,
    /// Unix seconds.
    pub began: u64,
}

impl Vitals {
    #[allow(clippy::cast_precision_loss)] // far below 2⁵³, unless a door makes it up
    pub fn samples(self, room: &str) -> [Sample; 3] {
        let Vitals { resident, processor, began } = self;
        [
            Sample::new("process_resident_memory_bytes", resident as f64),
            Sample::new("process_cpu_seconds_total", processor as f64 / 1000.0),
            Sample::new("process_start_timestamp_seconds", began as f64),
        ]
        .map(|sample| sample.with("room", room))
    }
}

/// The text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): each family once, also where it has no number
/// yet. What is of no family is left out.
pub fn text(samples: &[Sample]) -> String {
    let mut text = String::new();
    for Family { name, kind, help, .. } in &FAMILIES {
        text += &format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str());
        let suffixes: &[&str] = if *kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        let own = |sample: &&Sample| suffixes.iter().any(|suffix| sample.name.strip_prefix(name) == Some(suffix));
        for Sample { name, labels, value } in samples.iter().filter(own) {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            text += &format!("{name}{labels} {value}\n");
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_sample() {
        for (value, is_one) in [(0.5, true), (f64::NAN, false), (f64::INFINITY, false)] {
            let frame = crate::encode(1, &crate::Answer::Metrics(vec![Sample::new("ready", value)])).unwrap();
            assert_eq!(crate::read_frame::<crate::Answer>(&mut &frame[..]).is_ok(), is_one, "{value}");
        }
    }

    #[test]
    fn each_family_is_given_out_once_with_its_numbers_and_nothing_else_is() {
        let samples = [
            Sample::new("ready", 1.0),
            Sample::new("stage_seconds_bucket", 2.0).with("stage", "judged").with("le", "0.1"),
            Sample::new("decisions_total", 3.0).with("type", "a\"b\\c\nd").with("verdict", "held"),
            Sample::new("nobody_knows", 9.0),
        ];
        let text = text(&samples);
        assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), FAMILIES.len());
        assert!(text.contains("# TYPE signing_agent_ready gauge\nsigning_agent_ready 1\n"));
        assert!(text.contains("signing_agent_stage_seconds_bucket{stage=\"judged\",le=\"0.1\"} 2\n"));
        assert!(text.contains("{type=\"a\\\"b\\\\c\\nd\",verdict=\"held\"} 3\n"));
        assert!(!text.contains("nobody_knows"));
        for Family { name, kind, .. } in &FAMILIES {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        }
    }
}
