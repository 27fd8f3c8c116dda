//! What is told of actions: lists of them, the story of one, and, as it happens, what becomes of them.

use crate::clock;
use crate::digest::messages_digest;
use crate::ledger::{self, Event, listing, on_record, past, timeline};
use crate::pipeline::{Judged, Seen};
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use ipc::{ActionId, ActionQuery, ActionState, ActionStory, Answer, FeedItem, KnownAction, Refusal, Verb, bounded};
use rusqlite::Transaction;
use std::sync::Arc;

/// Messages whose facts a story tells, and whose digests; what comes above that is counted.
const MOST_FACTS: usize = 64;
const MOST_DIGESTS: usize = 1024;

/// Newest first.
pub fn actions(room: &Arc<Room>, query: ActionQuery, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    vault.ledger.ask(
        move |t| listing::list(t, &query),
        move |list| match list {
            Ok(list) => reply.send(Answer::ActionList(list)),
            Err(e) => unread(&e, reply),
        },
    );
}

/// All that is known of one.
pub fn story(room: &Arc<Room>, id: ActionId, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.ask(
        move |t| read(t, &then, &id).map(|read| (then, read)),
        move |read| match read {
            // Digests and facts are the pool's work.
            Ok((vault, Some((story, known)))) => room.pool.clone().spawn(move || {
                let story = whole(&room, &vault, story, known);
                reply.send(Answer::ActionStory(Some(Box::new(story))));
            }),
            Ok((_, None)) => reply.send(Answer::ActionStory(None)),
            Err(e) => unread(&e, reply),
        },
    );
}

/// Passes on what becomes of actions from now on.
pub fn tell(room: &Arc<Room>, vault: &Vault) {
    let room = room.clone();
    vault.ledger.tell(move |event: Event| {
        room.meter.heard(&event);
        match serde_json::to_string(&event) {
            Ok(event) => room.relay.push(FeedItem::Decision(event)),
            Err(e) => tracing::error!("an event cannot be written as JSON: {e}"),
        }
    });
}

fn unread(e: &ledger::Error, reply: Reply) {
    tracing::error!("what is known of actions cannot be read: {e}");
    reply.refuse(Refusal::Internal);
}

/// What the ledger has: the story but for what its messages say, and those.
fn read(
    transaction: &Transaction<'_>,
    vault: &Vault,
    id: &ActionId,
) -> Result<Option<(ActionStory, KnownAction)>, rusqlite::Error> {
    let Some(line) = listing::line(transaction, id)? else { return Ok(None) };
    let Some(known) = past::known(transaction, id)? else { return Ok(None) };
    let digest = messages_digest(&known.messages);
    let said = on_record(transaction, id, Verb::Approve, &digest, &vault.named.approvers, clock::now())?;
    let story = ActionStory {
        line,
        policy: known.policy.clone(),
        release: None,
        approvals: said.into_iter().collect(),
        digests: Vec::new(),
        facts: Vec::new(),
        timeline: timeline::timeline(transaction, id)?,
    };
    Ok(Some((story, known)))
}

fn whole(room: &Room, vault: &Vault, mut story: ActionStory, known: KnownAction) -> ActionStory {
    let KnownAction { id, claim, expires, messages, .. } = known;
    story.digests = ledger::digests(messages.get(..MOST_DIGESTS).unwrap_or(&messages));
    let told = messages.iter().take(MOST_FACTS);
    story.facts = told.map(|message| bounded(&policy::decode(message).summary(message))).collect();
    if let Some(more) = messages.len().checked_sub(MOST_FACTS).filter(|more| *more > 0) {
        story.facts.push(format!("and {more} messages more"));
    }
    if story.line.state == ActionState::Held && !messages.is_empty() {
        let seen = Seen { id, claim, expires };
        let judged = Judged::new(&room.policy.active().policy, seen, messages, vault.wall_clock.now());
        story.release = Some(bounded(&judged.judgement().release.to_string()));
    }
    story
}
