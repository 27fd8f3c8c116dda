//! Who may call the HTTP API, and for what: the api is a door, so the vault looks at each call's token and certificate itself.

mod admission;
mod door;
mod limits;
mod refused;
mod table;
pub mod window;

pub use admission::Guest;
pub use table::Table;
use table::Unfit;

use crate::ledger::{Source, audit, tokens};
use crate::reply::Reply;
use crate::room::Room;
use crate::vault::Vault;
use crate::{decide, explain, listing, metrics, operator, status};
use admission::{No, Passes};
use ipc::{AccessFault, Answer, Call, Caller, Credentials, Refusal, Scope, Secret, TurnedAway};
use refused::{Noted, Refused, Sighting};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Entries of one `TurnedAway` that are looked at: it is a door's word.
const MOST_TURNED_AWAY: usize = 64;
/// How often it is looked whether a token has expired.
const LOOK: Duration = Duration::from_secs(1);
/// What is said to who comes with a token while there is nothing to compare it with. The cause is not a stranger's to know.
const NO_TABLE: &str = "no token can be looked at, for the vault is not at work: `signing-agent status` says why";

/// What is known of callers besides their tokens.
#[derive(Default)]
pub struct Access {
    refused: Mutex<Refused>,
    pub door: door::Door,
}

impl Access {
    /// Callers that were refused since the start, by cause.
    pub fn counts(&self) -> Vec<(String, u64)> {
        self.refused().counts()
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that came by the api's lane.
pub fn call(room: &Arc<Room>, caller: Caller, call: Call, reply: Reply) {
    let address = caller.address;
    let request = caller.request.as_ref().map(tracing::field::display);
    let guest = match let_in(room, &caller, &call) {
        Ok(guest) => guest,
        Err(No::Table) => return reply.refuse(Refusal::NotReady(NO_TABLE.into())),
        Err(No::Access(fault, who)) => {
            refused(room, Sighting { fault, address, who: who.name(), by_the_api: false, times: 1 });
            return reply.refuse(Refusal::Access(fault));
        }
    };
    match call {
        Call::Enter(_) => reply.send(Answer::Noted),
        Call::Register(registration) => window::register(room, guest, address, registration, reply),
        Call::Client | Call::Feed => match room.vault() {
            Ok(vault) => reply.send(Answer::Client { agent_id: vault.agent().map(|agent| agent.id.clone()) }),
            Err(refusal) => reply.refuse(refusal),
        },
        Call::Decide { action, verb, statements } => {
            if let Err(refusal) = brought(room, &guest, caller.bearer.as_ref(), address) {
                return reply.refuse(refusal);
            }
            tracing::info!(request, action = %action, ?verb, who = guest.name(), "a client decides");
            // What a rule releases for a token is looked at once more, in the ledger's transaction.
            let credentials = Credentials { bearer: caller.bearer, statements };
            decide::decide(room, action, verb, Source::Client(guest), credentials, reply);
        }
        Call::Health => status::health(room, reply),
        Call::Metrics => metrics::on_ask(room, reply),
        Call::Policy { offset } => operator::policy_text(room, offset, reply),
        Call::Actions(query) => listing::actions(room, query, reply),
        Call::Action(action) => listing::story(room, action, reply),
        Call::Explain(matter) => explain::explain(room, matter, reply),
    }
}

fn let_in(room: &Room, caller: &Caller, call: &Call) -> Result<Guest, No> {
    let vault = room.vault().ok();
    let now = vault.as_ref().map_or(0, |vault| vault.wall_clock.latest());
    let passes = Passes {
        auth: room.config.api.auth,
        clients: &room.config.api.clients,
        tokens: vault.as_ref().map(|vault| &vault.tokens),
        now,
    };
    // Who hears the feed is asked about again and again: that is not what a token's limit is about.
    let scope = call.scope();
    let counted = (scope != Scope::Feed).then(Instant::now);
    let guest = passes.admit(caller, scope, counted)?;
    if let (Some(vault), Some(name)) = (vault, &guest.token) {
        used(&vault, name, now);
    }
    Ok(guest)
}

fn used(vault: &Vault, name: &str, now: u64) {
    if let Some(hour) = vault.tokens.used(name, now) {
        let name = name.to_owned();
        let kept = |kept: Result<(), _>| kept.unwrap_or_else(|e| tracing::warn!("a token's last use is not kept: {e}"));
        vault.ledger.post(move |t| tokens::used(t, &name, hour), kept);
    }
}

/// A token that comes with a decision, where it is not what let the caller in: it is counted and limited as any. Whether the action
/// is released by it the decision says.
fn brought(room: &Arc<Room>, guest: &Guest, bearer: Option<&Secret>, address: Option<IpAddr>) -> Result<(), Refusal> {
    let (None, Some(bearer), Ok(vault)) = (&guest.token, bearer, room.vault()) else { return Ok(()) };
    let now = vault.wall_clock.latest();
    let holder = vault.tokens.holder(&crate::tokens::hash(bearer), Scope::Decide, now);
    let limited = holder.and_then(|name| vault.tokens.take(&name, Instant::now()).map(|()| name));
    let Unfit { fault, name } = match limited {
        Ok(name) => {
            used(&vault, &name, now);
            return Ok(());
        }
        Err(unfit) => unfit,
    };
    let who = Guest { token: name, certificate: guest.certificate.clone() };
    refused(room, Sighting { fault, address, who: who.name(), by_the_api: false, times: 1 });
    if let AccessFault::TokenLimit(_) = fault { Err(Refusal::Access(fault)) } else { Ok(()) }
}

/// Counts a refusal, and puts it on record where it is to be.
fn refused(room: &Arc<Room>, seen: Sighting) {
    let noted = room.access.refused().note(seen, Instant::now());
    note(room, noted);
}

fn note(room: &Arc<Room>, Noted { record, again }: Noted) {
    if let Some(record) = record {
        put_on_record(room, record);
    }
    if let Some((key, wait)) = again {
        let later = room.clone();
        room.clock.after(wait, move || {
            let noted = later.access.refused().due(key);
            note(&later, noted);
        });
    }
}

/// A vault that is in trouble has no audit log to write to: then the log alone has it.
fn put_on_record(room: &Room, record: refused::Record) {
    let refused::Record { cause, who, times, .. } = &record;
    tracing::warn!(cause, who, times, "a caller is not let in");
    let Ok(vault) = room.vault() else { return };
    vault.ledger.post(
        move |t| audit::append(t, "access", &record),
        |kept| kept.unwrap_or_else(|e| tracing::error!("a refusal is not in the audit log: {e}")),
    );
}

/// What was counted and is not on record yet; for the end.
pub fn flush(room: &Room) {
    let rest = room.access.refused().rest();
    rest.into_iter().for_each(|record| put_on_record(room, record));
}

/// Whom the api refused by itself.
pub fn turned_away(room: &Arc<Room>, all: Vec<TurnedAway>, reply: Reply) {
    for TurnedAway { address, fault, times } in all.into_iter().take(MOST_TURNED_AWAY).filter(|one| one.times > 0) {
        refused(room, Sighting { fault, address, who: None, by_the_api: true, times });
    }
    reply.send(Answer::Noted);
}

/// Has whoever is inside asked about again as soon as a token expires.
pub fn watch_expiry(room: Arc<Room>, vault: Arc<Vault>, last: u64) {
    let now = vault.wall_clock.latest();
    if vault.tokens.expired_within(last, now) {
        room.relay.access_changed();
    }
    let again = room.clone();
    room.clock.after(LOOK, move || watch_expiry(again, vault, now));
}

/// What does not stand in the way yet: certificates and tokens that are near their end, and what the api says.
pub fn warnings(room: &Room, vault: Option<&Vault>) -> Vec<String> {
    let now = vault.map_or_else(crate::clock::now, |vault| vault.wall_clock.latest());
    let mut warnings = room.access.door.warnings(now);
    warnings.extend(vault.map(|vault| door::expiring(&vault.tokens, now)).unwrap_or_default());
    warnings
}

/// For records of what a guest did not get.
fn not_now(room: &Arc<Room>, guest: &Guest, address: Option<IpAddr>, fault: AccessFault) {
    refused(room, Sighting { fault, address, who: guest.name(), by_the_api: false, times: 1 });
}
