use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

use super::case::{Case, Fault, refused, same};

pub fn check(case: &Case) -> Result<(), Fault> {
    let kind = case.text("pem_kind")?;
    let private = case.base64("base64_private_key")?.map(|pem| private_key(&pem, kind)).transpose()?;
    let public = case.text("public_key_pem")?.map(|pem| SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()));
    let public = public.map(|key| refused(key, "public_key_pem")).transpose()?;
    let parts = (case.text("timestamp")?, case.text("uri")?, case.text("body")?, case.text("x_sign")?);
    let (Some(timestamp), Some(uri), Some(body), Some(x_sign)) = parts else { return Ok(()) };
    let signed = [timestamp, uri, body].concat();
    if let Some(private) = private {
        let mut signature = vec![0; private.public_modulus_len()];
        let done = private.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
        refused(done, "base64_private_key")?;
        same(&URL_SAFE_NO_PAD.encode(signature), x_sign, "x_sign")?;
    }
    if let Some(public) = public {
        let signature = refused(URL_SAFE_NO_PAD.decode(x_sign), "x_sign")?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref());
        refused(key.verify(signed.as_bytes(), &signature), "x_sign under public_key_pem")?;
    }
    Ok(())
}

fn private_key(pem: &[u8], kind: Option<&str>) -> Result<KeyPair, Fault> {
    let der = refused(PrivateKeyDer::from_pem_slice(pem), "base64_private_key")?;
    let (found, pair) = match &der {
        PrivateKeyDer::Pkcs1(der) => ("PKCS#1", KeyPair::from_der(der.secret_pkcs1_der())),
        PrivateKeyDer::Pkcs8(der) => ("PKCS#8", KeyPair::from_pkcs8(der.secret_pkcs8_der())),
        _ => return Err(Fault::Refused("base64_private_key is not RSA".into())),
    };
    kind.map_or(Ok(()), |kind| same(found, kind, "pem_kind"))?;
    refused(pair, "base64_private_key")
}
