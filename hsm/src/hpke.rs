//! HPKE's receiving side (RFC 9180, base mode) for DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305, given
//! the Diffie-Hellman value that the token computed: one message, empty aad.

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::curve::Point;

const VERSION: &[u8] = b"HPKE-v1";
/// "KEM" ‖ 0x0010, section 4.1.
const KEM: &[u8] = b"KEM\x00\x10";
/// "HPKE" ‖ KEM 0x0010 ‖ KDF 0x0001 ‖ AEAD 0x0003, section 5.1.
const SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x03";

/// The plaintext, or nothing if the ciphertext is not for this `dh`, `enc`, recipient and `info`.
pub(crate) fn open(
    dh: &[u8; 32],
    enc: &Point,
    recipient: &Point,
    info: &[u8],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    // Section 4.1, Decap and ExtractAndExpand.
    let shared: Zeroizing<[u8; 32]> = extract(KEM, b"", b"eae_prk", dh).expand(b"shared_secret", &[enc, recipient])?;

    // Section 5.1, KeySchedule with mode 0 and no psk; section 5.2: the first nonce is base_nonce itself.
    let psk_id_hash = extract(SUITE, b"", b"psk_id_hash", b"").prk;
    let info_hash = extract(SUITE, b"", b"info_hash", info).prk;
    let context: [&[u8]; 3] = [&[0], &psk_id_hash[..], &info_hash[..]];
    let secret = extract(SUITE, &shared[..], b"secret", b"");
    let key: Zeroizing<[u8; 32]> = secret.expand(b"key", &context)?;
    let nonce: Zeroizing<[u8; 12]> = secret.expand(b"base_nonce", &context)?;

    let cipher = ChaCha20Poly1305::new(Key::from_slice(&key[..]));
    cipher.decrypt(Nonce::from_slice(&nonce[..]), ciphertext).ok().map(Zeroizing::new)
}

struct Extracted {
    suite: &'static [u8],
    prk: Zeroizing<[u8; 32]>,
    hkdf: Hkdf<Sha256>,
}

/// LabeledExtract, section 4.
fn extract(suite: &'static [u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Extracted {
    let labeled = Zeroizing::new([VERSION, suite, label, ikm].concat());
    let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), &labeled);
    let extracted = Extracted { suite, prk: Zeroizing::new(prk.into()), hkdf };
    prk.as_mut_slice().zeroize();
    extracted
}

impl Extracted {
    /// LabeledExpand, section 4. Nothing only if N were beyond HKDF's limit.
    fn expand<const N: usize>(&self, label: &[u8], info: &[&[u8]]) -> Option<Zeroizing<[u8; N]>> {
        let length = u16::try_from(N).ok()?.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![&length, VERSION, self.suite, label];
        parts.extend(info);
        let mut out = Zeroizing::new([0; N]);
        self.hkdf.expand_multi_info(&parts, &mut out[..]).ok()?;
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What age's own sender (the `hpke` crate) makes is covered by the tests with a token; here: no bit is ignored.
    #[test]
    fn nothing_opens_that_was_not_sealed_for_it() {
        let (enc, recipient) = ([4; 65], [5; 65]);
        assert!(open(&[1; 32], &enc, &recipient, b"info", &[0; 32]).is_none());
        assert!(open(&[1; 32], &enc, &recipient, b"info", &[]).is_none());
    }
}
