//! Who may call the HTTP API, and for what: the api is a door, so the vault looks at each call's token and certificate itself.

use crate::ledger::Source;
use crate::reply::Reply;
use crate::room::Room;
use crate::{decide, operator, registration, status};
use ipc::{Answer, Call, Caller, Credentials, Refusal};
use std::sync::Arc;

/// A call that came by the api's lane.
pub fn call(room: &Arc<Room>, caller: Caller, call: Call, reply: Reply) {
    match call {
        Call::Enter(_) => reply.send(Answer::Noted),
        Call::Register(registration) => registration::register(room, registration, reply),
        Call::Client | Call::Feed => match room.vault() {
            Ok(vault) => reply.send(Answer::Client { agent_id: vault.agent().map(|agent| agent.id.clone()) }),
            Err(refusal) => reply.refuse(refusal),
        },
        Call::Decide { action, verb, statements } => {
            let credentials = Credentials { bearer: caller.bearer, statements };
            decide::decide(room, action, verb, Source::Client, credentials, reply);
        }
        Call::Health => status::health(room, reply),
        Call::Policy { offset } => operator::policy_text(room, offset, reply),
        Call::Actions(_) | Call::Action(_) | Call::Explain(_) => reply.refuse(Refusal::NotReady("unbuilt".into())),
    }
}
