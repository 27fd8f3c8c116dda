//! A search for secrets, or any 24 octets of one, raw, backwards, in hex or in base64, in whatever is given.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeSet, HashMap};

/// Octets of a piece. A new one begins every `STEP`.
const PIECE: usize = 16;
const STEP: usize = 8;
/// Octets that a piece is looked up by.
const HEAD: usize = 8;
const PAGE: usize = 4096;

#[derive(Default)]
pub struct Search {
    needles: HashMap<[u8; HEAD], Vec<(Vec<u8>, &'static str)>>,
    begins: BTreeSet<[u8; 2]>,
}

impl Search {
    /// At least [`PIECE`] octets.
    pub fn add(&mut self, name: &'static str, secret: &[u8]) {
        assert!(secret.len() >= PIECE, "{name} is too short to be told from chance");
        let last = secret.len() - PIECE;
        for start in (0..last).step_by(STEP).chain([last]) {
            for needle in written(&secret[start..start + PIECE]) {
                self.begins.insert([needle[0], needle[1]]);
                self.needles.entry(needle[..HEAD].try_into().unwrap()).or_default().push((needle, name));
            }
        }
    }

    /// The names of what is there, each once.
    pub fn find(&self, octets: &[u8]) -> Vec<&'static str> {
        let mut begins = vec![false; 1 << 16];
        for [first, second] in &self.begins {
            begins[usize::from(*first) << 8 | usize::from(*second)] = true;
        }
        let mut found = BTreeSet::new();
        let mut at = 0;
        while at + HEAD <= octets.len() {
            // Most of a memory is empty.
            if octets[at..].starts_with(&[0; PAGE]) {
                at += PAGE - HEAD;
                continue;
            }
            let end = (at + PAGE).min(octets.len() - HEAD + 1);
            for at in at..end {
                if begins[usize::from(octets[at]) << 8 | usize::from(octets[at + 1])] {
                    let head: [u8; HEAD] = octets[at..at + HEAD].try_into().unwrap();
                    let needles = self.needles.get(&head).into_iter().flatten();
                    found.extend(needles.filter(|(n, _)| octets[at..].starts_with(n)).map(|(_, name)| *name));
                }
            }
            at = end;
        }
        found.into_iter().collect()
    }
}

#[allow(dead_code, reason = "not every test program that takes this file in asks it")]
pub fn contains(octets: &[u8], words: &[u8]) -> bool {
    octets.windows(words.len()).any(|window| window == words)
}

/// The ways in which a piece may be written. Backwards is how little-endian machines keep numbers.
fn written(piece: &[u8]) -> Vec<Vec<u8>> {
    let mut ways = vec![piece.to_vec(), piece.iter().rev().copied().collect()];
    ways.extend([hex::encode(piece), hex::encode_upper(piece)].map(String::into_bytes));
    for before in 0..3 {
        let shifted = [&[0; 2][..before], piece].concat();
        // Characters that neighbours have a part in are left out.
        let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            ways.push(engine.encode(&shifted).as_bytes()[first..last].to_vec());
        }
    }
    ways
}

#[test]
fn the_search_finds_a_secret_however_it_is_written_and_wherever_it_stands() {
    let secret: Vec<u8> = (0..48u8).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
    let mut search = Search::default();
    search.add("it", &secret);
    let mut texts = vec![secret[13..37].to_vec(), secret.iter().rev().copied().collect()];
    texts.extend([hex::encode(&secret), hex::encode_upper(&secret)].map(String::into_bytes));
    for before in 0..3 {
        let among = [&b"abc"[..before], &secret, b"d"].concat();
        texts.extend([STANDARD_NO_PAD.encode(&among), URL_SAFE_NO_PAD.encode(&among)].map(String::into_bytes));
    }
    for text in texts {
        for before in [0, 1, PAGE - 5, PAGE, 3 * PAGE - 20] {
            let hay = [vec![0; before], text.clone(), vec![0; 2 * PAGE]].concat();
            assert_eq!(search.find(&hay), ["it"], "{before} octets before {text:?}");
        }
    }
    let other: Vec<u8> = (0..=255).cycle().take(10 * PAGE).collect();
    assert_eq!(search.find(&other), [""; 0]);
}
