//! Checkpoints leave the machine: to the journal, to a directory, and to witnesses (C2SP tlog-witness) by the courier. What
//! left cannot be rewritten by who captures the vault later.

use crate::errands::{Job, TIMEOUT};
use crate::files;
use crate::ledger::audit;
use crate::room::Room;
use crate::vault::Vault;
use ::audit::witness::{add_checkpoint_body, conflict_size, cosignatures};
use config::seams::pace;
use ipc::{Method, Outcome, Place, Secret};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two tries of a witness that has not cosigned the newest checkpoint.
const AGAIN: Duration = Duration::from_secs(30);
/// So long a witness may lag behind before a person should look.
const BEHIND: Duration = Duration::from_secs(5 * 60);

pub struct Witnesses {
    each: Vec<Mutex<Seen>>,
    newest: Mutex<Option<(u64, String)>>,
    /// The directory's trouble is told: the alarm itself is a record, whose checkpoint it would not take either.
    unwritten: AtomicBool,
}

/// What a witness is thought to have seen.
#[derive(Default)]
struct Seen {
    /// What it has, as far as is known: where the next proof begins.
    size: u64,
    /// What it cosigned last.
    cosigned: u64,
    /// It is being asked.
    busy: bool,
    tried: Option<Instant>,
    /// Since when there is something newer than it cosigned.
    behind: Option<Instant>,
    /// Its trouble is told: the alarm itself is a record, whose checkpoint it would refuse next.
    alarmed: bool,
}

impl Witnesses {
    pub fn new(count: usize) -> Self {
        Self {
            each: std::iter::repeat_with(Mutex::default).take(count).collect(),
            newest: Mutex::default(),
            unwritten: AtomicBool::new(false),
        }
    }

    /// Sends a checkpoint everywhere. One that a witness is too busy for is passed over: the next covers it too.
    pub fn publish(&self, room: &Arc<Room>, vault: &Arc<Vault>, size: u64, note: String) {
        tracing::info!(size, checkpoint = note, "audit checkpoint");
        if let Some(dir) = &room.config.audit.witness_dir {
            match write(dir, size, "", &note) {
                Ok(()) => self.unwritten.store(false, Ordering::SeqCst),
                Err(e) => {
                    let words = format!("a checkpoint could not be written to {}: {e}", dir.display());
                    if self.unwritten.swap(true, Ordering::SeqCst) {
                        tracing::warn!("{words}");
                    } else {
                        vault.alarm(None, &words);
                    }
                }
            }
        }
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((size, note));
        self.send(room, vault, Duration::ZERO);
    }

    /// Asks again who has not cosigned the newest checkpoint, and tells of who has not for too long.
    pub fn tend(&self, room: &Arc<Room>, vault: &Arc<Vault>) {
        self.send(room, vault, pace(AGAIN));
        for number in 0..self.each.len() {
            let late = self.seen(number).is_some_and(|seen| seen.behind.is_some_and(|s| s.elapsed() > pace(BEHIND)));
            if late {
                self.alarm(vault, number, "has not cosigned the audit log for five minutes; the log says why");
            }
        }
    }

    /// The newest checkpoint, to each witness that has not cosigned it and was not asked for so long.
    fn send(&self, room: &Arc<Room>, vault: &Arc<Vault>, pause: Duration) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((size, note)) = newest else { return };
        for number in 0..self.each.len() {
            let due = self.seen(number).is_some_and(|mut seen| {
                let due = seen.cosigned < size && !seen.busy && seen.tried.is_none_or(|tried| tried.elapsed() >= pause);
                if due {
                    (seen.busy, seen.tried) = (true, Some(Instant::now()));
                    seen.behind.get_or_insert_with(Instant::now);
                }
                due
            });
            if due {
                submit(room, vault, number, size, note.clone(), true);
            }
        }
    }

    /// Which have not cosigned the newest checkpoint, although they had their time.
    pub fn behind(&self) -> Vec<usize> {
        let late = |n: &usize| self.seen(*n).is_some_and(|seen| seen.behind.is_some_and(|s| s.elapsed() > pace(AGAIN)));
        (0..self.each.len()).filter(late).collect()
    }

    /// It cosigned so much.
    fn cosigned(&self, number: usize, size: u64) {
        if let Some(mut seen) = self.seen(number) {
            seen.size = seen.size.max(size);
            seen.cosigned = seen.cosigned.max(size);
            // What came meanwhile need not wait.
            (seen.behind, seen.tried, seen.alarmed) = (None, None, false);
        }
    }

    /// Once, until it cosigns again.
    fn alarm(&self, vault: &Vault, number: usize, words: &str) {
        let told = self.seen(number).is_none_or(|mut seen| std::mem::replace(&mut seen.alarmed, true));
        if !told {
            vault.alarm(None, &format!("witness {number} {words}"));
        }
    }

    fn seen(&self, number: usize) -> Option<MutexGuard<'_, Seen>> {
        Some(self.each.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A new file each: an older one is never touched again.
fn write(dir: &Path, size: u64, by: &str, note: &str) -> std::io::Result<()> {
    let path = dir.join(format!("checkpoint-{size:020}{by}"));
    if path.exists() { Ok(()) } else { files::write(&path, note.as_bytes()) }
}

/// `again` where a conflict may be answered once more, with the proof from what the witness says it has.
fn submit(room: &Arc<Room>, vault: &Arc<Vault>, number: usize, size: u64, note: String, again: bool) {
    let (room, then) = (room.clone(), vault.clone());
    let old = room.witnesses.seen(number).map_or(0, |seen| seen.size).min(size);
    vault.ledger.post(
        move |t| if old == 0 { Ok(Vec::new()) } else { audit::consistency(t, old, size) },
        move |proof| {
            let done = move |room: &Room| room.witnesses.seen(number).map(|mut seen| seen.busy = false);
            let (Ok(proof), Ok(place)) = (proof, u16::try_from(number)) else {
                done(&room);
                return;
            };
            let body = add_checkpoint_body(old, &proof, &note).into_bytes();
            let errands = room.errands.clone();
            errands.add(Job {
                place: Place::Witness(place),
                method: Method::Post,
                tail: String::new(),
                headers: vec![("content-type".into(), Secret::new("text/plain; charset=utf-8".into()))],
                body,
                timeout: TIMEOUT,
                pass: None,
                until: Some(Instant::now() + TIMEOUT),
                may_go: None,
                pauses: false,
                done: Box::new(move |outcome| {
                    // What has our size already is asked to sign it again, or to say that its root is another.
                    if let Some(has) =
                        answered(&room, &then, number, (old, size, &note), outcome).filter(|has| again && *has <= size)
                    {
                        if let Some(mut seen) = room.witnesses.seen(number) {
                            seen.size = has;
                        }
                        return submit(&room, &then, number, size, note, false);
                    }
                    done(&room);
                }),
            });
        },
    );
}

/// The size that the witness says it has, where it is another than we thought.
fn answered(
    room: &Room,
    vault: &Vault,
    number: usize,
    (old, size, note): (u64, u64, &str),
    outcome: Outcome,
) -> Option<u64> {
    let failed = |why: &str| tracing::warn!(witness = number, size, "not witnessed: {why}");
    match outcome {
        Outcome::Reply { status: 200, body, .. } => {
            let lines = cosignatures(&String::from_utf8_lossy(&body));
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if text.is_empty() {
                failed("its answer has no cosignature");
                return None;
            }
            room.witnesses.cosigned(number, size);
            let whole = format!("{note}{text}");
            tracing::info!(witness = number, size, cosigned = whole, "witnessed");
            if let Some(dir) = &room.config.audit.witness_dir
                && let Err(e) = write(dir, size, &format!("-witness-{number}"), &whole)
            {
                failed(&format!("its cosignature could not be written: {e}"));
            }
            vault.ledger.post(
                move |t| audit::cosigned(t, size, &text),
                move |kept| {
                    if let Err(e) = kept {
                        tracing::error!(witness = number, "its cosignature was not kept: {e}");
                    }
                },
            );
            None
        }
        Outcome::Reply { status: 409, body, .. } => {
            let has = conflict_size(&String::from_utf8_lossy(&body));
            let wrong = match has {
                None => Some("refuses the audit log and does not say what it has of it (409)"),
                Some(has) if has > size => {
                    Some("has seen more of the audit log than there is: it was rolled back, or another uses its key")
                }
                Some(has) if has == old => {
                    Some("has another audit log of the same size than this: it was rewritten, or another uses its key")
                }
                Some(_) => None,
            };
            if let Some(words) = wrong {
                room.witnesses.alarm(vault, number, words);
            }
            has.filter(|has| *has != old)
        }
        Outcome::Reply { status: 422, .. } => {
            failed("status 422");
            let words = "finds that the audit log is not the one that it saw, grown (422): it was rewritten, or another uses its key";
            room.witnesses.alarm(vault, number, words);
            None
        }
        Outcome::Reply { status, .. } => {
            failed(&format!("status {status}"));
            None
        }
        Outcome::Failed(why) => {
            failed(&format!("{why:?}"));
            None
        }
    }
}
