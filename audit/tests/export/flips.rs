//! Any one octet that is changed is found, and the record that it is in is named: that one, not a neighbour.

use std::sync::LazyLock;

use audit::export::{Place, verify};
use proptest::prelude::*;

use crate::log::{Log, key};

static LOG: LazyLock<Log> = LazyLock::new(|| Log::new(60));
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| LOG.bytes());

/// The line (from 0) and the column that an octet of the export stands in. A newline belongs to the line that it ends.
fn position(at: usize) -> (usize, usize) {
    let line = BYTES[..at].iter().filter(|c| **c == b'\n').count();
    (line, at - BYTES[..at].iter().rposition(|c| *c == b'\n').map_or(0, |end| end + 1))
}

/// Changes one octet, and asks that the fault is where the change is.
fn flip(at: usize, xor: u8) {
    let mut bytes = BYTES.clone();
    bytes[at] ^= xor;
    let (line, column) = position(at);
    let fault = verify(&bytes[..], &key()).expect_err("a flipped octet was not noticed");
    let context = format!("octet {at} (line {}, column {column}) ^ {xor:#x}: {fault}", line + 1);
    assert_eq!(fault.line, line as u64 + 1, "{context}");
    match LOG.record_of_line(line) {
        Some(n) => {
            assert_eq!(fault.place, Place::Record(n), "{context}");
            assert_eq!(fault.covered, n / 16 * 16, "{context}");
        }
        None => {
            let before = LOG.record_of_line(line - 1).unwrap() + 1;
            // A line that no longer begins as a checkpoint's stands where the next record would.
            let begins = column < br#"{"checkpoint":"#.len();
            let place = if begins { Place::Record(before) } else { Place::Checkpoint(before) };
            assert_eq!(fault.place, place, "{context}");
        }
    }
}

#[test]
fn every_octet_with_one_bit_flipped_is_found_in_its_record() {
    for at in 0..BYTES.len() {
        flip(at, 1 << (at % 8));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_octet_with_any_other_value_is_found_in_its_record(at: prop::sample::Index, xor in 1u8..) {
        flip(at.index(BYTES.len()), xor);
    }

    #[test]
    fn several_changes_are_a_fault_at_the_first_of_them_or_the_line_after_it(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 2..6)
    ) {
        let mut bytes = BYTES.clone();
        for (at, xor) in changes {
            bytes[at.index(BYTES.len())] ^= xor;
        }
        prop_assume!(bytes != *BYTES);
        let first = bytes.iter().zip(&*BYTES).position(|(a, b)| a != b).unwrap();
        let fault = verify(&bytes[..], &key()).expect_err("changes were not noticed");
        // Where two neighbours are changed, the second can be named instead of the first; nothing before them is.
        let line = position(first).0 as u64 + 1;
        prop_assert!((line..=line + 1).contains(&fault.line), "{fault}");
        let record = LOG.lines.iter().take(line as usize - 1).filter(|line| line.starts_with("{\"n\"")).count() as u64;
        prop_assert!(fault.covered <= record, "{fault}");
    }

    #[test]
    fn no_input_is_a_panic(lines in prop::collection::vec(any::<Vec<u8>>(), 0..5), head in 0usize..4) {
        let start = [&b""[..], br#"{"n":"#, br#"{"checkpoint":"#, &BYTES[..]][head];
        let input = [start, &lines.join(&b'\n')].concat();
        prop_assert!(verify(&input[..], &key()).is_err() || input == *BYTES || input.is_empty());
    }
}
