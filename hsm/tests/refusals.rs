//! Promises about the PIN, and about what an error says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::{Place, digest, refused, with_token};
use cryptoki::object::{Attribute, ObjectClass};
use hsm::{Error, PinSource, Role, Token, TokenSelector, clear_refused_pin};

fn open_error(place: &Place) -> Error {
    Token::open(place.config()).map(drop).expect_err("opened")
}

#[test]
fn a_refused_pin_is_not_tried_again_until_the_operator_says_so() {
    with_token("a_refused_pin_is_not_tried_again_until_the_operator_says_so", |place| {
        let pin = place.pin();
        place.write_pin("99999999-wrong");
        let error = open_error(place);
        assert!(matches!(error, Error::PinIncorrect { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("C_Login: CKR_PIN_INCORRECT (0xA0)") && words.contains("--try-pin-again"), "{words}");
        let mode = fs::metadata(place.marker()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let note = fs::read_to_string(place.marker()).unwrap();
        assert!(note.contains("CKR_PIN_INCORRECT") && note.contains("--try-pin-again"), "{note}");
        assert!(!words.contains("99999999") && !note.contains("99999999"), "the PIN is nowhere");

        // The right PIN now lies there, and is not tried either.
        place.write_pin(&pin);
        for _ in 0..3 {
            let error = open_error(place);
            assert!(matches!(error, Error::PinRefusedBefore { .. }), "{error}");
            assert!(error.to_string().contains("signing-agent init --try-pin-again"));
        }
        clear_refused_pin(&place.marker()).unwrap();
        place.ready().check().unwrap();
        assert!(!place.marker().exists() && !place.dir.join("pin-refused.try").exists());
    });
}

#[test]
fn a_refused_pin_is_not_tried_again_by_recovery_either() {
    with_token("a_refused_pin_is_not_tried_again_by_recovery_either", |place| {
        let token = place.ready();
        let pin = place.pin();
        place.write_pin("99999999");
        place.library().finalize().unwrap();
        assert!(matches!(token.check(), Err(Error::PinIncorrect { .. })));
        place.write_pin(&pin);
        assert!(matches!(token.check(), Err(Error::PinRefusedBefore { .. })));
        assert!(matches!(token.sign(Role::Identity, &digest(1)), Err(Error::PinRefusedBefore { .. })));
        clear_refused_pin(&place.marker()).unwrap();
        token.check().expect("the same process goes on");
    });
}

#[test]
fn a_running_token_takes_the_corrected_pin_when_the_operator_says_so() {
    with_token("a_running_token_takes_the_corrected_pin_when_the_operator_says_so", |place| {
        let token = place.ready();
        let pin = place.pin();
        place.write_pin("99999999");
        place.library().finalize().unwrap();
        assert!(matches!(token.check(), Err(Error::PinIncorrect { .. })));
        // Still wrong: one try, and closed again.
        token.try_pin_again().unwrap();
        assert!(!place.marker().exists());
        assert!(matches!(token.check(), Err(Error::PinIncorrect { .. })));
        assert!(matches!(token.check(), Err(Error::PinRefusedBefore { .. })));
        place.write_pin(&pin);
        token.try_pin_again().unwrap();
        token.check().unwrap();
        token.sign(Role::Identity, &digest(1)).unwrap();
        assert!(!place.marker().exists() && !place.dir.join("pin-refused.try").exists());
    });
}

#[test]
fn logins_of_unknown_fate_before_a_restart_count() {
    with_token("logins_of_unknown_fate_before_a_restart_count", |place| {
        let left = place.dir.join("pin-refused.try");
        fs::write(&left, "1").unwrap();
        drop(place.ready());
        assert!(!left.exists(), "a good login forgives it");
        fs::write(&left, "2").unwrap();
        let error = open_error(place);
        assert!(matches!(error, Error::PinRefusedBefore { .. }), "{error}");
        assert!(place.marker().exists());
        clear_refused_pin(&place.marker()).unwrap();
        place.ready().check().unwrap();
    });
}

#[test]
fn without_a_place_for_the_marker_no_pin_is_tried() {
    with_token("without_a_place_for_the_marker_no_pin_is_tried", |place| {
        place.write_pin("99999999");
        let mut config = place.config();
        config.refused_pin_marker = place.dir.join("no/such/directory/pin-refused");
        let words = refused(config);
        assert!(words.contains("no login is tried") && words.contains("no/such/directory"), "{words}");
    });
}

#[test]
fn a_pin_that_others_may_read_is_not_used() {
    with_token("a_pin_that_others_may_read_is_not_used", |place| {
        fs::set_permissions(&place.pin_file, fs::Permissions::from_mode(0o640)).unwrap();
        let words = refused(place.config());
        assert!(words.contains("chmod 600") && words.contains("0640") && !words.contains(&place.pin()), "{words}");
        fs::remove_file(&place.pin_file).unwrap();
        let words = refused(place.config());
        assert!(words.contains("it is not there"), "{words}");
    });
}

#[test]
fn a_systemd_credential_serves_as_pin() {
    with_token("a_systemd_credential_serves_as_pin", |place| {
        let mut config = place.config();
        config.pin = PinSource::Credential("token-pin".into());
        let words = refused(config.clone());
        assert!(words.contains("the credential \"token-pin\"") && words.contains("it is not there"), "{words}");
        // As systemd leaves it: the mask of its ACL shows as the group's bits.
        fs::copy(&place.pin_file, place.dir.join("token-pin")).unwrap();
        fs::set_permissions(place.dir.join("token-pin"), fs::Permissions::from_mode(0o440)).unwrap();
        drop(Token::open(config.clone()).unwrap());
        fs::set_permissions(place.dir.join("token-pin"), fs::Permissions::from_mode(0o444)).unwrap();
        assert!(refused(config).contains("others may use it"));
    });
}

#[test]
fn a_module_that_cannot_be_loaded_is_named() {
    with_token("a_module_that_cannot_be_loaded_is_named", |place| {
        for module in [place.dir.join("none.so"), place.pin_file.clone(), "/lib/x86_64-linux-gnu/libm.so.6".into()] {
            let words = hsm::Module::load(&module).map(drop).expect_err("loaded").to_string();
            assert!(words.starts_with(&format!("cannot load the PKCS#11 module {}", module.display())), "{words}");
        }
    });
}

#[test]
fn a_missing_token_is_told_with_those_that_are_there() {
    with_token("a_missing_token_is_told_with_those_that_are_there", |place| {
        let mut config = place.config();
        config.token = TokenSelector::Label("other".into());
        let words = refused(config.clone());
        assert!(words.contains("\"other\"") && words.contains("the module has \"signing-agent\""), "{words}");
        config.token = TokenSelector::Slot(0xdead_beef);
        let words = refused(config.clone());
        assert!(
            words.contains(&format!("in slot {}", 0xdead_beef_u32)) && words.contains("tokens in slots"),
            "{words}"
        );
        // By its slot it opens. (SoftHSM counts the slots anew after each C_Initialize; the first is the token's.)
        let id = words.split("tokens in slots ").nth(1).unwrap().split([',', '.']).next().unwrap().parse().unwrap();
        config.token = TokenSelector::Slot(id);
        Token::open(config).unwrap().ensure_keys().unwrap();
    });
}

#[test]
fn a_module_that_does_not_start_is_told_by_function_and_code() {
    with_token("a_module_that_does_not_start_is_told_by_function_and_code", |place| {
        fs::rename(place.tokens(), place.dir.join("away")).unwrap();
        let words = refused(place.config());
        assert!(
            words.starts_with("C_Initialize: CKR_GENERAL_ERROR (0x5): ") && words.contains("SOFTHSM2_CONF"),
            "{words}"
        );
    });
}

#[test]
fn a_second_token_in_one_process_is_refused_and_harms_nothing() {
    with_token("a_second_token_in_one_process_is_refused_and_harms_nothing", |place| {
        let token = place.ready();
        assert!(matches!(open_error(place), Error::ModuleInUse));
        token.check().unwrap();
    });
}

#[test]
fn a_mechanism_that_is_not_offered_is_named() {
    with_token("a_mechanism_that_is_not_offered_is_named", |place| {
        let conf = place.dir.join("softhsm2.conf");
        let before = fs::read_to_string(&conf).unwrap();
        // SoftHSM 2.6.1 overlooks the first name after the minus.
        let without = |name: &str| fs::write(&conf, format!("{before}slots.mechanisms = -,{name}\n")).unwrap();
        drop(place.ready());
        without("CKM_ECDSA");
        let words = place.open().check().unwrap_err().to_string();
        assert!(
            words.starts_with("C_SignInit: CKR_MECHANISM_INVALID (0x70)") && words.contains("CKM_ECDSA"),
            "{words}"
        );
        without("CKM_ECDH1_DERIVE");
        let token = place.open();
        let words = token.ecdh(&token.public_keys().unwrap().audit).unwrap_err().to_string();
        assert!(words.starts_with("C_DeriveKey: CKR_MECHANISM_INVALID (0x70)"), "{words}");
        assert!(words.contains("CKM_ECDH1_DERIVE"), "{words}");
    });
}

#[test]
fn a_private_key_without_its_public_half_is_told() {
    with_token("a_private_key_without_its_public_half_is_told", |place| {
        drop(place.ready());
        place.as_another_client(|session| {
            let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), common::label("sealing")];
            session.destroy_object(session.find_objects(&public).unwrap()[0]).unwrap();
        });
        let error = place.open().ensure_keys().unwrap_err();
        assert!(matches!(error, Error::KeyHalf { role: Role::Sealing }), "{error}");
    });
}
