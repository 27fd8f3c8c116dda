//! Checkpoints of the audit log: when one is due it is signed in the token, kept, remembered by the token and published. The
//! same thread looks whether token, seal and ledger are alive.

use crate::clock;
use crate::ledger::{Condition, InForce, Ledger, audit};
use crate::memory::{self, Mark};
use crate::room::{Room, Trouble};
use crate::vault::Vault;
use ::audit::{Checkpoint, VerifyingKey};
use config::seams::{crash_point, pace};
use hsm::{Memory, PublicKeys, Role, Token, seal};
use serde_json::json;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_secs(1);
/// Between two looks at the token while it is well.
const CANARY: Duration = Duration::from_secs(15);
/// So long after a checkpoint was due, and could not be made, nothing more is signed: what is signed in between is what
/// somebody who puts back the disk could hide.
const EXPOSURE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
    #[error(transparent)]
    Token(#[from] hsm::Error),
    #[error(transparent)]
    Log(#[from] ::audit::Error),
    #[error("no checkpoint could be made in time")]
    Late,
}

type Wish = Sender<Result<u64, String>>;

pub struct Notary {
    pub key: VerifyingKey,
    epoch: u64,
    wishes: Sender<Wish>,
    wished: Mutex<Option<Receiver<Wish>>>,
    state: Mutex<State>,
}

struct State {
    /// `None` where the configuration wants none.
    memory: Option<Memory>,
    /// Since when no checkpoint could be made, and why.
    overdue: Option<(Instant, String)>,
    /// When the token was last looked at, and what it said.
    looked: Option<Instant>,
    ill: Option<String>,
    /// How many records the last checkpoint covers that left, in this life or before it.
    published: u64,
}

/// The name of this agent's log: after its audit key.
pub fn key(audit: &[u8; 65]) -> Result<VerifyingKey, ::audit::Error> {
    use sha2::{Digest, Sha256};
    VerifyingKey::from_point(&format!("signing-agent/{}", &hex::encode(Sha256::digest(audit))[..16]), audit)
}

impl Notary {
    /// Checks the log, compares the ledger with what the token remembers, and puts this start on record. `accepted` names
    /// the operator who takes the ledger as it is, whatever the token remembers; it starts frozen then.
    pub fn begin(
        room: &Room,
        token: &Token,
        keys: &PublicKeys,
        ledger: &Ledger,
        accepted: Option<String>,
    ) -> Result<Self, Trouble> {
        let key = key(&keys.audit).map_err(Trouble::lasting)?;
        let checked = key.clone();
        if let Some(why) = ledger.call(move |t| audit::check(t, &checked)).map_err(Trouble::lasting)? {
            return Err(Trouble::lasting(format!(
                "the audit log in the ledger is damaged ({why}): restore the state directory from a backup; nothing is signed"
            )));
        }
        let remembering = room.config.ledger.token_memory;
        let compared = if remembering { memory::compare(token, ledger).map(Some) } else { Ok(None) };
        let (memory, rollback) = match (compared, accepted) {
            (Err(trouble), Some(who)) if trouble.rollback => (None, Some((trouble.words, who))),
            (compared, _) => (compared?, None),
        };
        let (active, accepted) = (room.policy.active(), rollback.clone());
        let epoch = ledger.call(move |t| {
            let epoch = Condition::Epoch.read(t)? + 1;
            Condition::Epoch.write(t, epoch)?;
            let version = env!("CARGO_PKG_VERSION");
            let policy = active.hash();
            let fields = json!({ "version": version, "start": epoch, "policy": policy, "tokenMemory": remembering });
            audit::append(t, "start", &fields)?;
            let in_force = InForce::of(&active.policy);
            if InForce::read(t)? != Some(in_force) {
                in_force.write(t, "start", &active.source())?;
            }
            if let Some((words, who)) = accepted {
                Condition::Frozen.write(t, 1)?;
                audit::append(t, "rollback-accepted", &json!({ "by": who, "words": words }))?;
            }
            Ok((epoch, audit::counts(t)?.1))
        });
        let (epoch, published) = epoch.map_err(Trouble::lasting)?;
        let memory = match rollback {
            None => memory,
            Some(_) => {
                let (size, note) = sign(token, ledger, &key).map_err(Trouble::passing)?;
                let mark = Mark::new(epoch, size, &note).to_bytes();
                Some(token.replace_memory(&mark).map_err(Trouble::passing)?)
            }
        };
        let (wishes, wished) = channel();
        let state = State { memory, overdue: None, looked: None, ill: None, published };
        Ok(Self { key, epoch, wishes, wished: Mutex::new(Some(wished)), state: Mutex::new(state) })
    }

    /// Begins its rounds; they end with the vault.
    pub fn start(room: &Arc<Room>, vault: &Arc<Vault>) {
        let wished = vault.notary.wished.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (room, vault) = (room.clone(), vault.clone());
        if let Some(wished) = wished {
            thread::spawn(move || rounds(&room, &vault, &wished));
        }
    }

    /// A checkpoint of all that is in the log now; how many records it covers.
    pub fn checkpoint_within(&self, patience: Duration) -> Result<u64, String> {
        let (tell, told) = channel();
        self.wishes.send(tell).map_err(|_| Error::Late.to_string())?;
        told.recv_timeout(patience).unwrap_or_else(|_| Err(Error::Late.to_string()))
    }

    /// What the token remembers.
    pub fn memory(&self) -> Option<Memory> {
        self.lock().memory.clone()
    }

    /// Why nothing may be signed now.
    pub fn overdue(&self) -> Option<String> {
        let state = self.lock();
        let (since, why) = state.overdue.as_ref()?;
        (since.elapsed() > pace(EXPOSURE)).then(|| format!("the audit log has had no checkpoint for too long: {why}"))
    }

    /// Why no checkpoint can be made now, if so.
    pub fn checkpoint_trouble(&self) -> Option<String> {
        self.lock().overdue.as_ref().map(|(_, why)| why.clone())
    }

    /// What is not well.
    pub fn complaints(&self) -> Vec<String> {
        let state = self.lock();
        let overdue =
            state.overdue.as_ref().map(|(_, why)| format!("no checkpoint of the audit log can be made: {why}"));
        state.ill.clone().into_iter().chain(overdue).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rounds(room: &Arc<Room>, vault: &Arc<Vault>, wished: &Receiver<Wish>) {
    // The start itself is put under a checkpoint at once: another vault with this token finds out that there is one.
    let (mut wish_of_ours, mut uncovered_since) = (true, None);
    loop {
        let wait = if wish_of_ours { Duration::ZERO } else { pace(TICK) };
        let mut wishes: Vec<Wish> = match wished.recv_timeout(wait) {
            Ok(wish) => vec![wish],
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        wishes.extend(wished.try_iter());
        let wish = !wishes.is_empty() || std::mem::take(&mut wish_of_ours);
        let done = turn(room, vault, wish, &mut uncovered_since);
        if let Err(Error::Token(e @ hsm::Error::MemoryChanged { .. })) = &done {
            // Another vault works with this token, or it was exchanged. What is in memory here is worth nothing now, and
            // the next start finds out which it is.
            tracing::error!("{e}; the vault ends itself");
            std::process::abort();
        }
        let mut state = vault.notary.lock();
        state.overdue = match &done {
            Ok(_) => None,
            Err(e) => {
                let since = state.overdue.take().map_or_else(Instant::now, |(since, _)| since);
                Some((since, e.to_string()))
            }
        };
        drop(state);
        for wish in wishes {
            // Who wished for it may have gone.
            let _ = wish.send(done.as_ref().map(|size| *size).map_err(ToString::to_string));
        }
        room.witnesses.tend(room, vault);
        look(vault);
    }
}

/// Makes a checkpoint if one is due, and has the token remember the last; how many records that covers.
fn turn(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    wished: bool,
    uncovered_since: &mut Option<Instant>,
) -> Result<u64, Error> {
    // A disk that was full or broken is tried again here, so that health says when it is well.
    if vault.ledger.complaint().is_some() {
        vault.ledger.call(|t| Condition::Pulse.write(t, clock::now()))?;
    }
    let (size, covered) = vault.ledger.call(audit::counts)?;
    // A recovery makes one before there is anybody to send it.
    let published = vault.notary.lock().published;
    if published < covered
        && let Some(note) = vault.ledger.call(move |t| audit::checkpoint(t, covered))?
    {
        publish(room, vault, covered, note);
    }
    if size == covered {
        *uncovered_since = None;
    } else {
        let since = *uncovered_since.get_or_insert_with(Instant::now);
        let wanted = &room.config.audit;
        let enough = size - covered >= wanted.checkpoint_records || since.elapsed() >= pace(wanted.checkpoint_interval);
        if wished || enough {
            let (size, note) = sign(&vault.token, &vault.ledger, &vault.notary.key)?;
            *uncovered_since = None;
            // First, for it is signed and kept whether the token remembers it or not.
            publish(room, vault, size, note.clone());
            remember(vault, size, &note)?;
            return Ok(size);
        }
    }
    // What an earlier round did not get done.
    if let Some(note) = vault.ledger.call(move |t| audit::checkpoint(t, covered))? {
        remember(vault, covered, &note)?;
    }
    Ok(covered)
}

fn publish(room: &Arc<Room>, vault: &Arc<Vault>, size: u64, note: String) {
    room.witnesses.publish(room, vault, size, note);
    vault.notary.lock().published = size;
}

/// Signs a checkpoint of what is in the log now and keeps it; its size and note.
pub fn sign(token: &Token, ledger: &Ledger, key: &VerifyingKey) -> Result<(u64, String), Error> {
    crash_point("audit.before-checkpoint");
    let head = ledger.call(audit::head)?;
    let checkpoint = Checkpoint { origin: key.name().to_owned(), size: head.size, root: head.root };
    let note = checkpoint.sign::<Error>(key, |digest| Ok(token.sign(Role::Audit, digest)?))?;
    let kept = note.clone();
    ledger.call(move |t| audit::keep_checkpoint(t, head.size, &kept))?;
    crash_point("audit.checkpoint-kept");
    Ok((head.size, note))
}

fn remember(vault: &Vault, size: u64, note: &str) -> Result<(), Error> {
    let Some(remembered) = vault.notary.memory() else { return Ok(()) };
    let mark = Mark::new(vault.notary.epoch, size, note).to_bytes();
    if remembered.content != mark {
        let memory = vault.token.write_memory(Some(&remembered), &mark)?;
        vault.notary.lock().memory = Some(memory);
        crash_point("audit.memory-written");
    }
    Ok(())
}

/// The token signs, and what is sealed to it opens.
fn look(vault: &Vault) {
    let due = {
        let state = vault.notary.lock();
        let pause = if state.ill.is_some() { TICK } else { CANARY };
        state.looked.is_none_or(|looked| looked.elapsed() >= pace(pause))
    };
    if !due {
        return;
    }
    let well = vault.token.check().and_then(|()| {
        let own = vault.recipients.first().cloned().unwrap_or_default();
        seal::open(&vault.token, &seal::seal(b"canary", &[own])?).map(drop)
    });
    let mut state = vault.notary.lock();
    state.looked = Some(Instant::now());
    let ill = well.err().map(|e| format!("the token: {e}"));
    match (&state.ill, &ill) {
        (None, Some(words)) => tracing::error!("{words}"),
        (Some(_), None) => tracing::info!("the token is well again"),
        _ => {}
    }
    state.ill = ill;
}
