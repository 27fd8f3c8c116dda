//! Feed events into the pipeline: an event that is ours, pending and not expired becomes an action, once.

use crate::clock;
use crate::event;
use crate::ledger;
use crate::pipeline::Seen;
use crate::reply::Reply;
use crate::room::Room;
use crate::settle;
use crate::vault::Vault;
use config::seams::crash_point;
use ipc::{Answer, FeedItem, Refusal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Events that could not be written, and are tried again after so long; so many at the most.
const AGAIN: Duration = Duration::from_secs(5);
const MOST_UNSEEN: usize = 20_000;

/// Relays the message and acts on it; the courier's ask is answered once what it says is on disk.
pub fn receive(room: &Arc<Room>, message: String, reply: Reply) {
    let seen = room.vault().ok().and_then(|vault| {
        let agent = vault.agent()?;
        let now = vault.wall_clock.now();
        match event::relevant(&message, &agent.id, now.unwrap_or_else(clock::now), now.is_some()) {
            Ok(event) => Some((vault, Seen { id: event.id, claim: event.claim, expires: Some(event.expires) })),
            Err(why) => {
                tracing::info!("a feed message is not acted on: {why}");
                None
            }
        }
    });
    room.feed_heard();
    room.relay.push(FeedItem::Raw(message));
    match seen {
        Some((vault, seen)) => see(room, &vault, seen, Some(reply)),
        None => reply.send(Answer::Noted),
    }
}

/// `reply` is the courier's; `None` where its event could not be written before, and is tried again.
fn see(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, reply: Option<Reply>) {
    let (room, then, fresh) = (room.clone(), vault.clone(), seen.clone());
    vault.ledger.post(
        move |t| ledger::see(t, &seen, clock::now()),
        move |result| {
            match result {
                Ok(true) => {
                    tracing::info!(action = %fresh.id, claim = fresh.claim, "seen");
                    crash_point("action.seen");
                    room.meter.seen(&fresh.id);
                    settle::begin(&room, &then, fresh);
                }
                Ok(false) => tracing::debug!(action = %fresh.id, "known already"),
                Err(e) => return unseen(&room, &then, fresh, reply, &e),
            }
            match reply {
                Some(reply) => reply.send(Answer::Noted),
                None => drop(room.unseen.fetch_sub(1, Ordering::SeqCst)),
            }
        },
    );
}

/// The feed says it once: what could not be written now is written later, unless there is too much of it.
fn unseen(room: &Arc<Room>, vault: &Arc<Vault>, seen: Seen, reply: Option<Reply>, e: &ledger::Error) {
    tracing::error!(action = %seen.id, "not recorded: {e}");
    if let Some(reply) = reply {
        reply.refuse(Refusal::Internal);
        if room.unseen.fetch_add(1, Ordering::SeqCst) >= MOST_UNSEEN {
            room.unseen.fetch_sub(1, Ordering::SeqCst);
            return vault
                .alarm(None, "more events than can be kept at hand came while the ledger could not be written");
        }
    }
    let (again, vault) = (room.clone(), vault.clone());
    room.clock.after(AGAIN, move || {
        if seen.is_over(clock::now()) {
            again.unseen.fetch_sub(1, Ordering::SeqCst);
        } else {
            see(&again, &vault, seen, None);
        }
    });
}
