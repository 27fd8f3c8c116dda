//! How an action ends, and how one goes on whose way was broken off.

use crate::callback;
use crate::clock;
use crate::decide::stands;
use crate::fetch::{Wanted, fetch, judge};
use crate::ledger::{self, Row, Settling, State, UnderWay, held_for_clock, time};
use crate::pipeline::Seen;
use crate::retry::Tries;
use crate::room::Room;
use crate::submit;
use crate::vault::Vault;
use config::seams::crash_point;
use ipc::{ActionEnd, ActionId, Refusal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SWEEP: Duration = Duration::from_secs(5);

pub fn expire(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId) {
    settle(room, vault, id, Settling::undecided(ActionEnd::Expired, String::new()));
}

/// Settles it, and tells those who wait where it stands then: as it was settled here, or earlier.
pub fn settle(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, settling: Settling) {
    let (room, then, id, settled) = (room.clone(), vault.clone(), id.clone(), id.clone());
    let again = settling.clone();
    vault.ledger.post(
        move |t| {
            ledger::settle(t, &id, &settling, clock::now())?;
            Row::read(t, &id)
        },
        move |row| match row {
            Ok(Some(row)) => {
                crash_point("action.settled");
                if let State::Settled(_) = row.state {
                    tracing::info!(action = %settled, "settled: {}", row.state.name());
                }
                stands(&room, &then, row);
            }
            Ok(None) => then.waiting.refuse(&settled, &Refusal::UnknownAction),
            Err(e) => {
                // What the backend said is kept until it is on record: asked again, it may say something else.
                untold(&then, &settled, &e);
                let (later, room) = (room.clone(), room);
                later.clock.after(SWEEP, move || settle(&room, &then, &settled, again));
            }
        },
    );
}

/// The ledger could not be read or written: those who wait are told.
pub fn untold(vault: &Vault, id: &ActionId, e: &ledger::Error) {
    tracing::error!(action = %id, "{e}");
    vault.waiting.refuse(id, &Refusal::Internal);
}

/// The same, and the action, which nothing else goes on with, is taken up again later.
pub fn failed(room: &Arc<Room>, vault: &Arc<Vault>, id: &ActionId, e: &ledger::Error) {
    untold(vault, id, e);
    let (again, vault, id) = (room.clone(), vault.clone(), id.clone());
    room.clock.after(SWEEP, move || take_up(&again, &vault, id, Tries::in_doubt()));
}

/// How many actions wait in memory at the most; what comes above that waits in the ledger alone.
pub const MOST_WAITING: usize = 20_000;
/// How few wait when more are taken up from there.
pub const FEW: usize = 256;

/// Begins with an action that was seen, or leaves it in the ledger until there is room.
pub fn begin(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen) {
    if waiting(room, vault) < MOST_WAITING {
        return fetch(room, vault, seen, Wanted::by_us());
    }
    if !vault.deferred.swap(true, Ordering::SeqCst) {
        tracing::warn!("{MOST_WAITING} actions wait: what comes now waits in the ledger");
    }
}

/// How many wait for the courier, or for their next try.
pub fn waiting(room: &Room, vault: &Vault) -> usize {
    room.errands.waiting() + vault.retries.waiting()
}

/// Takes up what was left in the ledger, once there is room.
fn take_deferred_up(room: &Arc<Room>, vault: &Arc<Vault>) {
    // What is parked until its next try does not keep out what was never tried.
    let full = room.errands.waiting() > FEW || waiting(room, vault) >= MOST_WAITING;
    if full || !vault.deferred.swap(false, Ordering::SeqCst) {
        return;
    }
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.post(
        |t| Row::unjudged(t, MOST_WAITING),
        move |unjudged| match unjudged {
            Ok(ids) => {
                if !ids.is_empty() {
                    tracing::info!(actions = ids.len(), "what waited in the ledger is taken up");
                }
                then.deferred.fetch_or(ids.len() == MOST_WAITING, Ordering::SeqCst);
                ids.into_iter().for_each(|id| fetch_deferred(&room, &then, id));
            }
            Err(e) => {
                tracing::error!("what waits in the ledger is not taken up yet: {e}");
                then.deferred.store(true, Ordering::SeqCst);
            }
        },
    );
}

/// An action that is decided by now is on its way already: nothing is begun with it a second time.
fn fetch_deferred(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId) {
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| UnderWay::read(t, &wanted),
        move |read| match read {
            Ok(UnderWay::Fetch(seen)) => fetch(&room, &then, seen, Wanted::by_us()),
            Ok(_) => {}
            Err(e) => {
                untold(&then, &id, &e);
                then.deferred.store(true, Ordering::SeqCst);
            }
        },
    );
}

/// Goes on with what was under way when the vault ended: with what was decided at once, then with what was seen.
pub fn resume(room: &Arc<Room>, vault: &Arc<Vault>) {
    vault.deferred.store(true, Ordering::SeqCst);
    take_all_up(room, vault, vault.ledger.call(Row::under_way));
    take_deferred_up(room, vault);
}

fn take_all_up(room: &Arc<Room>, vault: &Arc<Vault>, under_way: Result<Vec<ActionId>, ledger::Error>) {
    match under_way {
        Ok(ids) => ids.into_iter().for_each(|id| take_up(room, vault, id, Tries::in_doubt())),
        Err(e) => {
            tracing::error!("what was under way is taken up again later: {e}");
            let (again, vault) = (room.clone(), vault.clone());
            room.clock.after(SWEEP, move || {
                let then = vault.clone();
                vault.ledger.post(Row::under_way, move |under_way| take_all_up(&again, &then, under_way));
            });
        }
    }
}

/// Goes on with an action from where the ledger has it.
pub fn take_up(room: &Arc<Room>, vault: &Arc<Vault>, id: ActionId, tries: Tries) {
    let (room, then, wanted) = (room.clone(), vault.clone(), id.clone());
    vault.ledger.post(
        move |t| UnderWay::read(t, &wanted),
        move |read| match read {
            Ok(UnderWay::Fetch(seen)) => fetch(&room, &then, seen, Wanted::by_us()),
            // Signatures are kept before any of them leaves: where there are none, nothing left.
            Ok(UnderWay::Sign(recorded)) => submit::sign(&room, &then, recorded, tries.unsent()),
            Ok(UnderWay::Submit(submitted)) => submit::submit(&room, &then, submitted, tries),
            Ok(UnderWay::Withdraw) => submit::withdraw(&room, &then, id, tries),
            Ok(UnderWay::Nothing) => {}
            Err(e) => failed(&room, &then, &id, &e),
        },
    );
}

/// Judges what was held for nothing but a wall clock that had jumped.
pub fn judge_again(room: &Arc<Room>, vault: &Arc<Vault>, held: Vec<ActionId>) {
    if !held.is_empty() {
        tracing::info!(actions = held.len(), "the clock is confirmed: what was held for it is judged");
    }
    for id in held {
        let (room, then) = (room.clone(), vault.clone());
        vault.ledger.post(
            move |t| Row::read(t, &id),
            move |row| match row {
                Ok(Some(row @ Row { state: State::Held, .. })) => {
                    let Some(messages) = row.messages().map(<[_]>::to_vec) else { return };
                    let seen = row.seen;
                    room.pool.clone().spawn(move || judge(&room, &then, seen, messages));
                }
                Ok(_) => {}
                // The next sweep finds it again.
                Err(e) => tracing::error!("what was held for the clock is not judged yet: {e}"),
            },
        );
    }
}

/// Looks at the clocks, settles what ran out of time, and comes back.
pub fn sweep(room: Arc<Room>, vault: Arc<Vault>) {
    let then = vault.clone();
    vault.ledger.post(
        |t| {
            let look = time::look(t)?;
            ledger::forget(t, look.agent)?;
            // By a clock that jumped nothing expires, and nothing that it holds is judged.
            let expired = if look.stepped { Vec::new() } else { ledger::expire(t, clock::now())? };
            let held = if look.stepped { Vec::new() } else { held_for_clock::list(t, MOST_WAITING)? };
            Ok((look, expired, held))
        },
        move |looked| {
            match looked {
                Ok((look, expired, held)) => {
                    then.looked_at_the_clocks(&look);
                    for id in expired {
                        tracing::info!(action = %id, "settled: expired");
                        let _ = then.waiting.end(&id, ActionEnd::Expired);
                    }
                    judge_again(&room, &then, held);
                }
                Err(e) => tracing::error!("nothing expires: {e}"),
            }
            take_deferred_up(&room, &then);
            callback::take_up(&room, &then);
            let again = room.clone();
            room.clock.after(SWEEP, move || sweep(again, then));
        },
    );
}
