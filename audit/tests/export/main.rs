//! What an export verifies, and that it says which record is the first bad one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod flips;
mod keys;
mod log;
mod rewrites;

use audit::Error;
use audit::export::{Fault, Place, Why, verify};
use log::{Log, key, note, odd_note, other_key};

#[test]
fn a_whole_export_verifies_and_reports() {
    let log = Log::new(60);
    let report = verify(&log.bytes()[..], &key()).unwrap();
    assert_eq!((report.records, report.checkpoints, report.covered), (60, 4, 60));
    assert_eq!(report.first_time.as_deref(), Some("2026-01-01T00:00:00.000Z"));
    assert_eq!(report.last_time.as_deref(), Some("2026-01-01T00:00:59.059Z"));
    assert_eq!(report.root, log.root(60));
    for count in 1..40 {
        assert_eq!(verify(&Log::new(count).bytes()[..], &key()).unwrap().records, count);
    }
}

#[test]
fn a_log_without_records_is_its_checkpoint() {
    let report = verify(&Log::new(0).bytes()[..], &key()).unwrap();
    assert_eq!((report.records, report.checkpoints, report.first_time), (0, 1, None));
    let fault = verify(&b""[..], &key()).unwrap_err();
    assert!(matches!((fault.place, &fault.why), (Place::End(0), Why::Empty)));
    assert_eq!(
        fault.to_string(),
        "line 0, end of the file after 0 records: the file is empty. Nothing is known of any record"
    );
}

#[test]
fn an_export_that_is_cut_off_anywhere_is_a_fault_or_the_export_of_an_earlier_day() {
    let bytes = Log::new(20).bytes();
    let mut good = Vec::new();
    for end in 0..bytes.len() {
        match verify(&bytes[..end], &key()) {
            Ok(report) => good.push(report.records),
            Err(Fault { why: Why::Empty | Why::Truncated | Why::Unended, .. }) => {}
            Err(fault) => panic!("cut at {end}: {fault}"),
        }
    }
    assert_eq!(good, [16]);
}

#[test]
fn an_export_without_its_last_checkpoint_says_what_nothing_vouches_for() {
    let mut log = Log::new(60);
    log.lines.pop();
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, &fault.why, fault.covered), (Place::End(60), Why::Truncated, 48)));
    assert!(
        fault
            .to_string()
            .ends_with("Records 0 to 47 are covered by the checkpoint of size 48; nothing is known after record 47")
    );
}

#[test]
fn lines_that_are_swapped_missing_or_doubled_are_faults() {
    let whole = Log::new(60);
    let last = whole.lines.len() - 1;
    for at in 0..=last {
        let changed = |change: &dyn Fn(&mut Vec<String>)| {
            let mut log = whole.clone();
            change(&mut log.lines);
            verify(&log.bytes()[..], &key())
        };
        let (this, next) = (whole.record_of_line(at), whole.record_of_line(at + 1));

        let doubled = changed(&|lines| lines.insert(at, lines[at].clone())).unwrap_err();
        assert_eq!(doubled.line, at as u64 + 2, "{doubled}");
        assert!(matches!(doubled.why, Why::Number { .. } | Why::Again), "{doubled}");

        if at < last {
            let swapped = changed(&|lines| lines.swap(at, at + 1)).unwrap_err();
            // A record that comes too early before a checkpoint is still the next one: the checkpoint is then too late.
            assert_eq!(swapped.line, at as u64 + if this.is_some() { 1 } else { 2 }, "{swapped}");
            assert!(matches!(swapped.why, Why::Number { .. } | Why::Size { .. }), "{swapped}");
        }

        let removed = changed(&|lines| drop(lines.remove(at)));
        match (this, next) {
            (Some(n), Some(_)) => {
                let fault = removed.unwrap_err();
                assert_eq!(fault.place, Place::Record(n));
                assert!(matches!(fault.why, Why::Number { found } if found == n + 1), "{fault}");
            }
            (Some(n), None) => {
                let fault = removed.unwrap_err();
                assert_eq!(fault.place, Place::Checkpoint(n));
                assert!(matches!(fault.why, Why::Size { found } if found == n + 1), "{fault}");
            }
            // What a checkpoint on the way covered, a later one covers too.
            (None, Some(_)) => assert_eq!(removed.unwrap().checkpoints, 3),
            (None, None) => assert!(matches!(removed.unwrap_err().why, Why::Truncated)),
        }
    }
}

#[test]
fn a_checkpoint_elsewhere_of_another_tree_or_by_another_key_is_a_fault() {
    let whole = Log::new(60);
    let at = whole.line_of_checkpoint(16);
    for to in (0..whole.lines.len()).filter(|to| *to != at) {
        let mut log = whole.clone();
        let line = log.lines.remove(at);
        log.lines.insert(to, line);
        let fault = verify(&log.bytes()[..], &key()).unwrap_err();
        assert!(matches!((fault.place, &fault.why), (Place::Checkpoint(_), Why::Size { found: 16 })), "{to}: {fault}");
    }

    // Of a longer tree.
    let mut log = Log::new(20);
    log.lines.pop();
    log.lines.push(Log::new(30).lines.pop().unwrap());
    let fault = verify(&log.bytes()[..], &key()).unwrap_err();
    assert!(matches!((fault.place, &fault.why, fault.covered), (Place::Checkpoint(20), Why::Size { found: 30 }, 16)));

    let fault = verify(&whole.bytes()[..], &other_key()).unwrap_err();
    assert!(matches!((fault.place, &fault.why, fault.covered), (Place::Checkpoint(16), Why::Signature(_), 0)));
}

#[test]
fn a_checkpoint_with_more_in_it_than_is_signed_and_known_is_a_fault() {
    let whole = Log::new(3);
    let note = note(3, whole.root(3));
    for more in [
        audit::export::checkpoint_line(&format!("{note}— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/\n")),
        format!(" {}", audit::export::checkpoint_line(&note)),
        audit::export::checkpoint_line(&note).replace(':', ": "),
        audit::export::checkpoint_line(&note).replace('—', "\\u2014"),
        audit::export::checkpoint_line(&note).replace('}', ",\"x\":1}"),
    ] {
        let mut log = whole.clone();
        *log.lines.last_mut().unwrap() = more;
        let fault = verify(&log.bytes()[..], &key()).unwrap_err();
        assert!(matches!(fault.why, Why::Malformed(_)), "{fault}");
    }
}

#[test]
fn a_signed_checkpoint_of_another_origin_or_with_more_lines_is_a_fault() {
    let whole = Log::new(3);
    let text = note(3, whole.root(3)).split_once("\n\n").unwrap().0.to_owned() + "\n";
    let with = |body: &str| {
        let mut log = whole.clone();
        *log.lines.last_mut().unwrap() = audit::export::checkpoint_line(&odd_note(body));
        verify(&log.bytes()[..], &key()).map_err(|fault| fault.why)
    };
    assert!(with(&text).is_ok());
    assert!(matches!(with(&text.replacen("agent", "other", 1)), Err(Why::Signature(Error::Origin(_)))));
    assert!(matches!(with(&format!("{text}more\n")), Err(Why::Malformed(_))));
}

#[test]
fn a_line_that_never_ends_is_not_read_to_its_end() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let fault = verify(endless, &key()).unwrap_err();
    assert!(matches!((fault.place, fault.why), (Place::Record(0), Why::TooLong)));
}

#[test]
fn a_reader_that_fails_is_not_an_end() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let bytes = Log::new(16).bytes();
    let reader = std::io::BufReader::new(std::io::Read::chain(&bytes[..], Failing));
    let fault = verify(reader, &key()).unwrap_err();
    assert!(matches!((&fault.why, fault.covered), (Why::Read(_), 16)), "{fault}");
}
