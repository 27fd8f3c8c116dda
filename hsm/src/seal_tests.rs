#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

const TAG: &str = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";

fn x25519(u: [u8; 32]) -> String {
    age_core::primitives::bech32_encode(bech32::Hrp::parse("age").unwrap(), &u)
}

fn refusal_of(text: &str) -> String {
    parse_recipient(text).expect_err(text).to_string()
}

#[test]
fn token_and_x25519_recipients_are_taken() {
    parse_recipient(TAG).unwrap();
    parse_recipient(&age::x25519::Identity::generate().to_public().to_string()).unwrap();
}

#[test]
fn other_texts_are_refused_with_words() {
    for text in ["", "age1", "age1tag1", "ssh-ed25519 AAAA", "age1qqq", "age1yubikey1q", "age1tagpq1qqq", &TAG[..60]] {
        assert!(refusal_of(text).contains("is no recipient"), "{text}");
    }
    let mut swapped = TAG.to_owned();
    swapped.replace_range(20..21, if &TAG[20..21] == "q" { "p" } else { "q" });
    refusal_of(&swapped);
}

#[test]
fn a_secret_key_given_for_a_recipient_is_not_repeated() {
    for key in ["AGE-SECRET-KEY-1QQQQQQ", "age-secret-key-1qqqqqq", " AGE-SECRET-KEY-1QQQQQQ"] {
        let words = refusal_of(key);
        assert!(!words.to_ascii_uppercase().contains("QQQ"), "{words}");
    }
}

#[test]
fn recipients_of_low_order_are_refused() {
    let p = |low: u8| {
        let mut u = [0xff; 32];
        u[0] = low;
        u[31] = 0x7f;
        u
    };
    let small = |low: u8| {
        let mut u = [0; 32];
        u[0] = low;
        u
    };
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ]
    .map(|text| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap());
    let low: Vec<_> = [small(0), small(1), p(0xec), p(0xed), p(0xee)].into_iter().chain(order_8).collect();
    for mut u in low {
        for top in [0, 0x80] {
            u[31] = (u[31] & 0x7f) | top;
            assert!(refusal_of(&x25519(u)).contains("low order"), "{}", hex::encode(u));
        }
    }
    parse_recipient(&x25519(small(9))).unwrap();
    parse_recipient(&x25519(p(0xeb))).unwrap();
}

#[test]
fn nothing_is_sealed_to_nobody() {
    assert!(matches!(seal(b"x", &[]), Err(Error::NoRecipients)));
    assert!(
        matches!(seal(&vec![0; MAX_SEALED], &[TAG.into()]), Err(Error::SealedTooLong { .. })),
        "could not be opened"
    );
    assert!(matches!(seal(b"x", &[TAG.into(), "nobody".into()]), Err(Error::Recipient { .. })));
}
