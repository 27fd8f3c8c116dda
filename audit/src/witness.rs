//! What is said to a witness (C2SP tlog-witness) and what it answers; who says it is another's affair.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Hash, SignatureLine};

/// The most cosignatures that are taken from one answer.
pub const MAX_COSIGNATURES: usize = 16;
/// The longest line of an answer that is taken, in octets. An ML-DSA-44 cosignature is about 3,300.
pub const MAX_LINE: usize = 8 * 1024;

/// The body of `POST …/add-checkpoint`: what the witness is thought to have seen last, the consistency proof from there
/// ([`crate::tree::consistency_proof`]; empty where `old` is 0), and the signed note.
pub fn add_checkpoint_body(old: u64, proof: &[Hash], note: &str) -> String {
    let mut body = format!("old {old}\n");
    for hash in proof {
        // Writing to a string does not fail.
        let _ = writeln!(body, "{}", STANDARD.encode(hash));
    }
    body.push('\n');
    body.push_str(note);
    body
}

/// The cosignatures of a witness's answer (status 200). They are well-formed, and **not verified**. Lines that are not
/// well-formed, too long, or of a 17th or later line, are passed over.
pub fn cosignatures(answer: &str) -> Vec<SignatureLine> {
    let lines = answer.split('\n').take(MAX_COSIGNATURES).filter(|line| line.len() <= MAX_LINE);
    lines.filter_map(|line| SignatureLine::parse(line).ok()).collect()
}

/// What a witness says it has, in the body of its 409 (`text/x.tlog.size`): a tree size and a newline.
pub fn conflict_size(answer: &str) -> Option<u64> {
    let digits = answer.strip_suffix('\n')?;
    digits.parse().ok().filter(|size: &u64| size.to_string() == digits)
}
