//! JSON Web Signatures, compact, ES256 alone (RFC 7515; RFC 7518 §3.4), by the audit key in the token.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// `header.payload.signature` over `payload`; `sign` gets the SHA-256 of what is signed and gives r ‖ s, 64 octets.
pub fn sign<E>(kind: &str, payload: &[u8], sign: impl FnOnce(&[u8; 32]) -> Result<[u8; 64], E>) -> Result<String, E> {
    let signed = format!("{}.{}", header(kind), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(&Sha256::digest(&signed).into())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The payload, where the token of this kind is signed by `key` (P-256, 65 octets uncompressed).
pub fn verify(kind: &str, token: &str, key: &[u8; 65]) -> Option<Vec<u8>> {
    let (found, payload) = open(token, key)?;
    (found == plain_header(kind).as_bytes()).then_some(payload)
}

/// Header and payload, octets, of what `key` signed: nothing of them is read before that is known, and what they say is for the
/// caller to look at. The signature is ES256's, whatever the header calls it.
pub fn open(token: &str, key: &[u8; 65]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (signed, signature) = token.trim().rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed.as_bytes(), &signature).ok()?;
    Some((URL_SAFE_NO_PAD.decode(header).ok()?, URL_SAFE_NO_PAD.decode(payload).ok()?))
}

/// The payload of whatever lies there, signed by whomever.
pub fn unverified(token: &str) -> Option<Vec<u8>> {
    let mut parts = token.trim().split('.');
    let payload = parts.nth(1)?;
    URL_SAFE_NO_PAD.decode(payload).ok()
}

fn header(kind: &str) -> String {
    URL_SAFE_NO_PAD.encode(plain_header(kind))
}

fn plain_header(kind: &str) -> String {
    format!(r#"{{"alg":"ES256","typ":"{kind}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    #[test]
    fn only_the_keys_own_payload_of_the_right_kind_is_believed() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = |pair: &EcdsaKeyPair| -> [u8; 65] { pair.public_key().as_ref().try_into().unwrap() };
        // aws-lc-rs hashes by itself: the token is made by hand from the same parts.
        let signed = format!("{}.{}", header("deed"), URL_SAFE_NO_PAD.encode(b"{}"));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let made = sign("deed", b"{}", |digest| {
            assert_eq!(digest, &<[u8; 32]>::from(Sha256::digest(&signed)));
            Ok::<_, ()>(signature.as_ref().try_into().unwrap())
        });
        let token = made.unwrap();
        assert_eq!(verify("deed", &token, &public(&pair)).unwrap(), b"{}");
        assert!(verify("callback", &token, &public(&pair)).is_none());
        assert!(verify("deed", &token, &public(&other)).is_none());
        let tampered = token.replace(&URL_SAFE_NO_PAD.encode(b"{}"), &URL_SAFE_NO_PAD.encode(b"[]"));
        assert!(verify("deed", &tampered, &public(&pair)).is_none());
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(b"{}"));
        assert!(verify("deed", &unsigned, &public(&pair)).is_none());
    }
}
