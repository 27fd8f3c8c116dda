//! Another policy comes into force: all of it or nothing of it. It is read and checked whole, put on record in the ledger, and
//! then judged by; whatever fails leaves the one before in force.

use crate::active::Active;
use crate::fetch;
use crate::ledger::{Condition, Error, InForce, LastSigned, Row, State};
use crate::reply::Reply;
use crate::room::Room;
use crate::settle::{FEW, waiting};
use crate::signed;
use crate::vault::Vault;
use ipc::{Answer, Refusal, Reloaded};
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

/// How many held actions are looked up at once.
const PAGE: usize = 64;
/// Between two looks whether there is room for more.
const FULL: Duration = Duration::from_millis(200);
/// Words of warnings that are passed on.
const MOST_WARNINGS: usize = 20;

pub fn on_signal(room: &Arc<Room>) {
    let room = room.clone();
    // Who asks is told; a signal has nobody to tell, but the log and the alarms.
    thread::spawn(move || drop(reload(&room, "SIGHUP")));
}

pub fn on_ask(room: &Arc<Room>, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || match reload(&room, &reply.who()) {
        Ok(reloaded) => reply.send(Answer::PolicyReloaded(reloaded)),
        Err(words) => reply.refuse(Refusal::Init(ipc::bounded(&words))),
    });
}

fn reload(room: &Arc<Room>, who: &str) -> Result<Reloaded, String> {
    let _one = room.policy.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    let shadow = room.policy.shadow.reload();
    let Some(next) = room.policy.read_again() else {
        tracing::info!(who, "nothing is reloaded: the configuration names no policy");
        return Err("the configuration names no [policy] file: name one and restart the agent".into());
    };
    let reloaded = next.and_then(|next| replace(room, next, who));
    match &reloaded {
        Ok(reloaded) => tracing::info!(who, hash = reloaded.hash, "the policy was read again, and is in force"),
        Err(words) => {
            let words = ipc::bounded(&format!("the policy is not replaced, the one before stays in force: {words}"));
            match room.vault() {
                Ok(vault) => vault.alarm(None, &words),
                Err(_) => tracing::error!(who, "{words}"),
            }
        }
    }
    let mut reloaded = reloaded?;
    reloaded.warnings.extend(shadow.err());
    Ok(reloaded)
}

fn replace(room: &Arc<Room>, next: Active, who: &str) -> Result<Reloaded, String> {
    // A vault that is opened meanwhile begins with the one or with the other.
    let opening = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    let before = room.policy.active();
    let warnings = next.policy.warnings().into_iter().take(MOST_WARNINGS);
    let mut reloaded = Reloaded {
        source: next.source(),
        was: before.hash(),
        hash: next.hash(),
        serial: next.policy.serial(),
        warnings: warnings.map(|warning| format!("{}:{}: {}", next.source(), warning.line, warning.words)).collect(),
    };
    let Ok(vault) = room.vault() else {
        room.policy.replace(next);
        // That may have been the trouble. What passes by itself is tried again anyway.
        if room.trouble_or_vault().is_err_and(|trouble| !trouble.passing) {
            let again = room.clone();
            room.pool.spawn(move || again.try_open(0));
        }
        reloaded.warnings.push(
            "the vault is not at work: the policy was read, and comes into force once the vault opens and its deed's people agree".into(),
        );
        return Ok(reloaded);
    };
    vault.named.know(&next.policy)?;
    let last = vault.ledger.call(LastSigned::read).map_err(|e| e.to_string())?;
    let signed = signed::check(&vault.named, &next, last)?;
    let (in_force, by, file) = (InForce::of(&next.policy), who.to_owned(), next.source());
    let (tell, told) = channel();
    let (judging, then) = (room.clone(), vault.clone());
    vault.ledger.post(
        move |t| {
            in_force.write(t, &by, &file)?;
            Condition::Unsigned.write(t, 0)?;
            signed.map_or(Ok(()), |signed| signed.write(t))
        },
        move |kept| {
            // On the ledger's thread: nothing is recorded between the record of it and this.
            if kept.is_ok() {
                judging.policy.replace(next);
                then.signed();
            }
            let _ = tell.send(kept);
        },
    );
    told.recv().unwrap_or(Err(Error::Ended)).map_err(|e| e.to_string())?;
    drop(opening);
    // What waits because nothing was signed has waited long enough.
    vault.retries.hurry();
    judge_held_anew(room, &vault);
    Ok(reloaded)
}

/// What another policy held is judged by the one in force: it may approve or deny it now. What a restart finds is the same.
pub fn judge_held_anew(room: &Arc<Room>, vault: &Arc<Vault>) {
    let (room, vault) = (room.clone(), vault.clone());
    thread::spawn(move || {
        if let Err(e) = judge_all_held(&room, &vault) {
            tracing::error!("what is held is not judged by the policy in force: {e}");
        }
    });
}

fn judge_all_held(room: &Arc<Room>, vault: &Arc<Vault>) -> Result<(), Error> {
    let (active, mut last, mut count) = (room.policy.active(), String::new(), 0u64);
    loop {
        // An approval that waits for the courier is worth more than a look at what is held.
        while waiting(room, vault) > FEW {
            thread::sleep(FULL);
        }
        let after = last.clone();
        // While the clock is not believed nothing is approved; `confirm-clock` comes back here.
        let Some(now) = vault.wall_clock.now() else { return Ok(()) };
        let ids = vault.ledger.call(move |t| Row::held_by_another_policy(t, now, &after, PAGE))?;
        let Some(end) = ids.last() else { break };
        last = end.as_str().to_owned();
        for id in ids {
            // The next policy has a round of its own.
            if !Arc::ptr_eq(&active, &room.policy.active()) {
                return Ok(());
            }
            let row = vault.ledger.call(move |t| Row::read(t, &id))?;
            if let Some(row) = row.filter(|row| row.state == State::Held)
                && let Some(messages) = row.messages()
            {
                let messages = messages.to_vec();
                count += 1;
                fetch::judge(room, vault, row.seen, messages);
            }
        }
    }
    if count > 0 {
        tracing::info!(actions = count, "what another policy held was judged anew");
    }
    Ok(())
}
