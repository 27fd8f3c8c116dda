//! The registration's RSA key: it signs one request and is then wiped (protocol.md §2).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ipc::{KeyFault, Secret};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a key tells of itself.
pub struct PublicHalf {
    /// PEM `PUBLIC KEY`.
    pub pem: String,
    /// SHA-256 of its DER, hex.
    pub fingerprint: String,
}

/// A new key, as PKCS#8 DER: of 2048 bits, which every backend takes; it signs a registration's request and is removed.
pub fn make() -> Option<Zeroizing<Vec<u8>>> {
    let der: Pkcs8V1Der<'static> = RsaKeyPair::generate(KeySize::Rsa2048).ok()?.as_der().ok()?;
    Some(Zeroizing::new(der.as_ref().to_vec()))
}

/// `None` where the octets are no RSA key.
pub fn public_half(pkcs8: &[u8]) -> Option<PublicHalf> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    let der: PublicKeyX509Der<'static> = pair.public_key().as_der().ok()?;
    let fingerprint = hex::encode(Sha256::digest(der.as_ref()));
    Some(PublicHalf { pem: armoured("PUBLIC KEY", der.as_ref()).to_string(), fingerprint })
}

/// As [`RequestKey::read`] reads it.
pub fn base64_of_pem(pkcs8: &[u8]) -> Zeroizing<String> {
    encoded(armoured("PRIVATE KEY", pkcs8).as_bytes())
}

/// The same of what somebody brought: PEM as it is in a file, or base64 of that already.
pub fn base64_of(brought: &Secret) -> Zeroizing<String> {
    let text = brought.expose();
    if text.contains("-----BEGIN ") { encoded(text.as_bytes()) } else { Zeroizing::new(text.to_owned()) }
}

/// RSA of 2048 to 8192 bits. AWS-LC wipes what it frees.
pub struct RequestKey(RsaKeyPair);

impl RequestKey {
    /// Reads standard base64 of a PEM private key, PKCS#1 or PKCS#8; white space within the base64 is passed over.
    pub fn read(base64_of_pem: &str) -> Result<Self, KeyFault> {
        let pem = unbase64(base64_of_pem).ok_or(KeyFault::NotBase64)?;
        let pem = str::from_utf8(&pem).map_err(|_| KeyFault::NotPem)?;
        let (label, der) = unarmour(pem).ok_or(KeyFault::NotPem)?;
        let pair = match label {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            _ => return Err(KeyFault::NotRsa),
        };
        pair.map(Self).map_err(|_| KeyFault::NotRsa)
    }

    /// `x-sign`: base64url without padding of RSA PKCS#1 v1.5 / SHA-256 over `timestamp ‖ url ‖ body`.
    pub fn sign(&self, timestamp: &str, url: &str, body: &[u8]) -> Option<String> {
        let signed = [timestamp.as_bytes(), url.as_bytes(), body].concat();
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).ok()?;
        Some(URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unbase64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Room for all before the first octet: a growing vector would leave copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    plain.extend(text.bytes().filter(|b| !b.is_ascii_whitespace()));
    let mut octets = Zeroizing::new(vec![0; plain.len()]);
    let length = STANDARD.decode_slice(&plain, &mut octets).ok()?;
    octets.truncate(length);
    Some(octets)
}

/// Standard base64, in one allocation: a growing string would leave copies behind.
fn encoded(octets: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(octets.len().div_ceil(3) * 4));
    STANDARD.encode_string(octets, &mut text);
    text
}

/// RFC 7468: lines of 64 characters under this label.
fn armoured(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = encoded(der);
    let mut pem = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40));
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    // Base64 is of single octets, so no line cuts a character.
    for (at, character) in body.char_indices() {
        pem.push(character);
        if at % 64 == 63 {
            pem.push('\n');
        }
    }
    if !body.len().is_multiple_of(64) {
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// RFC 7468: the label and the octets of the first PEM block.
pub fn unarmour(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (_, after) = pem.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once("-----END ")?;
    Some((label, unbase64(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn cases() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/partner-api-signature.json");
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        file["cases"].as_array().unwrap().clone()
    }

    #[test]
    fn every_published_request_signature_comes_out_the_same() {
        let cases = cases();
        assert!(cases.iter().any(|c| c["pem_kind"] == "PKCS#8") && cases.iter().any(|c| c["pem_kind"] == "PKCS#1"));
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap().to_owned();
            let key = RequestKey::read(&text("base64_private_key")).unwrap();
            let sign = key.sign(&text("timestamp"), &text("uri"), text("body").as_bytes());
            assert_eq!(sign.unwrap(), text("x_sign"));
        }
    }

    #[test]
    fn a_key_that_is_made_here_is_read_as_one_that_a_client_brings() {
        let made = make().unwrap();
        let PublicHalf { pem, fingerprint } = public_half(&made).unwrap();
        let (label, public) = unarmour(&pem).unwrap();
        assert_eq!((label, hex::encode(Sha256::digest(&*public))), ("PUBLIC KEY", fingerprint));
        assert!(pem.lines().all(|line| line.len() <= 64) && pem.ends_with("-----END PUBLIC KEY-----\n"), "{pem}");
        let sign = |base64: &str| RequestKey::read(base64).unwrap().sign("1", "https://a.example", b"{}").unwrap();
        let own = sign(&base64_of_pem(&made));
        let file = Secret::new(armoured("PRIVATE KEY", &made).to_string());
        let brought = base64_of(&file);
        assert_eq!((sign(&brought), sign(&base64_of(&Secret::new(brought.to_string())))), (own.clone(), own));
        assert!(public_half(&made[1..]).is_none());
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_kind() {
        let fault = |text: &str| RequestKey::read(text).err();
        assert_eq!(fault("not*base64"), Some(KeyFault::NotBase64));
        assert_eq!(fault(&STANDARD.encode("hello")), Some(KeyFault::NotPem));
        let ec = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        assert_eq!(fault(&STANDARD.encode(ec)), Some(KeyFault::NotRsa));
        let torn = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(fault(&STANDARD.encode(torn)), Some(KeyFault::NotRsa));
        let key = cases()[0]["base64_private_key"].as_str().unwrap().to_owned();
        assert_eq!(fault(&key[..key.len() / 8 * 4]), Some(KeyFault::NotPem));
    }
}
