//! The registration's RSA key: it signs one request and is then wiped (protocol.md §2).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ipc::KeyFault;
use zeroize::Zeroizing;

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
