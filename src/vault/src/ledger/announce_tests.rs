use super::*;
use crate::callback::Seconded;
use crate::ledger::{Busy, Ledger, Settling, judge, settle};
use crate::pipeline::{Judged, Seen};
use ipc::{ActionEnd, ActionId};
use policy::Policy;
use std::sync::mpsc::channel;

const APPROVE: &str = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";

fn id() -> ActionId {
    ActionId::try_from("w1".to_owned()).unwrap()
}

fn judged() -> Judged {
    let seen = Seen { id: id(), claim: None, expires: Some(100) };
    let judged = Judged::new(&Policy::parse(APPROVE).unwrap(), seen, vec![b"\xffmove it".to_vec()], Some(1));
    judged.seconded(Seconded::for_a_test(), None)
}

#[test]
fn what_becomes_of_an_action_is_told_once_it_is_on_disk_and_what_was_taken_back_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    Ledger::create(&path).unwrap();
    let ledger = Ledger::open(&path, Busy::default()).unwrap();
    let (tell, told) = channel();
    // Another connection sees what is on disk.
    let other = rusqlite::Connection::open(&path).unwrap();
    ledger.tell(move |event: Event| {
        let sql = "SELECT state FROM action WHERE id = ?1";
        let state: Option<String> = other.query_row(sql, [&event.action], |row| row.get(0)).optional().unwrap();
        tell.send((event, state)).unwrap();
    });
    let failed = ledger.call(|t| {
        judge(t, judged(), 1)?;
        Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
    });
    assert!(failed.is_err());
    ledger.call(|t| judge(t, judged(), 1)).unwrap();
    ledger.call(|t| settle(t, &id(), &Settling::decided(ActionEnd::Approved, String::new()), 2)).unwrap();
    ledger.close();
    let all: Vec<(Event, Option<String>)> = told.try_iter().collect();
    let states: Vec<(&str, Option<&str>)> =
        all.iter().map(|(e, state)| (e.status.as_str(), state.as_deref())).collect();
    assert_eq!(states, [("approving", Some("approving")), ("approved", Some("approved"))]);
    for (event, _) in &all {
        assert_eq!((event.verdict.as_deref(), event.rule.as_deref()), (Some("approve"), Some("all")));
        assert_eq!(event.decided_by.as_deref(), Some("policy"));
    }
    let text = serde_json::to_value(&all[0].0).unwrap();
    let names: Vec<&str> = text.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["actionID", "at", "decidedBy", "event", "rule", "status", "verdict"]);
    // A later life tells nothing twice.
    let again = Ledger::open(&path, Busy::default()).unwrap();
    let (tell, told) = channel();
    again.tell(move |event| tell.send(event.status).unwrap());
    again.call(|t| crate::ledger::Condition::Pulse.write(t, 1)).unwrap();
    again.close();
    assert_eq!(told.try_iter().count(), 0);
}
