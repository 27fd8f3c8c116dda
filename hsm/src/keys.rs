//! The three keys in the token: found, checked, made.

use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState};

use crate::call::Call;
use crate::config::{Curve, Generations, Role};
use crate::curve::{Point, point_of_attribute};
use crate::error::Error;

/// Uncompressed points, `04 ‖ x ‖ y`, 65 bytes each. `audit` and `sealing` are on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeys {
    pub identity: [u8; 65],
    pub audit: [u8; 65],
    pub sealing: [u8; 65],
    pub identity_curve: Curve,
    pub generations: Generations,
}

impl PublicKeys {
    /// The sealing key as an age recipient, `age1tag1…`.
    ///
    /// # Errors
    /// [`Error::Point`] where it is not on the curve.
    pub fn recipient(&self) -> Result<String, Error> {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        let key = p256::PublicKey::from_sec1_bytes(&self.sealing).map_err(|_| Error::Point)?;
        let prefix = bech32::Hrp::parse("age1tag").map_err(|e| Error::Malformed(e.to_string()))?;
        Ok(age_core::primitives::bech32_encode(prefix, key.to_encoded_point(true).as_bytes()))
    }
}

/// A private key's handle and its public half.
pub(crate) struct Key {
    pub(crate) private: ObjectHandle,
    pub(crate) public: Point,
    pub(crate) curve: Curve,
}

pub(crate) struct Keys {
    pub(crate) identity: Key,
    pub(crate) audit: Key,
    pub(crate) sealing: Key,
    generations: Generations,
}

impl Keys {
    pub(crate) fn find(session: &Session, identity_curve: Curve, generations: Generations) -> Result<Self, Error> {
        let one = |role, curve| find(session, (role, generations.of(role)), curve)?.ok_or(Error::KeyMissing { role });
        Ok(Self {
            generations,
            identity: one(Role::Identity, identity_curve)?,
            audit: one(Role::Audit, Curve::P256)?,
            sealing: one(Role::Sealing, Curve::P256)?,
        })
    }

    pub(crate) fn of(&self, role: Role) -> &Key {
        match role {
            Role::Identity => &self.identity,
            Role::Audit => &self.audit,
            Role::Sealing => &self.sealing,
        }
    }

    pub(crate) fn public(&self) -> PublicKeys {
        PublicKeys {
            identity: self.identity.public,
            audit: self.audit.public,
            sealing: self.sealing.public,
            identity_curve: self.identity.curve,
            generations: self.generations,
        }
    }
}

/// Makes the key of this role if the token has none. A public half alone is what an interrupted generation leaves
/// behind: it is removed first, so that a role never has two.
pub(crate) fn ensure(session: &Session, which: Which, curve: Curve) -> Result<(), Error> {
    let (role, _) = which;
    // Without a login private keys cannot be seen: they would look as if they were missing.
    let info = session.get_session_info().map_err(Error::from_cryptoki)?;
    if info.session_state() != SessionState::RwUser {
        let call = Call { function: Function::GenerateKeyPair, code: RvError::UserNotLoggedIn };
        return Err(Error::Pkcs11 { call });
    }
    if find(session, which, curve)?.is_some() {
        return Ok(());
    }
    for orphan in objects(session, which, ObjectClass::PUBLIC_KEY)? {
        tracing::warn!(%role, "removing a public key without a private one, left by an interrupted generation");
        session.destroy_object(orphan).map_err(Error::from_cryptoki)?;
    }
    let made = match role {
        Role::Identity | Role::Audit => generate(session, which, curve, true, false),
        Role::Sealing => generate(session, which, curve, false, true).or_else(|error| match &error {
            // Some modules (tpm2-pkcs11) make no key that may only derive.
            Error::Pkcs11 { call }
                if matches!(
                    call.code,
                    RvError::GeneralError
                        | RvError::TemplateInconsistent
                        | RvError::AttributeTypeInvalid
                        | RvError::AttributeValueInvalid
                ) =>
            {
                generate(session, which, curve, true, true)
            }
            _ => Err(error),
        }),
    };
    made.map_err(|error| match error {
        Error::MechanismMissing { call, .. } => {
            Error::MechanismMissing { call, needed_for: format!(" for the {role} key on {curve}") }
        }
        other => other,
    })
}

/// Destroys both halves of a key, the private one last: while that is there, a repetition finds it. How many objects those were.
pub(crate) fn destroy(session: &Session, which: Which) -> Result<usize, Error> {
    let mut destroyed = 0;
    for class in [ObjectClass::PUBLIC_KEY, ObjectClass::PRIVATE_KEY] {
        for object in objects(session, which, class)? {
            session.destroy_object(object).map_err(Error::from_cryptoki)?;
            destroyed += 1;
        }
    }
    Ok(destroyed)
}

/// A role's key, and its generation.
pub(crate) type Which = (Role, u8);

fn label((role, generation): Which) -> Vec<u8> {
    match generation {
        ..=1 => format!("signing-agent {role}"),
        _ => format!("signing-agent {role} {generation}"),
    }
    .into_bytes()
}

/// Two bytes: some devices (YubiHSM) have no more.
fn id((role, generation): Which) -> Vec<u8> {
    vec![0x5a, (1 + role as u8).saturating_add(generation.saturating_sub(1).saturating_mul(3))]
}

fn generate(session: &Session, which: Which, curve: Curve, sign: bool, derive: bool) -> Result<(), Error> {
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::KeyType(KeyType::EC),
        Attribute::EcParams(curve.params().to_vec()),
        Attribute::Verify(sign),
        Attribute::Label(label(which)),
        Attribute::Id(id(which)),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::EC),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(sign),
        Attribute::Derive(derive),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Label(label(which)),
        Attribute::Id(id(which)),
    ];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).map_err(Error::from_cryptoki)?;
    let (role, generation) = which;
    tracing::info!(%role, generation, %curve, "made a key in the token");
    Ok(())
}

fn objects(session: &Session, which: Which, class: ObjectClass) -> Result<Vec<ObjectHandle>, Error> {
    let template = [Attribute::Token(true), Attribute::Class(class), Attribute::Label(label(which))];
    session.find_objects(&template).map_err(Error::from_cryptoki)
}

fn find(session: &Session, which: Which, wanted: Curve) -> Result<Option<Key>, Error> {
    let (role, _) = which;
    let private = match objects(session, which, ObjectClass::PRIVATE_KEY)?[..] {
        [] => return Ok(None),
        [private] => private,
        ref many => return Err(Error::KeyDuplicate { role, count: many.len() }),
    };
    check_type(session, role, private, wanted)?;
    check_closed(session, role, private)?;
    // Some modules keep the point with the private key and no public object.
    let holder = match objects(session, which, ObjectClass::PUBLIC_KEY)?[..] {
        [] => private,
        [public] => public,
        ref many => return Err(Error::KeyDuplicate { role, count: many.len() }),
    };
    let point = attributes(session, holder, &[AttributeType::EcPoint])?
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::EcPoint(value) => Some(value),
            _ => None,
        })
        .ok_or(Error::KeyHalf { role })?;
    let public = point_of_attribute(&point)
        .filter(|point| wanted.has(point))
        .ok_or_else(|| Error::Malformed(format!("the {role} key's CKA_EC_POINT is not a point of {wanted}")))?;
    Ok(Some(Key { private, public, curve: wanted }))
}

fn check_type(session: &Session, role: Role, key: ObjectHandle, wanted: Curve) -> Result<(), Error> {
    let mut found = "of an unknown type".to_owned();
    let mut fits = (false, false);
    for attribute in attributes(session, key, &[AttributeType::KeyType, AttributeType::EcParams])? {
        match attribute {
            Attribute::KeyType(KeyType::EC) => fits.0 = true,
            Attribute::KeyType(other) => found = format!("{other}"),
            Attribute::EcParams(params) => {
                fits.1 = params == wanted.params();
                let named = [Curve::P256, Curve::Secp256k1].into_iter().find(|curve| params == curve.params());
                found = named.map_or_else(|| "on another curve".into(), |curve| curve.to_string());
            }
            _ => {}
        }
    }
    if fits == (true, true) { Ok(()) } else { Err(Error::KeyType { role, found, wanted }) }
}

/// Sensitive, not extractable, and its value indeed not to be had. Absent attributes count as the worst.
fn check_closed(session: &Session, role: Role, key: ObjectHandle) -> Result<(), Error> {
    let said = attributes(session, key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
    let exposed = |what| Err(Error::KeyExposed { role, what });
    if !said.iter().any(|a| matches!(a, Attribute::Sensitive(true))) {
        return exposed("not CKA_SENSITIVE");
    }
    if !said.iter().any(|a| matches!(a, Attribute::Extractable(false))) {
        return exposed("CKA_EXTRACTABLE");
    }
    let info = session.get_attribute_info(key, &[AttributeType::Value]).map_err(Error::from_cryptoki)?;
    if info.iter().any(|i| matches!(i, AttributeInfo::Available(_))) {
        return exposed("readable (CKA_VALUE is given out)");
    }
    Ok(())
}

fn attributes(session: &Session, object: ObjectHandle, wanted: &[AttributeType]) -> Result<Vec<Attribute>, Error> {
    session.get_attributes(object, wanted).map_err(Error::from_cryptoki)
}
