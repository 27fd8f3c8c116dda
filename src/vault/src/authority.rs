//! What gives power to somebody is a change: the deed says whether the operator alone makes it, or how many of whom sign it.

use crate::ledger::Source;
use crate::reply::Reply;
use crate::room::Room;
use crate::{access, decide, init, operator, reload, tokens};
use ipc::{Answer, Change, Credentials, Refusal, SignedStatement, Verb};
use std::sync::Arc;

/// Makes it, where the statements are what the deed wants.
pub fn change(room: &Arc<Room>, change: Change, _statements: Vec<SignedStatement>, reply: Reply) {
    match change {
        Change::Release { action } => {
            let source = Source::Operator(reply.who());
            decide::decide(room, action, Verb::Approve, source, Credentials::default(), reply);
        }
        Change::TokenAdd { name, scopes, seconds, per_minute } => {
            tokens::add(room, name, scopes, seconds, per_minute, reply)
        }
        Change::PolicyReload => reload::on_ask(room, reply),
        Change::Unfreeze => operator::freeze(room, false, reply),
        Change::ConfirmClock => operator::confirm_clock(room, reply),
        Change::AcceptRollback => operator::accept_rollback(room, reply),
        Change::Amend(options) => init::on_ask(room, options, reply),
        Change::RegistrationOpen { seconds } => access::window::open(room, seconds, reply),
    }
}

/// What is to be signed for it.
pub fn draft(_room: &Arc<Room>, _change: Change, _seconds: u64, reply: Reply) {
    reply.send(Answer::Refused(Refusal::NotReady("unbuilt".into())));
}
