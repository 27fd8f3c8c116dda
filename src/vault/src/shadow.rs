//! A policy that is judged beside the one in force, to see what it would do. It is asked after the verdict, on a thread of its
//! own, of what that thread has time for; nothing that it says, and no fault of it, changes anything.

use crate::active::Active;
use crate::pipeline::Judged;
use ipc::{ActionId, ShadowStatus};
use policy::{Action, Judgement, Verdict};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What may wait for it, actions and octets of messages.
const QUEUE: usize = 256;
const MOST_OCTETS: usize = 4 << 20;
/// Differences that are kept at hand.
const LAST: usize = 8;
/// Actions that it is known to have judged: each counts once.
const KNOWN: usize = 10_000;

/// One action, and what was said of it.
struct Case {
    id: ActionId,
    claim: Option<String>,
    expires: Option<u64>,
    messages: Vec<Vec<u8>>,
    now: Option<u64>,
    said: Judgement,
    octets: usize,
}

/// Where the configuration names none, there is nothing of it.
pub struct Shadow {
    file: Option<PathBuf>,
    queue: Option<SyncSender<Case>>,
    queued: Arc<AtomicUsize>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Or why it could not be loaded.
    active: Option<Result<Arc<Active>, String>>,
    known: HashSet<ActionId>,
    status: ShadowStatus,
    last: VecDeque<String>,
}

impl Shadow {
    /// A fault in it is a warning.
    pub fn start(file: Option<PathBuf>) -> Shadow {
        let (state, queued) = (Arc::<Mutex<State>>::default(), Arc::<AtomicUsize>::default());
        let queue = file.is_some().then(|| {
            let (queue, cases) = sync_channel(QUEUE);
            let (state, queued) = (state.clone(), queued.clone());
            thread::spawn(move || compare_all(&cases, &state, &queued));
            queue
        });
        let shadow = Shadow { file, queue, queued, state };
        if let Err(words) = shadow.reload() {
            tracing::warn!("there is no shadow: {words}");
        }
        shadow
    }

    /// Reads it again, and begins to count anew; a fault in it leaves none.
    pub fn reload(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let read = Active::read(file, "[policy] shadow");
        let words = read.as_ref().err().map(|words| format!("the shadow is not judged by: {words}"));
        *self.lock() = State { active: Some(read.map(Arc::new)), ..State::default() };
        words.map_or(Ok(()), Err)
    }

    /// Takes a copy of it, where there is a shadow; it waits for nothing.
    pub fn judge(&self, judged: &Judged, now: Option<u64>) {
        let Some(queue) = &self.queue else { return };
        let (seen, octets) = (judged.seen(), judged.messages().iter().map(Vec::len).sum());
        if self.queued.fetch_add(octets, Ordering::SeqCst) + octets > MOST_OCTETS {
            return self.skip(octets);
        }
        let case = Case {
            id: seen.id.clone(),
            claim: seen.claim.clone(),
            expires: seen.expires,
            messages: judged.messages().to_vec(),
            now,
            said: judged.judgement().clone(),
            octets,
        };
        if queue.try_send(case).is_err() {
            self.skip(octets);
        }
    }

    fn skip(&self, octets: usize) {
        self.queued.fetch_sub(octets, Ordering::SeqCst);
        self.lock().status.skipped += 1;
    }

    pub fn status(&self) -> Option<ShadowStatus> {
        self.file.as_ref()?;
        let state = self.lock();
        let policy = match &state.active {
            Some(Ok(active)) => active.name(),
            Some(Err(words)) => ipc::bounded(words),
            None => String::new(),
        };
        Some(ShadowStatus { policy, last: state.last.iter().cloned().collect(), ..state.status.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compare_all(cases: &Receiver<Case>, state: &Mutex<State>, queued: &AtomicUsize) {
    for case in cases {
        queued.fetch_sub(case.octets, Ordering::SeqCst);
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Ok(active)) = lock().active.clone() else { continue };
        let action = Action {
            claimed_type: case.claim.as_deref(),
            messages: &case.messages,
            expires: case.expires,
            now: case.now,
        };
        let would = active.policy.judge(&action);
        let mut state = lock();
        // It may have been replaced while this was judged.
        if !matches!(&state.active, Some(Ok(now)) if Arc::ptr_eq(now, &active)) {
            continue;
        }
        if state.known.len() >= KNOWN {
            state.known.clear();
        }
        if state.known.insert(case.id.clone()) {
            state.status.judged += 1;
            if let Some(words) = difference(&case.said, &would) {
                tracing::info!(action = %case.id, "the shadow differs: {words}");
                state.status.differing += 1;
                state.last.push_back(format!("{}: {words}", case.id));
                while state.last.len() > LAST {
                    state.last.pop_front();
                }
            }
        }
    }
}

/// Another verdict, or of what both hold another release.
fn difference(said: &Judgement, would: &Judgement) -> Option<String> {
    if said.verdict == would.verdict && (said.verdict != Verdict::Hold || said.release == would.release) {
        return None;
    }
    Some(format!("the policy says {}; the shadow {}", told(said), told(would)))
}

fn told(judgement: &Judgement) -> String {
    let rule = judgement.rule.as_ref().map_or("no rule".to_owned(), |rule| format!("rule \"{rule}\""));
    match judgement.verdict {
        Verdict::Hold => format!("hold ({rule}; {})", judgement.release),
        verdict => format!("{} ({rule})", verdict.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Seen;
    use policy::Policy;
    use std::time::{Duration, Instant};

    fn judged(id: &str, message: Vec<u8>) -> Judged {
        let seen = Seen { id: ActionId::try_from(id.to_owned()).unwrap(), claim: None, expires: Some(2) };
        Judged::new(&Policy::hold_all(), seen, vec![message], Some(1))
    }

    fn until(condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < end, "not within half a minute");
            thread::yield_now();
        }
    }

    #[test]
    fn a_shadow_that_has_no_time_leaves_out_and_counts_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("next.toml");
        std::fs::write(&file, "[[rule]]\nname = \"none\"\nverdict = \"deny\"\n").unwrap();
        let shadow = Shadow::start(Some(file));
        // It waits for the state, as if it were slow.
        let busy = shadow.lock();
        let mut sent = 0;
        let queue = shadow.queue.as_ref().unwrap();
        let case = |n: usize, octets| Case {
            id: ActionId::try_from(format!("w{n}")).unwrap(),
            claim: None,
            expires: None,
            messages: vec![vec![0xff]],
            now: Some(1),
            said: judged("w", vec![0xff]).judgement().clone(),
            octets,
        };
        while queue.try_send(case(sent, 0)).is_ok() {
            sent += 1;
        }
        assert!((QUEUE..=QUEUE + 1).contains(&sent));
        drop(busy);
        until(|| shadow.status().unwrap().judged == sent as u64);
        shadow.judge(&judged("large", vec![0xff; MOST_OCTETS + 1]), Some(1));
        shadow.judge(&judged("again", vec![0xff; MOST_OCTETS]), Some(1));
        until(|| shadow.status().unwrap().judged == sent as u64 + 1);
        // The same action is counted once.
        shadow.judge(&judged("again", vec![0xff; 1]), Some(1));
        shadow.judge(&judged("other", vec![0xff; 1]), Some(1));
        until(|| shadow.status().unwrap().judged == sent as u64 + 2);
        let status = shadow.status().unwrap();
        assert_eq!((status.skipped, status.differing, status.last.len()), (1, status.judged, LAST), "{status:?}");
        assert_eq!(shadow.queued.load(Ordering::SeqCst), 0);
    }
}
