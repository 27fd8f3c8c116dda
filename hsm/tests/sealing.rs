//! Promises about sealed files: who opens them and who does not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use common::{Place, label, setup, with_token};
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use hsm::{Error, seal};
use p256::pkcs8::DecodePrivateKey as _;
use sha2::{Digest as _, Sha256};

const SECRET: &[u8] = b"48 bytes that nobody else may see, at any time..";

fn recovery() -> (age::x25519::Identity, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    (identity, recipient)
}

#[test]
fn what_is_sealed_here_opens_here_and_with_the_recovery_key_and_with_nothing_else() {
    with_token("what_is_sealed_here_opens_here_and_with_the_recovery_key_and_with_nothing_else", |place| {
        let token = place.ready();
        let (identity, recipient) = recovery();
        let sealed = seal::seal(SECRET, &[token.recipient().unwrap(), recipient]).unwrap();
        assert!(sealed.starts_with(b"age-encryption.org/v1\n-> p256tag "));
        assert!(!sealed.windows(8).any(|window| SECRET.starts_with(window)));
        assert_eq!(seal::open(&token, &sealed).unwrap()[..], *SECRET);
        assert_eq!(age::decrypt(&identity, &sealed).unwrap(), SECRET);
        assert!(age::decrypt(&recovery().0, &sealed).is_err(), "another identity");

        // Another token, with the same label and PIN.
        drop(token);
        fs::rename(place.tokens(), place.dir.join("ours")).unwrap();
        setup(&place.dir);
        let error = seal::open(&place.ready(), &sealed).unwrap_err();
        assert!(matches!(error, Error::NoMatchingKey), "{error}");
        assert!(error.to_string().contains("unseal: no matching key"));
    });
}

#[test]
fn a_file_for_the_recovery_key_alone_does_not_open_here() {
    with_token("a_file_for_the_recovery_key_alone_does_not_open_here", |place| {
        let sealed = seal::seal(SECRET, &[recovery().1]).unwrap();
        assert!(matches!(seal::open(&place.ready(), &sealed), Err(Error::NoMatchingKey)));
    });
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    with_token("no_changed_byte_goes_unnoticed", |place| {
        let token = place.ready();
        let sealed = seal::seal(SECRET, &[token.recipient().unwrap()]).unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(seal::open(&token, &bad).is_err(), "byte {at}");
        }
        for end in 0..sealed.len() {
            assert!(seal::open(&token, &sealed[..end]).is_err(), "cut at {end}");
        }
        let mut bad = sealed.clone();
        *bad.last_mut().unwrap() ^= 1;
        let error = seal::open(&token, &bad).unwrap_err();
        assert!(matches!(error, Error::Tampered) && error.to_string().contains("tampered"), "{error}");
        assert!(seal::open(&token, &[&sealed[..], b"x"].concat()).is_err(), "bytes appended");
        assert!(matches!(seal::open(&token, b"something else"), Err(Error::NotAgeFile(_))));
        assert!(matches!(seal::open(&token, &vec![0; 70_000]), Err(Error::SealedTooLong { .. })));
        token.check().unwrap();
    });
}

/// With a tag that matches, so that it is tried at all.
#[test]
fn a_stanza_with_a_point_off_the_curve_is_refused() {
    with_token("a_stanza_with_a_point_off_the_curve_is_refused", |place| {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        let token = place.ready();
        let sealed = seal::seal(SECRET, &[token.recipient().unwrap()]).unwrap();
        let key = p256::PublicKey::from_sec1_bytes(&token.public_keys().unwrap().sealing).unwrap();
        let mut enc = key.to_encoded_point(false).as_bytes().to_vec();
        enc[40] ^= 1;
        let ikm = [&enc[..], &Sha256::digest(key.to_encoded_point(true).as_bytes())[..4]].concat();
        let (tag, _) = hkdf::Hkdf::<Sha256>::extract(Some(b"age-encryption.org/p256tag"), &ikm);
        let line = format!("-> p256tag {} {}\n", BASE64.encode(&tag[..4]), BASE64.encode(&enc));
        let lines: Vec<_> = sealed.splitn(3, |b| *b == b'\n').collect();
        let crafted = [lines[0], b"\n", line.as_bytes(), lines[2]].concat();
        let error = seal::open(&token, &crafted).unwrap_err();
        assert!(matches!(error, Error::NotAgeFile(_)), "{error}");
        token.check().unwrap();
    });
}

#[test]
fn the_tokens_failure_is_told_when_it_cannot_open() {
    with_token("the_tokens_failure_is_told_when_it_cannot_open", |place| {
        let token = place.ready();
        let sealed = seal::seal(SECRET, &[token.recipient().unwrap()]).unwrap();
        fs::rename(place.tokens(), place.dir.join("away")).unwrap();
        let words = seal::open(&token, &sealed).unwrap_err().to_string();
        assert!(words.contains("C_Initialize: CKR_GENERAL_ERROR"), "{words}");
        fs::rename(place.dir.join("away"), place.tokens()).unwrap();
        assert_eq!(seal::open(&token, &sealed).unwrap()[..], *SECRET);
    });
}

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/age-p256tag")
}

/// As a vendor's restore from a backup would: sensitive, not extractable, not made here.
fn import_sealing_key(place: &Place, key: &p256::SecretKey) {
    use p256::elliptic_curve::sec1::ToEncodedPoint as _;
    let params = Attribute::EcParams(vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
    let point = [&[0x04, 0x41][..], key.public_key().to_encoded_point(false).as_bytes()].concat();
    let common = [Attribute::Token(true), Attribute::KeyType(KeyType::EC), params, label("sealing")];
    let private = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Derive(true),
        Attribute::Value(key.to_bytes().to_vec()),
    ];
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::EcPoint(point)];
    place.as_another_client(|session| {
        session.create_object(&[&public[..], &common].concat()).unwrap();
        session.create_object(&[&private[..], &common].concat()).unwrap();
    });
}

#[test]
fn files_of_another_implementation_open_here() {
    with_token("files_of_another_implementation_open_here", |place| {
        let read = |name: &str| fs::read(vectors().join(name)).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&read("vectors.json")).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let pem = String::from_utf8(read(&text(&said["sealing_key"]))).unwrap();
        import_sealing_key(place, &p256::SecretKey::from_pkcs8_pem(&pem).unwrap());

        let token = place.ready();
        assert_eq!(hex::encode(token.public_keys().unwrap().sealing), text(&said["sealing_point"]));
        assert_eq!(token.recipient().unwrap(), text(&said["sealing_recipient"]));
        seal::parse_recipient(&text(&said["recovery_recipient"])).unwrap();
        let opens = said["opens"].as_array().unwrap();
        assert_eq!(opens.len(), 5);
        for case in opens {
            let opened = seal::open(&token, &read(&text(&case["file"]))).unwrap();
            assert_eq!(hex::encode(&opened[..]), text(&case["plaintext"]), "{case}");
        }
        let foreign = said["no_matching_key"].as_array().unwrap();
        assert_eq!(foreign.len(), 2);
        for case in foreign {
            let error = seal::open(&token, &read(&text(&case["file"]))).unwrap_err();
            assert!(matches!(error, Error::NoMatchingKey), "{case}: {error}");
        }
    });
}
