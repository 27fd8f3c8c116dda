//! Partners: an API key and the RSA key that signs init.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKey};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::state::{State, random};

/// How a new partner's private key is written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Pkcs1,
    Pkcs8,
}

/// Registers an API key with an RSA public key, PEM of a SubjectPublicKeyInfo.
pub(crate) fn register(state: &State, api_key: String, pem: &str) -> Result<(), Refusal> {
    let unusable = || Refusal::Body("publicKeyPem is no RSA key in PEM, BEGIN PUBLIC KEY".into());
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| unusable())?;
    PublicKey::from_der(&der).map_err(|_| unusable())?;
    state.add_partner(api_key, Arc::from(&*der));
    Ok(())
}

/// Makes a partner with a fresh RSA-2048 key, which takes a tenth of a second or so.
pub(crate) fn create(state: &State, format: Format) -> Result<Value, Refusal> {
    let failed = |_| Refusal::Internal("an RSA key could not be made".into());
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let private: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(failed)?;
    let (label, der) = match format {
        Format::Pkcs8 => ("PRIVATE KEY", private.as_ref()),
        Format::Pkcs1 => ("RSA PRIVATE KEY", pkcs1(private.as_ref())?),
    };
    let api_key = hex::encode(random::<16>().map_err(|error| Refusal::Internal(error.to_string()))?);
    state.add_partner(api_key.clone(), Arc::from(public.as_ref()));
    Ok(json!({
        "apiKey": api_key,
        "base64PrivateKey": STANDARD.encode(pem(label, der)),
        "publicKeyPem": pem("PUBLIC KEY", public.as_ref()),
    }))
}

/// The RSAPrivateKey inside a PKCS#8 PrivateKeyInfo (RFC 5208 §5): for keys of this size all that is before it has a fixed
/// length, SEQUENCE 4, version 3, algorithm 15, OCTET STRING header 4.
fn pkcs1(pkcs8: &[u8]) -> Result<&[u8], Refusal> {
    match pkcs8.split_at_checked(22) {
        Some((_, [4, 0x82, high, low, key @ ..])) if key.len() == usize::from(u16::from_be_bytes([*high, *low])) => {
            Ok(key)
        }
        _ => Err(Refusal::Internal("the RSA key came in an unexpected form".into())),
    }
}

/// RFC 7468: 64 characters a line.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.extend([line, "\n"]);
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}
