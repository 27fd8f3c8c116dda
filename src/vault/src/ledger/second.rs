//! What comes of an approval that needed a second opinion and has none: rejected, or held until there is one.

use super::actions::{Fate, Row, State, other, other_bytes, write};
use super::{held_for_clock, refused};
use crate::pipeline::{By, Judged};
use ipc::ActionId;
use rusqlite::{Transaction, params};
use std::time::Duration;

/// Records that the callback rejects it: as what policy denies, it is rejected at the backend, and its bytes under any id.
pub fn rejected(transaction: &Transaction<'_>, judged: &Judged, now: u64) -> Result<Fate, rusqlite::Error> {
    match Row::read(transaction, &judged.seen().id)? {
        Some(row) if other_bytes(transaction, &row, judged)? => return Ok(other(&row)),
        Some(Row { state: State::Seen | State::Held, .. }) | None => {}
        Some(_) => return Ok(Fate::Stands),
    }
    let why = judged.judgement().why.clone();
    write(transaction, judged, State::Rejecting, Some(&By::Callback), &why, now)?;
    refused::note(transaction, judged.messages())?;
    Ok(Fate::Denied(why))
}

/// Records that nobody answered for it: it is held. Where policy approves it (`awaited`) it is asked about again. What is held
/// already stays as it is on record, however often a client has it asked about; but what waited for the clock does so no longer.
/// `agent` is the agent's time, seconds.
pub fn unanswered(
    transaction: &Transaction<'_>,
    judged: &Judged,
    awaited: bool,
    agent: u64,
    now: u64,
) -> Result<Fate, rusqlite::Error> {
    let why = judged.judgement().why.clone();
    let seen = judged.seen();
    match Row::read(transaction, &seen.id)? {
        Some(row) if other_bytes(transaction, &row, judged)? => return Ok(other(&row)),
        Some(Row { state: State::Held, .. }) if !held_for_clock::forget(transaction, &seen.id)? => {
            let known = "UPDATE awaited SET asked = ?2 WHERE action = ?1";
            // It may be that another policy held it, and this one approves it.
            let sql = if awaited { "INSERT OR REPLACE INTO awaited (action, asked) VALUES (?1, ?2)" } else { known };
            transaction.prepare_cached(sql)?.execute(params![seen.id.as_str(), agent])?;
            return Ok(Fate::Held(why));
        }
        Some(row) if !matches!(row.state, State::Seen | State::Held) || row.seen != *seen => return Ok(Fate::Stands),
        // A client's wish, of which the feed said nothing: it would never expire.
        None if seen.expires.is_none() => return Ok(Fate::Held(why)),
        _ => {}
    }
    write(transaction, judged, State::Held, None, &why, now)?;
    if awaited {
        let sql = "INSERT INTO awaited (action, asked) VALUES (?1, ?2)";
        transaction.prepare_cached(sql)?.execute(params![seen.id.as_str(), agent])?;
    }
    Ok(Fate::Held(why))
}

/// Whether it is held for want of an answer alone.
pub fn is_awaited(transaction: &Transaction<'_>, row: &Row) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT 1 FROM awaited WHERE action = ?1";
    Ok(row.state == State::Held && transaction.prepare_cached(sql)?.exists([row.seen.id.as_str()])?)
}

/// It is decided, or held for another reason.
pub fn forget(transaction: &Transaction<'_>, id: &ActionId) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("DELETE FROM awaited WHERE action = ?1")?.execute([id.as_str()]).map(drop)
}

/// What may be asked about again: held, and last asked about so long ago by the agent's time; so many at the most, the longest first.
pub fn awaited(
    transaction: &Transaction<'_>,
    agent: u64,
    ago: Duration,
    most: usize,
) -> Result<Vec<Row>, rusqlite::Error> {
    let gone =
        "DELETE FROM awaited WHERE action NOT IN (SELECT id FROM action WHERE state = 'held' AND settled IS NULL)";
    transaction.prepare_cached(gone)?.execute([])?;
    let sql = "SELECT action FROM awaited WHERE asked <= ?1 ORDER BY asked LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let before = agent.saturating_sub(ago.as_secs());
    let ids = statement.query_map(params![before, most], |row| row.get::<_, String>(0))?;
    let mut rows = Vec::new();
    for id in ids {
        let Ok(id) = ActionId::try_from(id?) else { continue };
        rows.extend(Row::read(transaction, &id)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::Seconded;
    use crate::ledger::actions::approve;
    use crate::ledger::{Fate, Source, Word, judge, schema, see};
    use crate::pipeline::Seen;
    use policy::{Policy, Verdict};
    use rusqlite::Connection;

    const APPROVE: &str = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
    /// No asset, by its first octet: wire type 7 does not exist.
    const MESSAGE: &[u8] = b"\xffmove it";

    fn client() -> Word {
        Word::bare(Source::anybody())
    }

    fn seen(id: &str) -> Seen {
        Seen { id: ActionId::try_from(id.to_owned()).unwrap(), claim: None, expires: Some(100) }
    }

    fn judged(id: &str) -> Judged {
        Judged::new(&Policy::parse(APPROVE).unwrap(), seen(id), vec![MESSAGE.to_vec()], Some(1))
    }

    fn seconded(id: &str) -> Judged {
        judged(id).seconded(Seconded::for_a_test(), None)
    }

    fn overruled(id: &str, verdict: Verdict) -> Judged {
        judged(id).overruled(verdict, "for this reason".into(), None)
    }

    /// A ledger in memory, and how many audit records it has.
    fn book() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        (dir, connection)
    }

    fn records(t: &Transaction<'_>) -> u64 {
        t.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
    }

    fn due(t: &Transaction<'_>, now: u64) -> usize {
        awaited(t, now, Duration::from_secs(60), 8).unwrap().len()
    }

    #[test]
    fn without_the_proof_nothing_is_permitted_whoever_approves() {
        assert!(judged("w1").permit_by_policy().is_err());
        assert!(judged("w1").permit_by_people(client()).is_err());
        assert!(seconded("w1").permit_by_policy().is_ok());
        for verdict in [Verdict::Hold, Verdict::Deny] {
            let late = overruled("w1", verdict).seconded(Seconded::for_a_test(), None);
            assert!(late.permit_by_policy().is_err(), "a verdict is never loosened");
            assert!(seconded("w1").overruled(verdict, String::new(), None).permit_by_people(client()).is_err());
        }
        let (_dir, mut book) = book();
        let t = book.transaction().unwrap();
        see(&t, &seen("w1"), 1).unwrap();
        assert!(matches!(judge(&t, judged("w1"), 1), Ok(Fate::Held(_))));
    }

    #[test]
    fn what_is_rejected_stays_so_and_its_bytes_are_approved_by_rule_under_no_id() {
        let (_dir, mut book) = book();
        let t = book.transaction().unwrap();
        see(&t, &seen("w1"), 1).unwrap();
        unanswered(&t, &overruled("w1", Verdict::Hold), true, 1, 1).unwrap();
        let no = overruled("w1", Verdict::Deny);
        assert!(matches!(rejected(&t, &no, 2), Ok(Fate::Denied(why)) if why == "for this reason"));
        assert!(matches!(rejected(&t, &no, 3), Ok(Fate::Stands)));
        let permitted = seconded("w1").permit_by_people(client()).unwrap();
        assert!(matches!(approve(&t, &permitted, 4), Ok(Fate::Stands)));
        assert!(matches!(judge(&t, seconded("w1"), 4), Ok(Fate::Stands)));
        assert!(matches!(judge(&t, seconded("w2"), 4), Ok(Fate::Held(why)) if why.contains("another id")));
        assert_eq!(due(&t, 99), 0);
        // One that is approved is not rejected any more.
        let permitted = seconded("w3").permit_by_people(client()).unwrap();
        assert!(matches!(approve(&t, &permitted, 5), Ok(Fate::Approve(_))));
        assert!(matches!(rejected(&t, &overruled("w3", Verdict::Deny), 6), Ok(Fate::Stands)));
    }

    #[test]
    fn what_nobody_answered_for_is_held_once_on_record_and_asked_about_again_in_its_time() {
        let (_dir, mut book) = book();
        let t = book.transaction().unwrap();
        see(&t, &seen("w1"), 1).unwrap();
        let held = overruled("w1", Verdict::Hold);
        assert!(matches!(unanswered(&t, &held, true, 10, 1), Ok(Fate::Held(_))));
        let before = records(&t);
        assert!(matches!(unanswered(&t, &held, true, 20, 1), Ok(Fate::Held(_))));
        assert_eq!(records(&t), before, "a client that asks again and again adds no record");
        assert_eq!((due(&t, 79), due(&t, 80)), (0, 1), "a minute later");
        let row = Row::read(&t, &seen("w1").id).unwrap().unwrap();
        assert!(is_awaited(&t, &row).unwrap());
        assert!(matches!(judge(&t, seconded("w1"), 90), Ok(Fate::Approve(_))));
        assert_eq!(due(&t, 99), 0);
        // What was held for another reason waits for a person, whatever the policy says by now.
        see(&t, &seen("w2"), 1).unwrap();
        assert!(matches!(unanswered(&t, &overruled("w2", Verdict::Hold), false, 10, 1), Ok(Fate::Held(_))));
        assert!(matches!(judge(&t, seconded("w2"), 90), Ok(Fate::Stands)));
        assert_eq!(due(&t, 99), 0);
        // A wish of which the feed said nothing leaves nothing behind.
        let endless = Seen { expires: None, ..seen("w3") };
        let endless = Judged::new(&Policy::parse(APPROVE).unwrap(), endless, vec![MESSAGE.to_vec()], Some(1));
        unanswered(&t, &endless.overruled(Verdict::Hold, String::new(), None), true, 10, 1).unwrap();
        assert!(Row::read(&t, &seen("w3").id).unwrap().is_none());
    }
    #[test]
    fn what_waited_for_the_clock_and_is_not_answered_for_waits_for_the_answer_then() {
        let (_dir, mut book) = book();
        let t = book.transaction().unwrap();
        write(&t, &overruled("w1", Verdict::Hold), State::Held, None, held_for_clock::WHY, 1).unwrap();
        held_for_clock::note(&t, &seen("w1").id).unwrap();
        unanswered(&t, &overruled("w1", Verdict::Hold), true, 10, 1).unwrap();
        assert_eq!((held_for_clock::list(&t, 9).unwrap().len(), due(&t, 70)), (0, 1));
    }
}
