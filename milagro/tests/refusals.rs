//! What comes in is checked: everything that is not exactly a key, a signature or a secret is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blst::min_sig;
use milagro::mpin::{ClientSecret, MasterSecret, Pass, ServerSecret, Token};
use milagro::{Error, PublicKey, SecretKey, Signature};
use proptest::prelude::*;

const P: &str = "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
const R: &str = "0000000000000000000000000000000073eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_entropy(&[n; 64]).unwrap()
}

/// Points of G1's curve outside the subgroup, as x ‖ y: of small order, of none in particular, and a real signature
/// plus a point of small order.
fn g1_strays() -> Vec<[u8; 96]> {
    let with_x = |x: u8| {
        let mut compressed = [0; 48];
        compressed[0] = 0x80;
        compressed[47] = x;
        min_sig::Signature::uncompress(&compressed).ok()
    };
    let mut order_three = [0; 96];
    order_three[95] = 2;
    let mut strays: Vec<_> = (1..40).filter_map(with_x).filter(|point| point.validate(true).is_err()).collect();
    assert!(strays.len() > 10);
    let signature = min_sig::Signature::deserialize(&xy(&key(1).sign(b"m"))).unwrap();
    let mut sum = min_sig::AggregateSignature::from_signature(&signature);
    sum.add_signature(&strays[0], false).unwrap();
    strays.push(sum.to_signature());
    strays.iter().map(min_sig::Signature::serialize).chain([order_three]).collect()
}

/// A point of G2's curve outside the subgroup, in Milagro's order.
fn g2_stray() -> Vec<u8> {
    let with_x = |x: u8| {
        let mut compressed = [0; 96];
        compressed[0] = 0x80;
        compressed[95] = x;
        min_sig::PublicKey::uncompress(&compressed).ok()
    };
    let stray = (1..40).filter_map(with_x).find(|point| point.validate().is_err()).unwrap();
    let zcash = stray.serialize();
    [&zcash[48..96], &zcash[..48], &zcash[144..], &zcash[96..144]].concat()
}

fn xy(signature: &Signature) -> [u8; 96] {
    let mut compressed: [u8; 48] = signature.to_bytes()[1..].try_into().unwrap();
    compressed[0] |= 0x80;
    let mut xy = min_sig::Signature::uncompress(&compressed).unwrap().serialize();
    if xy[95] & 1 != signature.to_bytes()[0] & 1 {
        compressed[0] |= 0x20;
        xy = min_sig::Signature::uncompress(&compressed).unwrap().serialize();
    }
    xy
}

fn g1(xy: &[u8]) -> Vec<u8> {
    [&[4], xy].concat()
}

#[test]
fn scalars_zero_and_from_r_up_are_refused() {
    let mut r_minus_one = octets(R);
    r_minus_one[47] -= 1;
    assert_eq!(SecretKey::from_bytes(&r_minus_one).unwrap().to_bytes().to_vec(), r_minus_one);
    assert!(MasterSecret::from_bytes(&r_minus_one).is_ok());
    let mut r_plus_one = octets(R);
    r_plus_one[47] += 1;
    let mut padding_used = vec![0; 48];
    (padding_used[15], padding_used[47]) = (1, 1);
    for refused in [vec![0; 48], octets(R), r_plus_one, vec![0xff; 48], padding_used] {
        assert_eq!(SecretKey::from_bytes(&refused).err(), Some(Error::Scalar("secret key")));
        assert_eq!(MasterSecret::from_bytes(&refused).err(), Some(Error::Scalar("M-Pin master secret")));
    }
}

#[test]
fn other_lengths_are_refused() {
    for length in (0..400).chain([4096]) {
        let octets = vec![2; length];
        let wrong = |found: Option<Error>| matches!(found, Some(Error::Length { found, .. }) if found == length);
        assert_eq!(wrong(SecretKey::from_bytes(&octets).err()), length != 48);
        assert_eq!(wrong(MasterSecret::from_bytes(&octets).err()), length != 48);
        assert_eq!(wrong(Signature::from_bytes(&octets).err()), length != 49);
        assert_eq!(wrong(ClientSecret::from_bytes(&octets).err()), length != 97);
        assert_eq!(wrong(Token::from_bytes(&octets).err()), length != 97);
        assert_eq!(wrong(PublicKey::from_bytes(&octets).err()), length != 192);
        assert_eq!(wrong(ServerSecret::from_bytes(&octets).err()), length != 192);
    }
}

#[test]
fn other_prefixes_are_refused() {
    let signature = key(1).sign(b"m").to_bytes();
    let secret = MasterSecret::from_entropy(&[1; 64]).unwrap().client_secret(b"id").to_bytes();
    for prefix in 0..=255 {
        let mut other = signature;
        other[0] = prefix;
        assert_eq!(Signature::from_bytes(&other).err() == Some(Error::Prefix("signature")), !matches!(prefix, 2 | 3));
        let mut other = secret.clone();
        other[0] = prefix;
        assert_eq!(Token::from_bytes(&*other).err() == Some(Error::Prefix("M-Pin token")), prefix != 4);
    }
}

#[test]
fn the_other_root_is_another_signature() {
    let signature = key(1).sign(b"m");
    let mut other = signature.to_bytes();
    other[0] ^= 1;
    let other = Signature::from_bytes(&other).unwrap();
    assert_eq!(key(1).public_key().verify(b"m", &other), Err(Error::Signature));
    assert_eq!(Signature::aggregate(&[signature, other]), Err(Error::Infinity("signature")));
}

#[test]
fn infinity_is_refused() {
    assert_eq!(PublicKey::from_bytes(&[0; 192]), Err(Error::Infinity("public key")));
    assert_eq!(ServerSecret::from_bytes(&[0; 192]).err(), Some(Error::Infinity("M-Pin server secret")));
    assert_eq!(ClientSecret::from_bytes(&g1(&[0; 96])).err(), Some(Error::Infinity("client secret")));
    assert!(Signature::from_bytes(&[0; 49]).is_err());
    assert!(Token::from_bytes(&[0; 97]).is_err());
    // blst's own ways to write it.
    let mut zcash = [0; 192];
    zcash[0] = 0x40;
    assert!(PublicKey::from_bytes(&zcash).is_err());
    zcash.rotate_right(48);
    assert!(PublicKey::from_bytes(&zcash).is_err());
    let mut zcash = [0; 48];
    zcash[0] = 0x40;
    assert!(Signature::from_bytes(&[&[2], &zcash[..]].concat()).is_err());
    zcash[0] = 0xc0;
    assert!(Signature::from_bytes(&[&[2], &zcash[..]].concat()).is_err());
}

#[test]
fn sums_of_nothing_and_sums_that_cancel_are_refused() {
    assert_eq!(PublicKey::aggregate(&[]), Err(Error::Empty));
    assert_eq!(Signature::aggregate(&[]), Err(Error::Empty));
    let mut negated = octets(R);
    let plain = key(1).to_bytes();
    let mut borrow = 0;
    for (a, b) in negated.iter_mut().zip(plain.iter()).rev() {
        let difference = i16::from(*a) - i16::from(*b) - borrow;
        borrow = i16::from(difference < 0);
        *a = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let negated = SecretKey::from_bytes(&negated).unwrap().public_key();
    assert_eq!(PublicKey::aggregate(&[key(1).public_key(), negated]), Err(Error::Infinity("public key")));
}

#[test]
fn a_key_counted_twice_needs_its_signature_twice() {
    let (keys, one) = ([key(1).public_key(), key(1).public_key()], key(1).sign(b"m"));
    let sum = PublicKey::aggregate(&keys).unwrap();
    assert_eq!(sum.verify(b"m", &one), Err(Error::Signature));
    assert_eq!(sum.verify(b"m", &Signature::aggregate(&[one.clone(), one]).unwrap()), Ok(()));
}

/// Adding p to a coordinate names the same point once more; so would blst's flag bits.
#[test]
fn coordinates_from_p_up_are_refused() {
    let lifted = |octets: &[u8], at: usize| {
        let (mut out, mut carry) = (octets.to_vec(), 0u16);
        for (i, p) in self::octets(P).iter().enumerate().rev() {
            let sum = u16::from(out[at + i]) + u16::from(*p) + carry;
            (out[at + i], carry) = (sum.to_be_bytes()[1], sum >> 8);
        }
        assert_eq!(carry, 0);
        out
    };
    let public = key(1).public_key().to_bytes();
    for at in [0, 48, 96, 144] {
        assert_eq!(PublicKey::from_bytes(&lifted(&public, at)), Err(Error::Coordinate("public key")));
        for bit in [0x20, 0x40, 0x80] {
            let mut flagged = public;
            flagged[at] |= bit;
            assert!(PublicKey::from_bytes(&flagged).is_err());
        }
    }
    let secret = MasterSecret::from_entropy(&[1; 64]).unwrap().client_secret(b"id").to_bytes();
    for at in [1, 49] {
        assert_eq!(Token::from_bytes(&lifted(&*secret, at)).err(), Some(Error::Coordinate("M-Pin token")));
    }
    let signature = key(1).sign(b"m").to_bytes();
    assert_eq!(Signature::from_bytes(&lifted(&signature, 1)), Err(Error::Coordinate("signature")));
    for bit in [0x20, 0x40, 0x80] {
        let mut flagged = signature;
        flagged[1] |= bit;
        assert_eq!(Signature::from_bytes(&flagged), Err(Error::Coordinate("signature")));
    }
    assert_eq!(Signature::from_bytes(&[&[2][..], &octets(P)].concat()), Err(Error::Coordinate("signature")));
}

#[test]
fn points_off_the_curve_are_refused() {
    let mut public = key(1).public_key().to_bytes();
    public[191] ^= 1;
    assert_eq!(PublicKey::from_bytes(&public), Err(Error::OffCurve("public key")));
    let mut secret = MasterSecret::from_entropy(&[1; 64]).unwrap().client_secret(b"id").to_bytes();
    secret[96] ^= 1;
    assert_eq!(ClientSecret::from_bytes(&*secret).err(), Some(Error::OffCurve("client secret")));
    let off = (1..40).filter(|x| {
        let mut octets = [0; 49];
        (octets[0], octets[48]) = (2, *x);
        Signature::from_bytes(&octets) == Err(Error::OffCurve("signature"))
    });
    assert!(off.count() > 10);
}

#[test]
fn points_outside_the_subgroup_are_refused() {
    for stray in g1_strays() {
        let prefix = 2 | (stray[95] & 1);
        let found = Signature::from_bytes(&[&[prefix], &stray[..48]].concat());
        assert_eq!(found, Err(Error::OutsideSubgroup("signature")), "{}", hex::encode(stray));
        assert_eq!(Token::from_bytes(&g1(&stray)).err(), Some(Error::OutsideSubgroup("M-Pin token")));
        assert_eq!(ClientSecret::from_bytes(&g1(&stray)).err(), Some(Error::OutsideSubgroup("client secret")));
        let server = MasterSecret::from_entropy(&[1; 64]).unwrap().server_secret();
        let stray: [u8; 97] = g1(&stray).try_into().unwrap();
        let good: [u8; 97] = g1(&xy(&key(1).sign(b"m"))).try_into().unwrap();
        let pass = |u, v| Pass { et: 1, u, v, identity: vec![1] };
        assert_eq!(server.verify(&pass(stray, good)), Err(Error::OutsideSubgroup("U of a pass")));
        assert_eq!(server.verify(&pass(good, stray)), Err(Error::OutsideSubgroup("V of a pass")));
    }
    assert_eq!(PublicKey::from_bytes(&g2_stray()), Err(Error::OutsideSubgroup("public key")));
    assert_eq!(ServerSecret::from_bytes(&g2_stray()).err(), Some(Error::OutsideSubgroup("M-Pin server secret")));
}

#[test]
fn debug_shows_public_things_only() {
    let public = key(1).public_key();
    assert_eq!(format!("{public:?}"), format!("PublicKey({})", hex::encode(public.to_bytes())));
    let error = SecretKey::from_bytes(&[0xab; 48]).err().unwrap();
    assert!(!format!("{error} {error:?}").to_lowercase().contains("abab"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        n in 1u8.., message in prop::collection::vec(any::<u8>(), 1..300), place in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let (public, signature) = (key(n).public_key(), key(n).sign(&message));
        prop_assert_eq!(public.verify(&message, &signature), Ok(()));
        prop_assert_eq!(&Signature::from_bytes(&signature.to_bytes()).unwrap(), &signature);
        prop_assert_eq!(&PublicKey::from_bytes(&public.to_bytes()).unwrap(), &public);
        let flip = |octets: &[u8]| {
            let mut octets = octets.to_vec();
            let at = place.index(octets.len());
            octets[at] ^= 1 << bit;
            octets
        };
        prop_assert!(public.verify(&flip(&message), &signature).is_err());
        prop_assert!(Signature::from_bytes(&flip(&signature.to_bytes())).and_then(|s| public.verify(&message, &s)).is_err());
        prop_assert!(PublicKey::from_bytes(&flip(&public.to_bytes())).and_then(|k| k.verify(&message, &signature)).is_err());
    }

    #[test]
    fn no_octets_make_a_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        for length in [48, 49, 97, 192, octets.len()] {
            let mut octets = octets.clone();
            octets.resize(length, 0);
            for prefix in [octets.first().copied().unwrap_or(0), 2, 3, 4] {
                if let Some(first) = octets.first_mut() {
                    *first = prefix;
                }
                let _ = (SecretKey::from_bytes(&octets).is_ok(), PublicKey::from_bytes(&octets).is_ok());
                let _ = (Signature::from_bytes(&octets).is_ok(), Token::from_bytes(&octets).is_ok());
                let _ = (ServerSecret::from_bytes(&octets).is_ok(), ClientSecret::from_bytes(&octets).is_ok());
            }
        }
        prop_assert!(Pass::parse(&text).is_err());
        prop_assert!(Pass::parse(&hex::encode(&text)).is_err());
        prop_assert!(Pass::parse(&hex::encode(&octets)).is_err());
    }
}
