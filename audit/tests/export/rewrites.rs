//! Somebody who changes a record and all that follows from it, but has no key.

use audit::export::{Place, Why, verify};

use crate::log::{Log, key};

/// The honest export with records from `at` to the end replaced by those of a log in which record `at` is another one.
fn rewritten(honest: &Log, at: u64, keep_from: u64) -> Log {
    let other = Log::with(60, |n| if n == at { "another".to_owned() } else { format!("payload of {n}") });
    let mut log = honest.clone();
    for n in at..keep_from {
        let line = honest.line_of_record(n);
        log.lines[line] = other.lines[line].clone();
    }
    log
}

/// The chain fits throughout, so only the next checkpoint shows it: the record is among those that it is the first to cover.
#[test]
fn a_chain_that_was_made_anew_is_stopped_by_the_next_checkpoint() {
    let honest = Log::new(60);
    for at in 0..60 {
        let fault = verify(&rewritten(&honest, at, 60).bytes()[..], &key()).unwrap_err();
        let (before, next) = (at / 16 * 16, (at / 16 * 16 + 16).min(60));
        assert_eq!((fault.place, fault.covered), (Place::Record(next - 1), before), "{at}: {fault}");
        assert!(matches!(fault.why, Why::Root { since } if since == before), "{at}: {fault}");
    }
}

/// Made anew up to a record that is the old one again: that one names a record which is not there.
#[test]
fn a_chain_that_was_made_anew_in_part_is_stopped_where_it_meets_the_old_one() {
    let honest = Log::new(60);
    for at in 16..28 {
        for upto in at + 1..30 {
            let fault = verify(&rewritten(&honest, at, upto).bytes()[..], &key()).unwrap_err();
            assert_eq!((fault.place, fault.covered), (Place::Record(upto - 1), 16), "{at} to {upto}: {fault}");
            assert!(matches!(fault.why, Why::Content), "{fault}");
        }
    }
}

/// A whole chain of another log, grafted on after a record that a checkpoint vouches for: that record is not the bad one.
#[test]
fn a_record_that_a_checkpoint_vouches_for_is_never_named() {
    let honest = Log::new(60);
    let other = Log::with(60, |n| if n == 15 { "another".to_owned() } else { format!("payload of {n}") });
    let at = honest.line_of_record(16);
    let grafted = Log { lines: [&honest.lines[..at], &other.lines[at..]].concat() };
    let fault = verify(&grafted.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why, fault.covered), (Place::Record(16), Why::Prev, 16)));
}

#[test]
fn an_unsigned_record_at_the_end_is_a_fault() {
    let mut log = Log::new(16);
    let longer = Log::new(17);
    log.lines.push(longer.lines[longer.line_of_record(16)].clone());
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why, fault.covered), (Place::End(17), Why::Truncated, 16)));
}

#[test]
fn an_export_begins_with_record_0() {
    let mut log = Log::new(60);
    log.lines.remove(0);
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why), (Place::Record(0), Why::Number { found: 1 })));
    // With the number put right, it names a record before it, and there is none.
    log.lines[0] = log.lines[0].replacen("{\"n\":1,", "{\"n\":0,", 1);
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why), (Place::Record(0), Why::Prev)));
    // And with a second record that fits it.
    let prev = hex::encode(audit::tree::leaf_hash(log.lines[0].as_bytes()));
    let start = log.lines[1].find("\"prev\":\"").unwrap() + 8;
    log.lines[1].replace_range(start..start + 64, &prev);
    log.lines[1] = log.lines[1].replacen("{\"n\":2,", "{\"n\":1,", 1);
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why), (Place::Record(0), Why::Prev)));
}
