//! What an innocent opaque message risks: looking, by chance, like an asset.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use common::{generous, judge};
use policy::Verdict;

const STRINGS: usize = 200_000;

/// SplitMix64: the same strings in every run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Of [`STRINGS`] random strings of `length` bytes, those that are held and those that are denied although a rule approves
/// whatever is opaque.
fn held_and_denied(length: usize) -> (usize, usize) {
    let policy = generous();
    let mut state = length as u64;
    let (mut held, mut denied) = (0, 0);
    for _ in 0..STRINGS {
        let mut message = Vec::with_capacity(length + 8);
        while message.len() < length {
            message.extend(random(&mut state).to_le_bytes());
        }
        message.truncate(length);
        match judge(&policy, None, &[message]).verdict {
            Verdict::Approve => {}
            Verdict::Hold => held += 1,
            Verdict::Deny => denied += 1,
        }
    }
    println!("of {STRINGS} random strings of {length} bytes: {held} held, {denied} denied");
    (held, denied)
}

#[test]
fn of_random_opaque_messages_one_in_ten_thousand_is_denied_at_most_and_one_in_nine_held() {
    for length in [32, 250] {
        let (held, denied) = held_and_denied(length);
        assert!(denied <= STRINGS / 10_000 && held <= STRINGS / 9, "{length} bytes: {held} held, {denied} denied");
    }
}
