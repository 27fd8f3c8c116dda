//! Promises about the keys and what is computed with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::Command;

use common::{LABEL, Place, digest, label, with_token};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass};
use hsm::{Curve, Error, Role, Token};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

#[test]
fn the_private_keys_are_sensitive_and_never_were_extractable_as_a_second_client_sees_them() {
    with_token("the_private_keys_are_sensitive_and_never_were_extractable_as_a_second_client_sees_them", |place| {
        drop(place.ready());
        let listed = Command::new("pkcs11-tool")
            .args(["--module", place.module.to_str().unwrap(), "--token-label", LABEL])
            .args(["--login", "--pin", &place.pin(), "--list-objects", "--type", "privkey"])
            .output()
            .expect("pkcs11-tool is missing: install the package opensc");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let keys: Vec<_> = listed.split("Private Key Object").skip(1).collect();
        assert_eq!(keys.len(), 3, "{listed}");
        for (name, usage) in [("identity", "sign"), ("audit", "sign"), ("sealing", "derive")] {
            let key = keys.iter().find(|key| key.contains(&format!("signing-agent {name}"))).expect(name);
            let line = |what: &str| key.lines().find_map(|l| l.trim().strip_prefix(what)).unwrap_or_default().trim();
            // CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL
            assert_eq!(line("Access:"), "sensitive, always sensitive, never extractable, local", "{key}");
            assert_eq!(line("Usage:"), usage, "{key}");
        }
        place.as_another_client(|session| {
            for key in session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap() {
                let info = session.get_attribute_info(key, &[AttributeType::Value]).unwrap();
                assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
            }
        });
    });
}

#[test]
fn signatures_are_low_s_and_verify() {
    with_token("signatures_are_low_s_and_verify", |place| {
        let token = place.ready();
        let keys = token.public_keys().unwrap();
        for (role, public) in [(Role::Identity, keys.identity), (Role::Audit, keys.audit)] {
            let verifier = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
            for n in 0..64 {
                let signature = token.sign(role, &digest(n)).unwrap();
                let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
                assert!(signature.normalize_s().is_none(), "high s");
                verifier.verify_prehash(&digest(n), &signature).unwrap();
            }
        }
        assert!(token.sign(Role::Sealing, &digest(0)).is_err(), "the sealing key does not sign");
        token.check().unwrap();
    });
}

#[test]
fn making_the_keys_again_changes_nothing() {
    with_token("making_the_keys_again_changes_nothing", |place| {
        let token = place.open();
        assert!(matches!(token.public_keys(), Err(Error::KeyMissing { role: Role::Identity })));
        let words = token.sign(Role::Audit, &digest(0)).unwrap_err().to_string();
        assert!(words.contains("signing-agent init"), "{words}");
        let first = token.ensure_keys().unwrap();
        assert_eq!(token.ensure_keys().unwrap(), first);
        drop(token);
        let token = place.open();
        assert_eq!(token.public_keys().unwrap(), first);
        assert_eq!(token.ensure_keys().unwrap(), first);
        assert_eq!([first.identity[0], first.audit[0], first.sealing[0]], [4; 3]);
        assert!(first.identity != first.audit && first.audit != first.sealing);
    });
}

#[test]
fn an_interrupted_generation_is_finished_without_a_second_key() {
    with_token("an_interrupted_generation_is_finished_without_a_second_key", |place| {
        let before = place.ready().public_keys().unwrap();
        // SoftHSM writes the public object first: that is what is left.
        place.as_another_client(|session| {
            let private = [Attribute::Class(ObjectClass::PRIVATE_KEY), label("audit")];
            session.destroy_object(session.find_objects(&private).unwrap()[0]).unwrap();
        });
        let after = place.ready().public_keys().unwrap();
        assert_ne!(before.audit, after.audit);
        assert_eq!((before.identity, before.sealing), (after.identity, after.sealing));
        place.as_another_client(|session| assert_eq!(session.find_objects(&[label("audit")]).unwrap().len(), 2));
    });
}

fn generate(session: &cryptoki::session::Session, role: &str, params: &[u8], extractable: bool) {
    let public = [Attribute::Token(true), Attribute::EcParams(params.to_vec()), label(role)];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(!extractable),
        Attribute::Extractable(extractable),
        Attribute::Sign(true),
        label(role),
    ];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
}

const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

#[test]
fn two_keys_of_one_role_are_refused() {
    with_token("two_keys_of_one_role_are_refused", |place| {
        drop(place.ready());
        place.as_another_client(|session| generate(session, "audit", P256, false));
        for _ in 0..2 {
            let token = place.open();
            for error in [token.ensure_keys().unwrap_err(), token.sign(Role::Identity, &digest(0)).unwrap_err()] {
                assert!(matches!(error, Error::KeyDuplicate { role: Role::Audit, count: 2 }), "{error}");
            }
            drop(token);
            // Nor where only one of them has a public half.
            place.as_another_client(|session| {
                let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), label("audit")];
                let _ = session.destroy_object(session.find_objects(&public).unwrap()[0]);
            });
        }
    });
}

#[test]
fn a_key_that_could_leave_the_token_is_refused() {
    with_token("a_key_that_could_leave_the_token_is_refused", |place| {
        place.as_another_client(|session| generate(session, "identity", P256, true));
        let error = place.open().ensure_keys().unwrap_err();
        assert!(matches!(error, Error::KeyExposed { role: Role::Identity, .. }), "{error}");
    });
}

fn key_type_refusal(place: &Place) -> String {
    let error = place.open().ensure_keys().unwrap_err();
    assert!(matches!(error, Error::KeyType { role: Role::Identity, .. }), "{error}");
    error.to_string()
}

#[test]
fn a_key_of_another_type_is_refused() {
    with_token("a_key_of_another_type_is_refused", |place| {
        place.as_another_client(|session| generate(session, "identity", P384, false));
        let words = key_type_refusal(place);
        assert!(words.contains("wrong key type") && words.contains("on another curve, not P-256"), "{words}");
    });
}

#[test]
fn an_rsa_key_with_our_label_is_refused() {
    with_token("an_rsa_key_with_our_label_is_refused", |place| {
        place.as_another_client(|session| {
            let public = [Attribute::Token(true), Attribute::ModulusBits(2048.into()), label("identity")];
            let private = [Attribute::Token(true), Attribute::KeyType(KeyType::RSA), label("identity")];
            session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
        });
        assert!(key_type_refusal(place).contains("wrong key type"));
    });
}

#[test]
fn a_secp256k1_identity_signs_low_s_where_it_is_configured() {
    with_token("a_secp256k1_identity_signs_low_s_where_it_is_configured", |place| {
        let mut config = place.config();
        config.identity_curve = Curve::Secp256k1;
        let token = Token::open(config).unwrap();
        let keys = token.ensure_keys().unwrap();
        assert_eq!(keys.identity_curve, Curve::Secp256k1);
        let verifier = k256::ecdsa::VerifyingKey::from_sec1_bytes(&keys.identity).unwrap();
        for n in 0..32 {
            let signature = token.sign(Role::Identity, &digest(n)).unwrap();
            let signature = k256::ecdsa::Signature::from_slice(&signature).unwrap();
            assert!(signature.normalize_s().is_none(), "high s");
            verifier.verify_prehash(&digest(n), &signature).unwrap();
        }
        drop(token);
        let error = place.open().public_keys().unwrap_err();
        assert!(matches!(error, Error::KeyType { role: Role::Identity, wanted: Curve::P256, .. }), "{error}");
        assert!(error.to_string().contains("is secp256k1, not P-256"), "{error}");
    });
}

#[test]
fn a_point_off_the_curve_never_reaches_the_token() {
    with_token("a_point_off_the_curve_never_reaches_the_token", |place| {
        let token = place.ready();
        let mut bad = token.public_keys().unwrap().sealing;
        token.ecdh(&bad).expect("its own point is one of the curve");
        bad[64] ^= 1;
        // SoftHSM itself would say CKR_GENERAL_ERROR, and log it through a socket.
        assert!(matches!(token.ecdh(&bad), Err(Error::Point)));
        assert!(matches!(token.ecdh(&[0; 65]), Err(Error::Point)));
        // What was derived is gone: nothing piles up in the token.
        let left = place.session(&place.library()).find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
        assert!(left.is_empty(), "{left:?}");
        // Not even where there is no token to ask.
        std::fs::rename(place.tokens(), place.dir.join("away")).unwrap();
        assert!(matches!(token.ecdh(&bad), Err(Error::Point)));
    });
}

#[test]
fn the_generator_fills_all_of_it() {
    with_token("the_generator_fills_all_of_it", |place| {
        let token = place.open();
        let (mut one, mut other) = ([0; 32], [0; 32]);
        token.random(&mut one).unwrap();
        token.random(&mut other).unwrap();
        assert!(one != [0; 32] && one != other);
        let mut long = vec![0; 4096];
        token.random(&mut long).unwrap();
        assert!(long.chunks(64).all(|chunk| chunk.iter().any(|b| *b != 0)));
        assert!(matches!(token.random(&mut []), Err(Error::NoRandomness)), "nothing asked is nothing given");
    });
}

#[test]
fn keys_that_only_cannot_be_seen_are_not_made_again() {
    with_token("keys_that_only_cannot_be_seen_are_not_made_again", |place| {
        let before = place.ready().public_keys().unwrap();
        // Logged out, private keys look as if they were missing; their public halves must not be taken for leftovers.
        let token = place.open();
        place.session(&place.library()).logout().unwrap();
        assert_eq!(token.ensure_keys().unwrap(), before);
    });
}
