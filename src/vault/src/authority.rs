//! What gives power to somebody is a change: the deed says whether the operator alone makes it, or how many of whom sign it
//! (docs/authority.md). It is on record before it is made, with who makes it and with all that they brought.

mod matter;
mod warrant;

use crate::clock;
use crate::deed::Configured;
use crate::init::{self, Opened};
use crate::ledger::{Condition, Ledger, Source};
use crate::people::Named;
use crate::reply::Reply;
use crate::room::Room;
use crate::statement::LONGEST;
use crate::vault::{CLOCK_STEPPED, Vault};
use crate::{access, change_statement, decide, freeze, operator, reload, rotate, tokens};
use ipc::{ActionId, Answer, Change, ChangeDraft, Credentials, InitOptions, Refusal, SignedStatement, Verb};
pub use matter::{Matter, called};
use std::sync::{Arc, PoisonError};
pub use warrant::{Consent, void};

/// Makes it, where the statements are what the deed wants.
pub fn change(room: &Arc<Room>, change: Change, statements: Vec<SignedStatement>, reply: Reply) {
    let consent = Consent { who: reply.who(), statements };
    match change {
        // Also where the vault is not at work: the deed is asked as it lies there.
        Change::Amend(options) => init::on_ask(room, options, consent, reply),
        Change::AcceptRollback => operator::accept_rollback(room, consent, reply),
        change => match room.vault() {
            Ok(vault) => match allow(room, &vault, &change, consent) {
                Ok(who) => make(room, change, who, reply),
                Err(refusal) => reply.refuse(refusal),
            },
            // Nothing is in force by that, and there is no ledger to write to: its own signatures are looked at when the vault opens.
            Err(_) if change == Change::PolicyReload => reload::on_ask(room, reply),
            Err(refusal) => reply.refuse(refusal),
        },
    }
}

fn make(room: &Arc<Room>, change: Change, who: String, reply: Reply) {
    match change {
        Change::Release { action } => {
            let source = Source::Operator(who);
            decide::decide(room, action, Verb::Approve, source, Credentials::default(), reply);
        }
        Change::TokenAdd { name, scopes, seconds, per_minute } => {
            tokens::add(room, name, scopes, seconds, per_minute, reply)
        }
        Change::Rotate { key } => rotate::on_ask(room, key, who, reply),
        Change::DestroyFormer { key } => rotate::destroy_former(room, key, who, reply),
        Change::PolicyReload => reload::on_ask(room, reply),
        Change::Unfreeze => freeze::resume(room, who, reply),
        Change::ConfirmClock => operator::confirm_clock(room, reply),
        Change::ConfirmWindows => operator::confirm_windows(room, who, reply),
        Change::RegistrationOpen { seconds } => access::window::open(room, seconds, reply),
        // Were made above.
        Change::AcceptRollback | Change::Amend(_) => reply.refuse(Refusal::Internal),
    }
}

/// The operator's word on an action, judged by what it came with; with nothing, an approval is a change.
pub fn decide(room: &Arc<Room>, action: ActionId, verb: Verb, credentials: Credentials, reply: Reply) {
    if verb == Verb::Approve && credentials.is_empty() {
        return change(room, Change::Release { action }, Vec::new(), reply);
    }
    // Whoever may reach this lane may stop things; to let them go takes more, where the deed says so.
    let alone = room.vault().is_ok_and(|vault| vault.named.change_signatures == 0);
    let source = if alone || verb == Verb::Reject { Source::Operator(reply.who()) } else { Source::Desk(reply.who()) };
    decide::decide(room, action, verb, source, credentials, reply);
}

/// What is to be signed for it; on a thread of its own, for it may wait for the token.
pub fn draft(room: &Arc<Room>, change: Change, seconds: u64, reply: Reply) {
    if !(1..=LONGEST).contains(&seconds) {
        return reply.refuse(Refusal::Init("a change's statement is good for a second to seven days".into()));
    }
    let room = room.clone();
    std::thread::spawn(move || match drafted(&room, &change, seconds) {
        Ok(draft) => reply.send(Answer::ChangeDraft(draft)),
        Err(refusal) => reply.refuse(refusal),
    });
}

fn drafted(room: &Arc<Room>, change: &Change, seconds: u64) -> Result<ChangeDraft, Refusal> {
    let words = |words: String| Refusal::Init(ipc::bounded(&words));
    match (room.vault(), change) {
        (_, Change::AcceptRollback) => {
            let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
            operator::rolled_back(room).map_err(words)?;
            let opened = init::found(room).map_err(|trouble| words(trouble.words))?;
            text(&opened.deed.people, &opened.ledger, Matter::rollback(&opened)?, seconds)
        }
        (Ok(vault), Change::Amend(options)) => {
            let (deed, next) = init::amended_deed(room, &vault).map_err(words)?;
            text(&deed.people, &vault.ledger, Matter::amend(&deed, &next, *options)?, seconds)
        }
        (Err(_), Change::Amend(options)) => {
            let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = init::found(room).map_err(|trouble| words(trouble.words))?;
            let next = init::configured(&room.config, &opened.token).map_err(|trouble| words(trouble.words))?;
            text(&opened.deed.people, &opened.ledger, Matter::amend(&opened.deed, &next, *options)?, seconds)
        }
        (vault, change) => {
            let vault = vault?;
            let needed = needed(&vault.named, change);
            let matter = Matter::of(room, &vault, change, needed > 0)?;
            if needed == 0 {
                return Ok(unsigned(matter));
            }
            text(&vault.named, &vault.ledger, matter, seconds)
        }
    }
}

/// A policy's own signatures are what counts: the deed that wants some for changes wants them for policies too.
fn needed(named: &Named, change: &Change) -> u64 {
    if *change == Change::PolicyReload { 0 } else { named.change_signatures }
}

fn unsigned(matter: Matter) -> ChangeDraft {
    ChangeDraft { text: String::new(), needed: 0, signers: Vec::new(), about: matter.facts }
}

fn text(named: &Named, ledger: &Ledger, matter: Matter, seconds: u64) -> Result<ChangeDraft, Refusal> {
    if named.change_signatures == 0 {
        return Ok(unsigned(matter));
    }
    let last = ledger.call(|t| Condition::ChangeSerial.read(t)).map_err(|e| Refusal::Init(e.to_string()))?;
    let now = clock::now();
    // As a time it stays above those of a ledger that was put back.
    let serial = now.max(last.saturating_add(1));
    let text = change_statement::draft(&matter.about, serial, now + seconds).ok_or_else(|| {
        Refusal::Init(
            "this changes more than one statement can say: do it in smaller steps, one after the other".into(),
        )
    })?;
    let needed = u32::try_from(named.change_signatures).unwrap_or(u32::MAX);
    let signers = named.change_signers.keys().cloned().collect();
    Ok(ChangeDraft { text, needed, signers, about: matter.facts })
}

/// Whether the vault at work may make it; who does, for the records of it.
fn allow(room: &Room, vault: &Vault, change: &Change, consent: Consent) -> Result<String, Refusal> {
    let needed = needed(&vault.named, change);
    if needed > 0 && *change != Change::ConfirmClock && vault.wall_clock.has_stepped() {
        // Nobody knows then which statements have expired.
        return Err(Refusal::Init(CLOCK_STEPPED.into()));
    }
    let matter = Matter::of(room, vault, change, needed > 0)?;
    judge(&vault.named, needed, matter, consent, &vault.ledger).inspect_err(|refusal| {
        // One alarm for all of them: they must not drive others out.
        if matches!(refusal, Refusal::Credential { .. }) {
            vault.alarm(
                None,
                "a change was refused, for something that came with it was not good; the vault's log says what",
            );
        }
    })
}

/// Whether the deed that lies there may be amended like this; who does it.
pub fn allow_amend(
    opened: &Opened,
    next: &Configured,
    options: InitOptions,
    consent: Consent,
) -> Result<String, Refusal> {
    let people = &opened.deed.people;
    judge(people, people.change_signatures, Matter::amend(&opened.deed, next, options)?, consent, &opened.ledger)
}

/// Whether the ledger that lies there may be taken whatever the token remembers of it; who takes it.
pub fn allow_rollback(opened: &Opened, consent: Consent) -> Result<String, Refusal> {
    let people = &opened.deed.people;
    judge(people, people.change_signatures, Matter::rollback(opened)?, consent, &opened.ledger)
}

/// Puts it on record, or the refusal into the log.
fn judge(named: &Named, needed: u64, matter: Matter, consent: Consent, ledger: &Ledger) -> Result<String, Refusal> {
    let (ask, by) = (matter.about.ask.clone(), consent.who.clone());
    let kept = consent.check(named, needed, matter).and_then(|warrant| warrant.keep(ledger));
    kept.inspect_err(|refusal| tracing::warn!(ask, by, ?refusal, "a change is refused"))
}
