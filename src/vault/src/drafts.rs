//! What `signing-agent statement` prints: an approver signs that.

use crate::clock;
use crate::ledger::{Row, State};
use crate::pipeline::Judged;
use crate::reply::Reply;
use crate::room::Room;
use crate::statement::{self, About};
use crate::vault::Vault;
use ipc::{ActionId, Answer, Refusal, StatementDraft, Verb};
use std::sync::Arc;

/// What an approver may sign about an action whose bytes are on record, and what that is about.
pub fn statement(room: &Arc<Room>, id: ActionId, verb: Verb, seconds: u64, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if !(1..=statement::LONGEST).contains(&seconds) {
        return reply.refuse(Refusal::Init("a statement is good for a second to seven days".into()));
    }
    let (room, then) = (room.clone(), vault.clone());
    vault.ledger.post(
        move |t| Row::read(t, &id),
        move |row| match row {
            Ok(Some(row)) => room.pool.clone().spawn(move || match draft(&room, &then, row, verb, seconds) {
                Ok(draft) => reply.send(Answer::Statement(draft)),
                Err(words) => reply.refuse(Refusal::Init(words)),
            }),
            Ok(None) => reply.refuse(Refusal::Init("the agent knows no such action; the feed announces them".into())),
            Err(e) => reply.refuse(Refusal::Init(e.to_string())),
        },
    );
}

fn draft(room: &Room, vault: &Vault, row: Row, verb: Verb, seconds: u64) -> Result<StatementDraft, String> {
    let agent = vault.agent().ok_or("the agent is not registered yet")?;
    let Some(messages) = row.messages().map(<[Vec<u8>]>::to_vec) else {
        return Err("its messages were not fetched yet: try again in a moment".into());
    };
    if !matches!(row.state, State::Seen | State::Held) {
        return Err(format!("it is {} already", row.state.name()));
    }
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|e| format!("the system's randomness failed: {e}"))?;
    let about = About { agent: &agent.id, action: &row.seen.id, messages: &messages, verb };
    let text = statement::draft(&about, clock::now() + seconds, &nonce).map_err(|e| e.to_string())?;
    let judged = Judged::new(&room.policy.active().policy, row.seen.clone(), messages, vault.wall_clock.now());
    let judgement = judged.judgement();
    let words = format!("{}; {}", judgement.why, release(&judgement.release));
    let facts = judgement.facts.iter().map(|facts| ipc::bounded(facts)).collect();
    Ok(StatementDraft { text, facts, words: ipc::bounded(&words) })
}

/// Who may release it, in words.
fn release(release: &policy::Release) -> String {
    let groups = release.approvers.iter().map(|group| {
        let names: Vec<&str> = group.of.iter().map(String::as_str).collect();
        format!("{} of [{}]", group.needed, names.join(", "))
    });
    let token = release.token.then(|| "a token with scope decide".to_owned());
    let wanted: Vec<String> = groups.chain(token).collect();
    if wanted.is_empty() {
        "any client may release it".into()
    } else {
        format!("to release it takes {}", wanted.join(" and "))
    }
}
