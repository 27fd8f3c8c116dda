//! Key agreement with the sealing key, inside the token; and once outside, to try it.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::Session;
use p256::elliptic_curve::rand_core::OsRng;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use zeroize::Zeroizing;

use crate::curve::Point;
use crate::error::Error;
use crate::keys::Key;

/// CKM_ECDH1_DERIVE into a session object, which is read and destroyed at once. cryptoki leaves one copy of the value
/// in freed memory that cannot be wiped from here; it opens one sealed file, in the process that may open it anyway.
pub(crate) fn derive(session: &Session, key: &Key, point: &Point) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(32.into()),
    ];
    let object = session.derive_key(&mechanism, key.private, &template).map_err(Error::from_cryptoki)?;
    let value = session.get_attributes(object, &[AttributeType::Value]);
    // Destroyed before an error returns: SoftHSM keeps 8 kB for each until the session ends.
    let destroyed = session.destroy_object(object);
    let value = value.map_err(Error::from_cryptoki)?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(Zeroizing::new(value)),
        _ => None,
    });
    destroyed.map_err(Error::from_cryptoki)?;
    let wrong = || Error::Malformed("C_DeriveKey made something else than 32 bytes".into());
    let mut secret = Zeroizing::new([0; 32]);
    let value = value.filter(|value| value.len() == 32).ok_or_else(wrong)?;
    secret.copy_from_slice(&value);
    Ok(secret)
}

/// A throwaway key's point, and what the token's key must make of it. Nothing if `theirs` is no point of P-256.
pub(crate) fn ephemeral(theirs: &Point) -> Option<(Point, Zeroizing<[u8; 32]>)> {
    let theirs = p256::PublicKey::from_sec1_bytes(theirs).ok()?;
    let ours = p256::ecdh::EphemeralSecret::random(&mut OsRng);
    let point = ours.public_key().to_encoded_point(false).as_bytes().try_into().ok()?;
    let secret = (*ours.diffie_hellman(&theirs).raw_secret_bytes()).into();
    Some((point, Zeroizing::new(secret)))
}
