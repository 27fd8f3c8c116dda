//! Feed events into the pipeline: an event that is ours, pending and not expired becomes an action, once.

use crate::clock;
use crate::fetch::{Wanted, fetch};
use crate::ledger;
use crate::pipeline::Seen;
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use config::seams::crash_point;
use ipc::{ActionId, Answer, Refusal, bounded};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// So long, seconds, an action is kept open at the most: an event that a courier invented must not stay for ever.
const LATEST: u64 = 30 * 24 * 60 * 60;

/// Events that could not be written, and are tried again after so long; so many at the most.
const AGAIN: Duration = Duration::from_secs(5);
const MOST_UNSEEN: usize = 20_000;

/// An event of the feed (protocol.md §3). What else it carries is not ours to read.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "coreClientID")]
    agent: String,
    #[serde(rename = "type", default)]
    claim: Option<String>,
    status: String,
    #[serde(rename = "expireTime")]
    expires: u64,
}

/// Relays the message and acts on it; the courier's ask is answered once what it says is on disk.
pub fn receive(room: &Arc<Room>, message: String, reply: Reply) {
    let seen = room.vault().ok().and_then(|vault| {
        let agent = vault.agent()?;
        match relevant(&message, &agent.id, clock::now()) {
            Ok(seen) => Some((vault, seen)),
            Err(why) => {
                tracing::info!("a feed message is not acted on: {why}");
                None
            }
        }
    });
    room.feed_heard();
    room.relay.push(message);
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
                    fetch(&room, &then, fresh, Wanted::by_us());
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

/// The action that an event asks us to decide; or why it is none of ours.
fn relevant(message: &str, agent: &str, now: u64) -> Result<Seen, String> {
    let event: Event = serde_json::from_str(message).map_err(|e| bounded(&format!("no event ({e})")))?;
    let id = ActionId::try_from(event.id).map_err(|e| e.to_string())?;
    match () {
        () if event.agent != agent => Err(format!("{id} is another agent's")),
        () if event.status != "pending" => Err(format!("{id} is {}", bounded(&event.status))),
        () if event.expires <= now => Err(format!("{id} is expired")),
        () if i64::try_from(event.expires).is_err() => Err(format!("{id} expires at no time")),
        () => {
            let expires = Some(event.expires.min(now + LATEST));
            Ok(Seen { id, claim: event.claim.map(|claim| bounded(&claim)), expires })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(agent: &str, status: &str, expires: &str) -> String {
        format!(
            r#"{{"id":"w1","coreClientID":"{agent}","type":"ApproveTransfer","status":"{status}","timestamp":1,"expireTime":{expires}}}"#
        )
    }

    #[test]
    fn only_a_pending_event_of_ours_that_has_time_left_is_acted_on() {
        let seen = relevant(&event("me", "pending", "101"), "me", 100).unwrap();
        assert_eq!((seen.claim.as_deref(), seen.expires), (Some("ApproveTransfer"), Some(101)));
        let late = relevant(&event("me", "pending", "9223372036854775807"), "me", 100).unwrap();
        assert_eq!(late.expires, Some(100 + LATEST));
        let mut refused = vec![String::new(), "garbage".into(), "[]".into(), "null".into()];
        refused.push(event("you", "pending", "101"));
        refused.extend(["approved", "rejected", "expired", "", "Pending"].map(|status| event("me", status, "101")));
        refused.extend(["100", "0", "-1", "1e400", "18446744073709551615"].map(|time| event("me", "pending", time)));
        refused.push(event("me", "pending", "101").replace("w1", "../init"));
        for message in refused {
            assert!(relevant(&message, "me", 100).is_err(), "{message}");
        }
    }
}
