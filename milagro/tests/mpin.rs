//! A pass proves one identity for one second, to the one server, and has one spelling.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use milagro::Error;
use milagro::mpin::{MasterSecret, Pass, Token, one_pass};

const ID: &[u8] = br#"{"id":"5zPW","curve":"BLS381","created":1659612821}"#;
const NOW: u64 = 1_700_000_000;

fn master(n: u8) -> MasterSecret {
    MasterSecret::from_entropy(&[n; 64]).unwrap()
}

fn token(pin: u32) -> Token {
    master(1).client_secret(ID).take_pin(ID, pin)
}

fn pass(entropy: u8) -> Pass {
    one_pass(ID, &token(1234), 1234, NOW, &[entropy; 32]).unwrap()
}

/// The header with its JSON changed.
fn rewritten(change: impl Fn(&str) -> String) -> Result<Pass, Error> {
    let json = String::from_utf8(hex::decode(pass(1).header()).unwrap()).unwrap();
    assert_ne!(change(&json), json);
    Pass::parse(&hex::encode(change(&json)))
}

#[test]
fn a_pass_is_accepted_after_its_journey() {
    for pin in [0, 1, 9999, 10_000, 11_234, u32::MAX] {
        let token = Token::from_bytes(&*token(pin).to_bytes()).unwrap();
        let pass = one_pass(ID, &token, pin, NOW, &[1; 32]).unwrap();
        assert_eq!(pass.et, 1_700_000_000);
        let arrived = Pass::parse(&pass.header()).unwrap();
        assert!(arrived == pass);
        assert_eq!(master(1).server_secret().verify(&arrived), Ok(()));
    }
}

#[test]
fn pins_count_mod_ten_thousand() {
    assert_eq!(token(11_234).to_bytes(), token(1234).to_bytes());
    assert_eq!(token(10_000).to_bytes(), master(1).client_secret(ID).to_bytes());
}

#[test]
fn another_pin_time_identity_server_or_half_is_refused() {
    let server = master(1).server_secret();
    assert_eq!(server.verify(&pass(1)), Ok(()));
    assert_eq!(master(2).server_secret().verify(&pass(1)), Err(Error::Pass));
    let wrong_pin = one_pass(ID, &token(1234), 1235, NOW, &[1; 32]).unwrap();
    assert_eq!(server.verify(&wrong_pin), Err(Error::Pass));
    let changed = [
        Pass { et: pass(1).et + 1, ..pass(1) },
        Pass { identity: b"another".to_vec(), ..pass(1) },
        Pass { u: pass(2).u, ..pass(1) },
        Pass { v: pass(2).v, ..pass(1) },
    ];
    for changed in changed {
        assert_eq!(server.verify(&changed), Err(Error::Pass));
    }
}

#[test]
fn a_second_pass_shows_nothing_of_the_first() {
    let same_entropy_later = one_pass(ID, &token(1234), 1234, NOW + 1, &[1; 32]).unwrap();
    assert_ne!(same_entropy_later.u, pass(1).u);
    assert_ne!(pass(2).u, pass(1).u);
    assert_eq!(pass(1).header(), pass(1).header());
}

#[test]
fn a_time_that_does_not_fit_is_refused() {
    assert!(one_pass(ID, &token(0), 0, u64::from(u32::MAX), &[1; 32]).is_ok());
    for time in [1 << 32, u64::MAX] {
        assert_eq!(one_pass(ID, &token(0), 0, time, &[1; 32]).err(), Some(Error::Time));
    }
}

#[test]
fn a_header_has_one_spelling() {
    let header = pass(1).header();
    assert!(Pass::parse(&header).is_ok());
    for other in [header.to_uppercase(), format!(" {header}"), format!("{header}0a"), header[2..].into(), "".into()] {
        assert!(matches!(Pass::parse(&other), Err(Error::Header(_))), "{other}");
    }
    let changes: [&dyn Fn(&str) -> String; 12] = [
        &|json| json.replace(',', ", "),
        &|json| json.replace("\"ID\"", "\"Id\""),
        &|json| json.replace("\"ET\":", "\"ET\":0"),
        &|json| json.replace("1700000000", "1700000000.0"),
        &|json| json.replace("1700000000", "-1"),
        &|json| json.replace("1700000000", "5995000000"),
        &|json| json.replace("1700000000", "\"1700000000\""),
        &|json| json.replace("{\"ID\"", "{\"ET\":1,\"ID\""),
        &|json| json.replace('}', ",\"W\":1}"),
        &|json| json.replace("\"}", "A\"}"),
        &|json| json.replace('=', ""),
        &|json| json.replacen("\"U\":\"B", "\"U\":\"\\u0042", 1),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert!(matches!(rewritten(change), Err(Error::Header(_))), "{index}");
    }
}

#[test]
fn an_enormous_header_is_refused_before_it_is_read() {
    let fits = Pass { identity: vec![7; 5_000], ..pass(1) };
    assert!(Pass::parse(&fits.header()).unwrap() == fits);
    let long = Pass { identity: vec![7; 10_000], ..pass(1) };
    assert_eq!(Pass::parse(&long.header()).err(), Some(Error::Header("longer than 16384 characters")));
}

#[test]
fn debug_of_a_pass_does_not_show_what_could_be_replayed() {
    let shown = format!("{:?}", pass(1));
    assert_eq!(shown, "Pass { et: 1700000000, .. }");
}
