//! A second opinion, before an approval is recorded, by whomever it is: the operator's own endpoint is asked, and what it says can
//! only tighten. The courier carries the question and the answer; the answer counts by its signature (docs/callback.md).

mod answer;
mod asking;
mod question;

pub use answer::{Heard, Seconded};

use crate::errands::Job;
use crate::fetch::{judge, recorded};
use crate::ledger::{Fate, second, time};
use crate::pipeline::{By, Judged};
use crate::room::Room;
use crate::settle::expire;
use crate::vault::Vault;
use crate::{clock, decide};
use answer::Said;
use asking::{Asking, Consultation, Entered, Settings};
use config::Config;
use config::seams::{crash_point, pace};
use hsm::Role;
use ipc::{Failure, Method, Outcome, Place, Refusal, Secret};
use policy::Verdict;
use question::Question;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What policy approves and nobody answered for is asked about again after so long, so many of it in one sweep.
const AGAIN: Duration = Duration::from_secs(60);
const MOST_AGAIN: usize = 8;

/// Who is asked, and what is asked of them now.
pub struct Callback {
    settings: Option<Settings>,
    asking: Asking,
}

impl Callback {
    /// Reads the key that the configuration names; an error is words for the operator.
    pub fn load(config: &Config) -> Result<Self, String> {
        let settings = config.callback.as_ref().map(Settings::read).transpose()?;
        Ok(Self { settings, asking: Asking::default() })
    }

    /// With the proof that nobody is to be asked, where that is so.
    pub fn spare(&self, judged: Judged) -> Judged {
        if self.settings.is_some() { judged } else { judged.seconded(Seconded::nobody_to_ask(), None) }
    }

    /// What keeps approvals from being seconded, if anything does.
    pub fn complaint(&self) -> Option<String> {
        self.asking.complaint()
    }

    /// For `status`; nothing where nobody is to be asked.
    pub fn words(&self, config: &Config) -> Option<String> {
        let url = &config.callback.as_ref()?.url;
        Some(self.complaint().map_or_else(|| url.to_string(), |complaint| format!("{url}: {complaint}")))
    }
}

/// Has `then` go on with what needs no second opinion, or has one. What is rejected or not answered for is recorded here.
pub fn consult(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    judged: Judged,
    by: By,
    then: impl FnOnce(Judged) + Send + 'static,
) {
    // What may not be approved is nobody's to second.
    if !judged.wants_second(&by) {
        return then(judged);
    }
    let id = judged.seen().id.clone();
    if !judged.had_time() {
        // By a clock that jumped a question has no time; and nothing is approved.
        return recorded(room, vault, id, Ok(Fate::ClockStepped));
    }
    let consultation = Consultation { judged, by, asked: 0, then: Box::new(then) };
    match room.callback.asking.enter(consultation) {
        Entered::Waits => ask_next(room, vault),
        // Those who wait for the action hear of its end.
        Entered::UnderWay => tracing::info!(action = %id, "it is asked about already"),
        Entered::Full(consultation) => {
            unanswered(room, vault, *consultation, "too many actions wait for the callback", None);
        }
    }
}

fn ask_next(room: &Arc<Room>, vault: &Arc<Vault>) {
    while let Some(consultation) = room.callback.asking.next() {
        ask(room, vault, consultation);
    }
}

fn ask(room: &Arc<Room>, vault: &Arc<Vault>, mut consultation: Consultation) {
    let asking = &room.callback.asking;
    let (Some(settings), Some(agent)) = (&room.callback.settings, vault.agent()) else {
        asking.done();
        return unanswered(room, vault, consultation, "this agent is not registered", None);
    };
    let id = consultation.judged.seen().id.clone();
    if vault.is_over(consultation.judged.seen()) {
        asking.done();
        asking.leave(&consultation.judged);
        return expire(room, vault, &id);
    }
    let sign = |digest: &[u8; 32]| vault.token.sign(Role::Audit, digest);
    let (judged, by) = (&consultation.judged, &consultation.by);
    let (question, jwt) = match Question::new(&agent.id, judged, by, clock::now(), settings.timeout, sign) {
        Ok(asked) => asked,
        Err(why) => {
            asking.done();
            return unanswered(room, vault, consultation, &why, None);
        }
    };
    consultation.asked += 1;
    tracing::info!(action = %id, time = consultation.asked, "asking for a second opinion");
    let header = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    let (again, then) = (room.clone(), vault.clone());
    room.errands.add(Job {
        place: Place::Callback,
        method: Method::Post,
        tail: String::new(),
        headers: vec![header("content-type", "application/jwt"), header("accept", "application/jwt")],
        body: jwt.into_bytes(),
        timeout: settings.timeout,
        pass: None,
        until: Some(Instant::now() + pace(settings.timeout)),
        may_go: None,
        pauses: false,
        done: Box::new(move |outcome| {
            again.callback.asking.done();
            crash_point("callback.answered");
            heard(&again, &then, consultation, question, outcome);
            ask_next(&again, &then);
        }),
    });
    crash_point("callback.asked");
}

fn heard(room: &Arc<Room>, vault: &Arc<Vault>, consultation: Consultation, question: Question, outcome: Outcome) {
    let Some(settings) = &room.callback.settings else { return };
    let (asking, id) = (&room.callback.asking, consultation.judged.seen().id.clone());
    // Why there is no answer, and whether there may be one later.
    let (why, later, heard) = match outcome {
        Outcome::Reply { status: 200, body, .. } => match question.read(&body, &settings.key, clock::now()) {
            Ok(Said::Retry(reason, heard)) => (format!("the callback says RETRY: {reason}"), true, Some(heard)),
            Ok(said) => {
                asking.complain(None);
                return opined(room, vault, consultation, said);
            }
            Err(invalid) => {
                vault.alarm(None, &format!("who answers for the callback gave {invalid}"));
                (format!("the callback gave {invalid}"), false, None)
            }
        },
        Outcome::Reply { status: status @ (429 | 500..), .. } => {
            (format!("the callback answered {status}"), true, None)
        }
        Outcome::Reply { status, .. } => (format!("the callback answered {status}"), false, None),
        Outcome::Failed(Failure::Timeout) => {
            (format!("the callback did not answer within {} s", settings.timeout.as_secs()), false, None)
        }
        Outcome::Failed(Failure::Transport(words) | Failure::NotSent(words)) => {
            (format!("the callback is not reached: {}", ipc::bounded(&words)), true, None)
        }
    };
    let time_left =
        consultation.judged.seen().expires.is_none_or(|expires| expires > clock::now() + settings.retry_wait.as_secs());
    if later && consultation.asked <= settings.retries && time_left {
        tracing::info!(action = %id, "{why}; it is asked again");
        let (again, then) = (room.clone(), vault.clone());
        return room.clock.after(settings.retry_wait, move || {
            again.callback.asking.enter_again(consultation);
            let (room, pool) = (again.clone(), again.pool.clone());
            pool.spawn(move || ask_next(&room, &then));
        });
    }
    asking.complain(Some(why.clone()));
    unanswered(room, vault, consultation, &why, heard);
}

/// What is done with an opinion.
fn opined(room: &Arc<Room>, vault: &Arc<Vault>, consultation: Consultation, said: Said) {
    match said {
        Said::Approve(seconded, heard) => {
            room.callback.asking.leave(&consultation.judged);
            let Consultation { judged, then, .. } = consultation;
            tracing::info!(action = %judged.seen().id, "the callback says APPROVE");
            if vault.is_over(judged.seen()) {
                return expire(room, vault, &judged.seen().id);
            }
            // Asking took its time: hours may be over, or the policy another one.
            let judged = judged.anew(&room.policy.active().policy, vault.wall_clock.now());
            then(judged.seconded(seconded, Some(heard)));
        }
        Said::Reject(reason, heard) => {
            room.callback.asking.leave(&consultation.judged);
            let why = format!("the callback says REJECT: {reason}");
            decide::refuse_approvals(vault, &consultation.judged.seen().id, &why);
            let judged = consultation.judged.overruled(Verdict::Deny, why, Some(heard));
            write(room, vault, judged, second::rejected);
        }
        Said::Ignore(reason, heard) => {
            unanswered(room, vault, consultation, &format!("the callback says IGNORE: {reason}"), Some(heard));
        }
        Said::Retry(reason, heard) => unanswered(room, vault, consultation, &reason, Some(heard)),
    }
}

/// It is held, and those who wait for its approval are told why.
fn unanswered(room: &Arc<Room>, vault: &Arc<Vault>, consultation: Consultation, why: &str, heard: Option<Heard>) {
    let Consultation { judged, .. } = consultation;
    room.callback.asking.leave(&judged);
    let id = judged.seen().id.clone();
    tracing::warn!(action = %id, "no second opinion: {why}");
    vault.waiting.refuse_approvals(&id, &Refusal::NoSecondOpinion(ipc::bounded(why)));
    let awaited = judged.judgement().verdict == Verdict::Approve;
    let judged = judged.overruled(Verdict::Hold, format!("no second opinion: {why}"), heard);
    write(room, vault, judged, move |t, judged, now| second::unanswered(t, judged, awaited, time::look(t)?.agent, now));
}

/// Records what comes of it.
fn write(
    room: &Arc<Room>,
    vault: &Arc<Vault>,
    judged: Judged,
    what: impl FnOnce(&rusqlite::Transaction<'_>, &Judged, u64) -> Result<Fate, rusqlite::Error> + Send + 'static,
) {
    let (again, then, id) = (room.clone(), vault.clone(), judged.seen().id.clone());
    vault.ledger.post(move |t| what(t, &judged, clock::now()), move |fate| recorded(&again, &then, id, fate));
}

/// Asks again about a few of those that policy approves and nobody answered for.
pub fn take_up(room: &Arc<Room>, vault: &Arc<Vault>) {
    if room.callback.settings.is_none() || room.callback.asking.is_busy() {
        return;
    }
    let (again, then) = (room.clone(), vault.clone());
    vault.ledger.post(
        |t| second::awaited(t, time::look(t)?.agent, pace(AGAIN), MOST_AGAIN),
        move |rows| match rows {
            Ok(rows) => rows.into_iter().for_each(|row| {
                let Some(messages) = row.messages().map(<[_]>::to_vec) else { return };
                let (room, vault) = (again.clone(), then.clone());
                again.pool.spawn(move || judge(&room, &vault, row.seen, messages));
            }),
            Err(e) => tracing::error!("what waits for a second opinion is not asked about: {e}"),
        },
    );
}
