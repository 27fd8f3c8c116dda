//! Checkpoints leave the machine: to the journal, to a directory, and to witnesses (C2SP tlog-witness) by the courier. What
//! left cannot be rewritten by who captures the vault later.

use crate::errands::{Job, TIMEOUT};
use crate::files;
use crate::ledger::audit;
use crate::room::Room;
use crate::vault::Vault;
use ::audit::witness::{add_checkpoint_body, conflict_size, cosignatures};
use ipc::{Method, Outcome, Place, Secret};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each witness of the configuration is thought to have seen last.
pub struct Witnesses(Vec<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    size: u64,
    /// It is being asked.
    busy: bool,
}

impl Witnesses {
    pub fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(count).collect())
    }

    /// Sends a checkpoint everywhere. One that a witness is too busy for is passed over: the next covers it too.
    pub fn publish(&self, room: &Arc<Room>, vault: &Arc<Vault>, size: u64, note: String) {
        tracing::info!(size, checkpoint = note, "audit checkpoint");
        if let Some(dir) = &room.config.audit.witness_dir
            && let Err(e) = write(dir, size, "", &note)
        {
            vault.alarm(None, &format!("a checkpoint could not be written to {}: {e}", dir.display()));
        }
        for number in 0..self.0.len() {
            let free = self.seen(number).is_some_and(|mut seen| !std::mem::replace(&mut seen.busy, true));
            if free {
                submit(room, vault, number, size, note.clone(), true);
            }
        }
    }

    fn seen(&self, number: usize) -> Option<MutexGuard<'_, Seen>> {
        Some(self.0.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
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
                pass: None,
                within: Some(TIMEOUT),
                done: Box::new(move |outcome| {
                    if let Some(has) =
                        answered(&room, &then, number, (size, &note), outcome).filter(|has| again && *has < size)
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
fn answered(room: &Room, vault: &Vault, number: usize, (size, note): (u64, &str), outcome: Outcome) -> Option<u64> {
    let failed = |why: &str| tracing::warn!(witness = number, size, "not witnessed: {why}");
    match outcome {
        Outcome::Reply { status: 200, body, .. } => {
            if let Some(mut seen) = room.witnesses.seen(number) {
                seen.size = seen.size.max(size);
            }
            let lines = cosignatures(&String::from_utf8_lossy(&body));
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if text.is_empty() {
                failed("its answer has no cosignature");
                return None;
            }
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
            if has.is_none_or(|has| has > size) {
                vault.alarm(None, "a witness has seen more of the audit log than there is: it was rolled back, or another uses its key");
            }
            has
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
