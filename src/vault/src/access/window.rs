//! When a registration is taken: only while the operator has opened a window for it, so that the first stranger who reaches
//! the port does not register the agent.

use super::{Guest, not_now};
use crate::authority;
use crate::ledger::{self, registration_window as window};
use crate::registration;
use crate::reply::Reply;
use crate::room::Room;
use ipc::{AccessFault, Answer, Refusal, Registration};
use std::net::IpAddr;
use std::sync::Arc;

/// How long a window may be open, seconds.
const LONGEST: u64 = 24 * 60 * 60;

/// A client's registration. That the agent is registered already is no secret, and is said first (protocol.md §7).
pub fn register(room: &Arc<Room>, guest: Guest, address: Option<IpAddr>, registration: Registration, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if vault.agent().is_some() {
        return reply.refuse(Refusal::AlreadyRegistered);
    }
    let room = room.clone();
    vault.ledger.ask(window::left, move |left| match left {
        Ok(Some(_)) => registration::register(&room, registration, reply),
        Ok(None) => {
            not_now(&room, &guest, address, AccessFault::RegistrationClosed);
            reply.refuse(Refusal::Access(AccessFault::RegistrationClosed));
        }
        Err(e) => {
            tracing::error!("whether a registration is open is not known: {e}");
            reply.refuse(Refusal::Internal);
        }
    });
}

/// Takes a registration for so many seconds from now on.
pub fn open(room: &Arc<Room>, seconds: u64, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if !(1..=LONGEST).contains(&seconds) {
        return reply.refuse(Refusal::Init("a registration is open for a second to 24 hours".into()));
    }
    if vault.agent().is_some() {
        return reply.refuse(Refusal::Init("the agent is registered: there is nothing to open".into()));
    }
    let by = reply.who();
    vault.ledger.post(
        move |t| window::open(t, seconds, &by),
        move |opened| match opened {
            Ok(()) => {
                tracing::info!(seconds, "a registration is taken");
                reply.send(Answer::Noted);
            }
            Err(e) => refuse(&e, reply),
        },
    );
}

/// None is taken from now on.
pub fn close(room: &Arc<Room>, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let by = reply.who();
    vault.ledger.post(
        move |t| {
            authority::void(t)?;
            window::close(t, &by)
        },
        move |closed| match closed {
            Ok(()) => reply.send(Answer::Noted),
            Err(e) => refuse(&e, reply),
        },
    );
}

/// For how long one is taken still.
pub fn tell(room: &Arc<Room>, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    vault.ledger.post(window::left, move |left| match left {
        Ok(left) => reply.send(Answer::RegistrationWindow(left)),
        Err(e) => refuse(&e, reply),
    });
}

fn refuse(e: &ledger::Error, reply: Reply) {
    reply.refuse(Refusal::Init(ipc::bounded(&e.to_string())));
}
