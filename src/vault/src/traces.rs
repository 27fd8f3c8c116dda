//! Traces: where an action's time goes, for a collector of OpenTelemetry's (docs/logs.md). Nothing waits for them: what there is no
//! room for is dropped, and counted. They are no record; that is the audit log.

use crate::clock::Clock;
use crate::reply::Reply;
use ipc::{ActionId, Answer, Method, Span, Verb, Work, unix_nanos};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Actions under way; with one more, the one that has rested longest is as if it had not been seen.
const MOST_UNDER_WAY: usize = 4096;
/// Spans that wait for the courier.
const MOST_SPANS: usize = 8192;
/// Spans that go at once.
const BATCH: usize = 512;
/// From the first to the going of a batch.
const GATHER: Duration = Duration::from_secs(1);

/// Kinds of spans (opentelemetry-proto, `Span.SpanKind`).
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// Without an inside there are none.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inside>>);

struct Inside {
    clock: Clock,
    keys: RandomState,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    under_way: HashMap<ActionId, Way>,
    ready: VecDeque<Told>,
    asking: Option<Reply>,
    gathering: bool,
    taken: u64,
    dropped: u64,
    lost: u64,
}

/// How far an action is. Unix nanoseconds.
struct Way {
    began: u64,
    last: u64,
    held: bool,
}

/// A span that is over.
struct Told {
    room: &'static str,
    action: ActionId,
    /// The action from end to end: what the others are parts of.
    whole: bool,
    name: String,
    kind: u8,
    began: u64,
    ended: u64,
    failed: bool,
    attributes: Vec<(&'static str, String)>,
}

impl Traces {
    pub fn new(wanted: bool, clock: Clock) -> Self {
        Self(wanted.then(|| Arc::new(Inside { clock, keys: RandomState::new(), now: Mutex::default() })))
    }

    /// The feed has named it.
    pub fn seen(&self, id: &ActionId) {
        self.in_it(|now| {
            now.way(id);
        });
    }

    /// A step is done that began when the last one was.
    pub fn reached(&self, id: &ActionId, step: &'static str) {
        self.in_it(|now| now.step(id, step));
    }

    /// What the ledger says of it now; `over`: that is its end.
    pub fn heard(&self, id: &ActionId, status: &str, claim: Option<&str>, over: bool) {
        self.in_it(|now| {
            if status == "held" {
                now.step(id, "held");
                now.way(id).held = true;
            } else if over {
                now.step(id, "settled");
                let Some(way) = now.under_way.remove(id) else { return };
                let mut attributes = vec![("signing_agent.action.outcome", status.to_owned())];
                attributes.extend(claim.map(|claim| ("signing_agent.action.type", ipc::bounded(claim))));
                now.add(Told {
                    whole: true,
                    failed: matches!(status, "failed" | "unknown"),
                    attributes,
                    ..Told::of_the_vault(id, "action", way.began, way.last)
                });
            }
        });
    }

    /// What a door says of its own work; the lane has looked at its form.
    pub fn of_a_door(&self, Span { action, work, began, ended }: Span) {
        let plain = Told::of_the_vault(&action, "", began, ended);
        let told = match work {
            Work::Decision { verb, request, status } => Told {
                room: "api",
                name: format!("{} /api/v1/client/action/{{id}}", if verb == Verb::Approve { "PUT" } else { "DELETE" }),
                kind: SERVER,
                failed: status >= 500,
                attributes: [("http.response.status_code", status.to_string())]
                    .into_iter()
                    .chain(request.map(|request| ("signing_agent.request.id", request.to_string())))
                    .collect(),
                ..plain
            },
            Work::Errand { errand, method, status } => Told {
                room: "courier",
                name: format!("{} action/{{id}}", method_name(method)),
                kind: CLIENT,
                failed: status.is_none_or(|status| status >= 400),
                attributes: [("signing_agent.errand", errand.to_string())]
                    .into_iter()
                    .chain(status.map(|status| ("http.response.status_code", status.to_string())))
                    .collect(),
                ..plain
            },
        };
        self.in_it(|now| now.add(told));
    }

    /// The courier takes what there is, as soon as there is some; of what it took before, so much was lost.
    pub fn ask(&self, reply: Reply, lost: u64) {
        if self.0.is_none() {
            return reply.send(Answer::Noted);
        }
        self.in_it(|now| {
            now.lost = now.lost.saturating_add(lost);
            now.asking = Some(reply);
        });
    }

    /// Spans since the start, by what became of them.
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let of = |now: &Now| [("taken", now.taken), ("dropped", now.dropped), ("lost", now.lost)];
        self.0.as_ref().map_or_else(|| of(&Now::default()), |inside| of(&inside.lock()))
    }

    fn in_it(&self, what: impl FnOnce(&mut Now)) {
        let Some(inside) = &self.0 else { return };
        let mut now = inside.lock();
        what(&mut now);
        if now.asking.is_some() && !now.ready.is_empty() && !std::mem::replace(&mut now.gathering, true) {
            let then = self.clone();
            inside.clock.after(GATHER, move || then.give());
        }
    }

    fn give(&self) {
        let Some(inside) = &self.0 else { return };
        let mut now = inside.lock();
        now.gathering = false;
        let Some(reply) = now.asking.take().filter(|reply| !reply.is_lost()) else { return };
        let count = now.ready.len().min(BATCH);
        let batch: Vec<Told> = now.ready.drain(..count).collect();
        let first = now.taken + 1;
        now.taken += count as u64;
        drop(now);
        let ids = (first..).map(|number| format!("{:016x}", inside.keys.hash_one(number)));
        let body = otlp(&batch, ids).to_string().into_bytes();
        reply.send(Answer::Traces { body, spans: count as u64 });
    }
}

impl Inside {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// It begins now, where nothing is known of it.
    fn way(&mut self, id: &ActionId) -> &mut Way {
        // Of some no end is ever heard: those that only a client named, who went away.
        if self.under_way.len() >= MOST_UNDER_WAY && !self.under_way.contains_key(id) {
            let rested = self.under_way.iter().min_by_key(|(_, way)| way.last).map(|(id, _)| id.clone());
            rested.map(|id| self.under_way.remove(&id));
        }
        let now = unix_nanos();
        self.under_way.entry(id.clone()).or_insert(Way { began: now, last: now, held: false })
    }

    fn step(&mut self, id: &ActionId, step: &'static str) {
        let way = self.way(id);
        let (began, ended) = (way.last, unix_nanos());
        way.last = ended;
        // What comes after a hold came to it after people had thought.
        let name = if std::mem::take(&mut way.held) { "waited" } else { step };
        self.add(Told::of_the_vault(id, name, began, ended));
    }

    fn add(&mut self, told: Told) {
        if self.ready.len() >= MOST_SPANS {
            self.dropped += 1;
        } else {
            self.ready.push_back(told);
        }
    }
}

impl Told {
    fn of_the_vault(action: &ActionId, name: &str, began: u64, ended: u64) -> Self {
        let action = action.clone();
        let attributes = Vec::new();
        Self {
            room: "vault",
            action,
            whole: false,
            name: name.into(),
            kind: INTERNAL,
            began,
            ended,
            failed: false,
            attributes,
        }
    }

    /// The trace of an action is named by the action alone, so that no room has to tell another.
    fn json(&self, id: &str) -> Value {
        let digest = hex::encode(Sha256::digest(self.action.as_str()));
        let (trace, whole) = (&digest[..32], &digest[32..48]);
        let about = ("signing_agent.action.id", self.action.to_string());
        let attributes = self.attributes.iter().chain([&about]);
        let attributes: Vec<Value> =
            attributes.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect();
        json!({
            "traceId": trace,
            "spanId": if self.whole { whole } else { id },
            "parentSpanId": if self.whole { "" } else { whole },
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": self.began.to_string(),
            "endTimeUnixNano": self.ended.to_string(),
            "attributes": attributes,
            "status": if self.failed { json!({"code": 2}) } else { json!({}) },
        })
    }
}

/// An `ExportTraceServiceRequest` as JSON (OTLP 1.x, "JSON Protobuf Encoding"): each room is a service.
fn otlp(batch: &[Told], ids: impl Iterator<Item = String>) -> Value {
    let mut of: HashMap<&str, Vec<Value>> = HashMap::new();
    for (told, id) in batch.iter().zip(ids) {
        of.entry(told.room).or_default().push(told.json(&id));
    }
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let rooms = of.into_iter().map(|(room, spans)| {
        let attributes = [
            text("service.namespace", "signing-agent"),
            text("service.name", &format!("signing-agent-{room}")),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        json!({"resource": {"attributes": attributes},
               "scopeSpans": [{"scope": {"name": "signing-agent"}, "spans": spans}]})
    });
    json!({"resourceSpans": rooms.collect::<Vec<_>>()})
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ActionId {
        ActionId::try_from(name.to_owned()).unwrap()
    }

    fn names(traces: &Traces) -> Vec<String> {
        traces.0.as_ref().unwrap().lock().ready.iter().map(|told| told.name.clone()).collect()
    }

    #[test]
    fn an_action_is_told_step_by_step_and_as_a_whole() {
        let traces = Traces::new(true, Clock::default());
        let w1 = id("w1");
        traces.seen(&w1);
        traces.reached(&w1, "judged");
        traces.heard(&w1, "held", None, false);
        traces.reached(&w1, "judged");
        traces.reached(&w1, "signed");
        traces.heard(&w1, "approved", Some("ApproveTransfer"), true);
        assert_eq!(names(&traces), ["judged", "held", "waited", "signed", "settled", "action"]);
        let inside = traces.0.as_ref().unwrap();
        assert!(inside.lock().under_way.is_empty());
        let told: Vec<Told> = inside.lock().ready.drain(..).collect();
        assert!(told.windows(2).all(|two| two[0].ended <= two[1].ended), "one after the other");
        let body = otlp(&told, (1..).map(|n: u64| format!("{n:016x}")));
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        let whole = spans.last().unwrap();
        assert_eq!(whole["parentSpanId"], "");
        assert!(spans[..5].iter().all(|span| span["parentSpanId"] == whole["spanId"]), "{body:#}");
        // printf %s w1 | sha256sum
        assert_eq!(whole["traceId"], "60c5590f72eef292f9545afc28bf63ca", "{body:#}");
        assert!(spans.iter().all(|span| span["traceId"] == whole["traceId"]));
    }

    #[test]
    fn what_there_is_no_room_for_is_dropped_and_counted() {
        let traces = Traces::new(true, Clock::default());
        for n in 0..MOST_UNDER_WAY + 10 {
            traces.reached(&id(&format!("a{n}")), "judged");
        }
        let span = |began| Span {
            action: id("w1"),
            began,
            ended: 9,
            work: Work::Errand { errand: 1, method: Method::Get, status: None },
        };
        (0..MOST_SPANS as u64).for_each(|n| traces.of_a_door(span(n)));
        let now = traces.0.as_ref().unwrap().lock();
        assert_eq!((now.under_way.len(), now.ready.len()), (MOST_UNDER_WAY, MOST_SPANS));
        drop(now);
        assert_eq!(traces.counts(), [("taken", 0), ("dropped", 10 + MOST_UNDER_WAY as u64), ("lost", 0)]);
    }

    #[test]
    fn actions_whose_end_is_never_heard_of_keep_no_other_from_being_told() {
        let traces = Traces::new(true, Clock::default());
        for n in 0..=MOST_UNDER_WAY {
            traces.seen(&id(&format!("a{n}")));
        }
        let last = id(&format!("a{MOST_UNDER_WAY}"));
        traces.heard(&last, "approved", None, true);
        assert_eq!(names(&traces), ["settled", "action"]);
        assert_eq!(traces.0.as_ref().unwrap().lock().under_way.len(), MOST_UNDER_WAY - 1, "one made room for it");
    }

    #[test]
    fn where_nobody_wants_them_there_are_none() {
        let traces = Traces::default();
        traces.reached(&id("w1"), "judged");
        assert_eq!(traces.counts(), [("taken", 0), ("dropped", 0), ("lost", 0)]);
    }
}
