use aws_lc_rs::signature::{ECDSA_P256K1_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use milagro::{PublicKey, SecretKey, Signature};
use sha2::{Digest, Sha256};

use super::case::{Case, Fault, refused, same};

pub fn check(case: &Case) -> Result<(), Fault> {
    if ["public_keys", "signatures", "aggregate_public_key", "aggregate_signature"].iter().any(|name| case.has(name)) {
        return aggregate(case);
    }
    let seed = case.hex("seed")?;
    let public = case.hex("public_key")?;
    let message = case.hex("message")?;
    let signature = case.hex("signature")?;
    let secret = case.hex("secret_key")?;
    if let Some(secret) = &secret {
        let key = SecretKey::from_bytes(secret)?;
        public.as_ref().map_or(Ok(()), |public| same(&key.public_key().to_bytes(), public, "public_key"))?;
        if let (Some(message), Some(signature)) = (&message, &signature) {
            same(&key.sign(message).to_bytes(), signature, "signature")?;
        }
    }
    if let Some(seed) = &seed {
        let key = key_of_seed(seed)?;
        secret.as_ref().map_or(Ok(()), |secret| same(&*key.to_bytes(), secret, "secret_key"))?;
    }
    if let (Some(seed), Some(public)) = (&seed, case.hex("secp256k1_public_key")?) {
        secp256k1_key_of_seed(seed, &public)?;
    }
    let public = public.map(|public| PublicKey::from_bytes(&public)).transpose()?;
    let signature = signature.map(|signature| Signature::from_bytes(&signature)).transpose()?;
    if let (Some(public), Some(message), Some(signature)) = (public, message, signature) {
        public.verify(&message, &signature)?;
    }
    Ok(())
}

fn aggregate(case: &Case) -> Result<(), Fault> {
    let message = case.hex("message")?;
    let publics: Option<Vec<_>> = parsed(case.hex_list("public_keys")?, PublicKey::from_bytes)?;
    let signatures: Option<Vec<_>> = parsed(case.hex_list("signatures")?, Signature::from_bytes)?;
    let public = case.hex("aggregate_public_key")?;
    let signature = case.hex("aggregate_signature")?;
    if let (Some(publics), Some(public)) = (&publics, &public) {
        same(&PublicKey::aggregate(publics)?.to_bytes(), public, "aggregate_public_key")?;
    }
    if let (Some(signatures), Some(signature)) = (&signatures, &signature) {
        same(&Signature::aggregate(signatures)?.to_bytes(), signature, "aggregate_signature")?;
    }
    if let (Some(publics), Some(signatures), Some(message)) = (&publics, &signatures, &message) {
        if publics.len() != signatures.len() {
            return Err(Fault::Refused("as many signatures as public keys are needed".into()));
        }
        publics.iter().zip(signatures).try_for_each(|(public, signature)| public.verify(message, signature))?;
    }
    let public = public.map(|public| PublicKey::from_bytes(&public)).transpose()?;
    let signature = signature.map(|signature| Signature::from_bytes(&signature)).transpose()?;
    if let (Some(public), Some(message), Some(signature)) = (public, message, signature) {
        public.verify(&message, &signature)?;
    }
    Ok(())
}

fn parsed<T>(
    list: Option<Vec<Vec<u8>>>,
    parse: fn(&[u8]) -> Result<T, milagro::Error>,
) -> Result<Option<Vec<T>>, Fault> {
    Ok(list.map(|list| list.iter().map(|octets| parse(octets)).collect()).transpose()?)
}

pub fn key_of_seed(seed: &[u8]) -> Result<SecretKey, Fault> {
    Ok(SecretKey::from_seed(&refused(seed.try_into(), "seed")?)?)
}

/// The Go agent's EC key: the scalar SHA-256(seed) on secp256k1.
pub fn secp256k1_key_of_seed(seed: &[u8], public: &[u8]) -> Result<(), Fault> {
    let scalar = Sha256::digest(seed);
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256K1_SHA256_ASN1_SIGNING, &scalar, public);
    refused(pair, "secp256k1_public_key").map(|_| ())
}
