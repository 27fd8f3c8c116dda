//! What OpenSSH signed is taken as it is and nothing else; what an authenticator signs is made here, for none can be touched
//! by a test, with another implementation of the curves than the one that verifies.

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

const SPACE: &str = "signing-agent";
const MESSAGE: &[u8] = b"{\"verb\":\"approve\"}\n";

macro_rules! of_openssh {
    ($name:literal) => {
        include_str!(concat!("../../../tests/vectors/sshsig/", $name))
    };
}

#[test]
fn what_ssh_keygen_signs_is_verified_over_its_octets_its_namespace_and_its_key_alone() {
    let kinds = [
        (of_openssh!("ed25519.pub"), of_openssh!("ed25519.sig")),
        (of_openssh!("ed25519.pub"), of_openssh!("ed25519.sha256.sig")),
        (of_openssh!("ecdsab256.pub"), of_openssh!("ecdsab256.sig")),
    ];
    for (public, signature) in kinds {
        let key = Key::parse(public).unwrap();
        assert_eq!(key.verify(SPACE, MESSAGE, signature), Ok(()));
        assert_eq!(key.verify(SPACE, MESSAGE, &signature.replace('\n', "\r\n")), Ok(()));
        for at in 0..MESSAGE.len() {
            let mut other = MESSAGE.to_vec();
            other[at] ^= 1;
            assert_eq!(key.verify(SPACE, &other, signature), Err(Error::Wrong), "octet {at}");
        }
        assert_eq!(key.verify(SPACE, &MESSAGE[..MESSAGE.len() - 1], signature), Err(Error::Wrong));
        assert_eq!(key.verify("another", MESSAGE, signature), Err(Error::Namespace("another")));
        for (other, _) in kinds.iter().filter(|(other, _)| *other != public) {
            assert_eq!(Key::parse(other).unwrap().verify(SPACE, MESSAGE, signature), Err(Error::OtherKey));
        }
    }
    let key = Key::parse(of_openssh!("ed25519.pub")).unwrap();
    assert_eq!(key.verify(SPACE, MESSAGE, of_openssh!("ed25519.file.sig")), Err(Error::Namespace(SPACE)));
}

#[test]
fn no_changed_octet_of_what_a_signature_says_is_taken() {
    for (public, signature) in [
        (of_openssh!("ed25519.pub"), of_openssh!("ed25519.sig")),
        (of_openssh!("ecdsab256.pub"), of_openssh!("ecdsab256.sig")),
    ] {
        let key = Key::parse(public).unwrap();
        let whole = SshSig::from_pem(signature).unwrap();
        let body = signature.find('\n').unwrap() + 1..signature.rfind("\n-----END").unwrap();
        for at in body.filter(|at| !signature[*at..].starts_with(['\n', '='])) {
            let mut changed = signature.to_owned();
            let other = if &signature[at..=at] == "A" { "B" } else { "A" };
            changed.replace_range(at..=at, other);
            // The outer lengths are said twice; a decoder may pass over the one and read the same signature.
            let same = SshSig::from_pem(&changed).is_ok_and(|read| read == whole);
            assert!(same || key.verify(SPACE, MESSAGE, &changed).is_err(), "character {at}");
        }
    }
}

#[test]
fn other_kinds_of_keys_and_what_is_none_are_refused() {
    assert_eq!(Key::parse(of_openssh!("rsab2048.pub")).unwrap_err(), Error::Kind);
    assert_eq!(Key::parse(of_openssh!("ecdsab384.pub")).unwrap_err(), Error::Kind);
    let good = of_openssh!("ed25519.pub").trim();
    let options = format!("no-touch-required {good}");
    let two = format!("{good}\n{good}");
    let long = format!("{good}{}", "x".repeat(MAX_KEY));
    for none in ["", "ssh-ed25519", "ssh-ed25519 AAAA", &good[..60], &options, &two, &long] {
        assert_eq!(Key::parse(none).unwrap_err(), Error::NotAKey, "{none}");
    }
    let key = Key::parse(good).unwrap();
    let long = "x".repeat(MAX_SIGNATURE + 1);
    for none in ["", "-----BEGIN SSH SIGNATURE-----", &of_openssh!("ed25519.sig")[..200], &long] {
        assert_eq!(key.verify(SPACE, MESSAGE, none), Err(Error::NotASignature), "{none}");
    }
    assert_eq!(key.verify(SPACE, MESSAGE, of_openssh!("rsab2048.sig")), Err(Error::OtherKey));
    assert!(good.starts_with(&key.canonical().unwrap()) && !key.canonical().unwrap().contains("alice"));
}

fn string(of: &[u8]) -> Vec<u8> {
    [&(of.len() as u32).to_be_bytes()[..], of].concat()
}

fn public(kind: &str, parts: &[&[u8]]) -> Vec<u8> {
    std::iter::once(kind.as_bytes()).chain(parts.iter().copied()).flat_map(string).collect()
}

fn mpint(of: &[u8]) -> Vec<u8> {
    let of = &of[of.iter().take_while(|octet| **octet == 0).count()..];
    if of[0] & 0x80 != 0 { string(&[&[0], of].concat()) } else { string(of) }
}

/// An armored signature, as PROTOCOL.sshsig and PROTOCOL.u2f have it.
fn armored(kind: &str, public: &[u8], application: &str, flags: u8, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = [
        b"SSHSIG".to_vec(),
        string(SPACE.as_bytes()),
        string(b""),
        string(b"sha512"),
        string(&Sha512::digest(MESSAGE)),
    ];
    let trailer = [&[flags][..], &7u32.to_be_bytes()].concat();
    let octets = [&Sha256::digest(application)[..], &trailer, &Sha256::digest(signed.concat())].concat();
    let signature = [string(kind.as_bytes()), string(&sign(&octets)), trailer].concat();
    let whole = [
        b"SSHSIG".to_vec(),
        1u32.to_be_bytes().to_vec(),
        string(public),
        string(SPACE.as_bytes()),
        string(b""),
        string(b"sha512"),
        string(&signature),
    ];
    let text = STANDARD.encode(whole.concat());
    let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

#[test]
fn an_authenticators_signature_counts_only_with_its_users_touch() {
    let random = SystemRandom::new();
    let edwards = Ed25519KeyPair::generate().unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let kind = "sk-ssh-ed25519@openssh.com";
    let blob = public(kind, &[edwards.public_key().as_ref(), b"ssh:"]);
    let by_edwards = |octets: &[u8]| edwards.sign(octets).as_ref().to_vec();
    let kind_p = "sk-ecdsa-sha2-nistp256@openssh.com";
    let blob_p = public(kind_p, &[b"nistp256", p256.public_key().as_ref(), b"ssh:"]);
    let by_p256 = |octets: &[u8]| {
        let signature = p256.sign(&random, octets).unwrap();
        let (r, s) = signature.as_ref().split_at(32);
        [mpint(r), mpint(s)].concat()
    };
    type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let all: [(&str, &[u8], Sign<'_>); 2] = [(kind, &blob, &by_edwards), (kind_p, &blob_p, &by_p256)];
    for (kind, blob, sign) in all {
        let key = Key::parse(&format!("{kind} {} key@desk", STANDARD.encode(blob))).unwrap();
        let made = |application: &str, flags| armored(kind, blob, application, flags, sign);
        for (flags, wanted) in
            [(0x01, Ok(())), (0x05, Ok(())), (0x00, Err(Error::NotTouched)), (0x04, Err(Error::NotTouched))]
        {
            assert_eq!(key.verify(SPACE, MESSAGE, &made("ssh:", flags)), wanted, "{kind} {flags}");
        }
        assert_eq!(key.verify(SPACE, MESSAGE, &made("web:", 1)), Err(Error::Wrong), "{kind}: another application's");
        assert_eq!(key.verify(SPACE, b"other", &made("ssh:", 1)), Err(Error::Wrong), "{kind}");
    }
}
