//! What names an action's messages, to whom is asked and by whom is answered (docs/people.md, docs/callback.md).

use sha2::{Digest, Sha256};

/// All of them and their order: SHA-256 over their SHA-256 digests, 32 octets each.
pub fn messages_digest(messages: &[Vec<u8>]) -> [u8; 32] {
    let mut all = Sha256::new();
    messages.iter().for_each(|message| all.update(Sha256::digest(message)));
    all.finalize().into()
}
