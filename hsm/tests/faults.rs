//! Promise: whatever the module does, nothing wrong comes out of it, and the next call recovers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Place, digest, with_token};
use hsm::{Error, Role, Token, Watch, seal};
use pkcs11_shim::Control;

fn ready(place: &Place) -> (Token, Control) {
    let control = place.control();
    let token = Token::open(place.shim_config()).unwrap();
    token.ensure_keys().unwrap();
    (token, control)
}

/// Every operation, each right.
fn all_is_well(token: &Token) {
    let keys = token.public_keys().unwrap();
    token.sign(Role::Identity, &digest(1)).unwrap();
    token.check().unwrap();
    token.random(&mut [0; 32]).unwrap();
    let sealed = seal::seal(b"secret", &[token.recipient().unwrap()]).unwrap();
    assert_eq!(*seal::open(token, &sealed).unwrap(), b"secret");
    assert_eq!(token.ensure_keys().unwrap(), keys);
}

/// What is told here of a lost token, and where it comes from.
const LOSSES: [(&str, &str); 20] = [
    ("C_SignInit", "0xB3"),  // CKR_SESSION_HANDLE_INVALID
    ("C_Sign", "0xB0"),      // CKR_SESSION_CLOSED
    ("C_Sign", "0x32"),      // CKR_DEVICE_REMOVED
    ("C_SignInit", "0xE0"),  // CKR_TOKEN_NOT_PRESENT
    ("C_SignInit", "0xE1"),  // CKR_TOKEN_NOT_RECOGNIZED
    ("C_Sign", "0x30"),      // CKR_DEVICE_ERROR
    ("C_Sign", "0x31"),      // CKR_DEVICE_MEMORY
    ("C_Sign", "0x5"),       // CKR_GENERAL_ERROR
    ("C_Sign", "0x6"),       // CKR_FUNCTION_FAILED
    ("C_SignInit", "0x101"), // CKR_USER_NOT_LOGGED_IN
    ("C_SignInit", "0x82"),  // CKR_OBJECT_HANDLE_INVALID
    ("C_SignInit", "0x60"),  // CKR_KEY_HANDLE_INVALID
    ("C_SignInit", "0x190"), // CKR_CRYPTOKI_NOT_INITIALIZED
    ("C_SignInit", "0x90"),  // CKR_OPERATION_ACTIVE
    ("C_Sign", "0x91"),      // CKR_OPERATION_NOT_INITIALIZED
    ("C_SignInit", "0x3"),   // CKR_SLOT_ID_INVALID
    ("C_Sign", "0x80000001"),
    ("C_DeriveKey", "0x30"),
    ("C_GenerateRandom", "0xB3"),
    ("C_GetAttributeValue", "0x30"),
];

#[test]
fn a_fault_that_happens_once_is_not_noticed() {
    with_token("a_fault_that_happens_once_is_not_noticed", |place| {
        let (token, control) = ready(place);
        let point = token.public_keys().unwrap().audit;
        let secret = token.ecdh(&point).unwrap();
        for (function, code) in LOSSES {
            let before = control.calls().len();
            control.set(&format!("{function} return {code} times=1"));
            token.sign(Role::Identity, &digest(1)).unwrap_or_else(|e| panic!("{function} {code}: {e}"));
            assert_eq!(token.ecdh(&point).unwrap(), secret, "{function} {code}");
            token.random(&mut [0; 32]).unwrap();
            assert!(control.calls().len() > before, "{function} {code} never happened");
        }
        all_is_well(&token);
        assert!(!place.marker().exists());
    });
}

#[test]
fn a_lasting_fault_is_told_and_its_end_is_noticed_by_the_next_call() {
    with_token("a_lasting_fault_is_told_and_its_end_is_noticed_by_the_next_call", |place| {
        let (token, control) = ready(place);
        // Where everything fails, also C_CloseSession and C_Finalize: the life before is ended later.
        let everything = ["0x5", "0x30", "0x32", "0xE0", "0xB3", "0x101", "0x190"].map(|code| ("*", code));
        let others = [
            ("C_Initialize", "0x5"),
            ("C_GetSlotList", "0x30"),
            ("C_OpenSession", "0x30"),
            ("C_OpenSession", "0xB1"),
            ("C_FindObjectsInit", "0x101"),
            ("C_Login", "0xE0"),
            ("C_CloseSession", "0x30"),
        ];
        for (function, code) in everything.into_iter().chain(others).chain(LOSSES) {
            // So that the token is needed, wherever the fault is.
            let rule = format!("{function} return {code}");
            control.set(&format!("{rule}\nC_SignInit return 0x30"));
            for _ in 0..4 {
                let error = token.check().unwrap_err();
                assert!(!error.to_string().is_empty());
                assert!(!matches!(error, Error::KeysChanged | Error::Mismatch { .. }), "{rule}: {error}");
            }
            control.clear();
            token.check().unwrap_or_else(|e| panic!("{rule}: {e}"));
            all_is_well(&token);
            assert!(!place.marker().exists(), "{rule}: the PIN was not judged");
        }
    });
}

#[test]
fn a_token_that_is_away_at_the_start_is_opened_by_the_next_try() {
    with_token("a_token_that_is_away_at_the_start_is_opened_by_the_next_try", |place| {
        let (control, watch) = (place.control(), Watch::default());
        let config = hsm::Config { watch: watch.clone(), ..place.shim_config() };
        // The slots are gone, and nothing can be ended.
        control.set("C_GetSlotList return 0xE0\nC_Finalize return 0xE0");
        for _ in 0..2 {
            assert!(Token::open(config.clone()).is_err());
            assert_eq!(watch.longest(), None);
        }
        control.clear();
        Token::open(config).unwrap().ensure_keys().unwrap();
    });
}

#[test]
fn objects_out_of_sight_are_no_missing_keys_and_no_new_ones_are_made() {
    with_token("objects_out_of_sight_are_no_missing_keys_and_no_new_ones_are_made", |place| {
        let (token, control) = ready(place);
        let keys = token.public_keys().unwrap();
        control.set("C_FindObjects empty\nC_SignInit return 0x82");
        for _ in 0..2 {
            assert!(matches!(token.check(), Err(Error::KeyMissing { .. })));
            assert!(matches!(token.ensure_keys(), Err(Error::KeyMissing { .. })));
        }
        control.clear();
        assert_eq!(token.public_keys().unwrap(), keys);
        all_is_well(&token);
    });
}

#[test]
fn a_wrong_signature_never_comes_out() {
    with_token("a_wrong_signature_never_comes_out", |place| {
        let (token, control) = ready(place);
        for (rule, wrong) in [("C_Sign corrupt times=1", 1), ("C_Sign corrupt", 3)] {
            control.set(rule);
            for _ in 0..wrong {
                let error = token.sign(Role::Identity, &digest(1)).unwrap_err();
                assert!(matches!(error, Error::Mismatch { role: Role::Identity }), "{error}");
            }
            if wrong > 1 {
                assert!(matches!(token.check(), Err(Error::Mismatch { role: Role::Audit })));
                control.clear();
            }
            all_is_well(&token);
        }
        assert_eq!(control.logins(), 1, "it is no reason to log in again");
    });
}

#[test]
fn a_wrong_agreement_opens_nothing_and_is_not_the_files_fault() {
    with_token("a_wrong_agreement_opens_nothing_and_is_not_the_files_fault", |place| {
        let (token, control) = ready(place);
        let sealed = seal::seal(b"secret", &[token.recipient().unwrap()]).unwrap();
        for rule in ["C_DeriveKey corrupt times=1", "C_DeriveKey corrupt"] {
            control.set(rule);
            let error = seal::open(&token, &sealed).unwrap_err();
            assert!(matches!(error, Error::Mismatch { role: Role::Sealing }), "{rule}: {error}");
        }
        assert!(matches!(token.ensure_keys(), Err(Error::Mismatch { role: Role::Sealing })));
        control.clear();
        all_is_well(&token);
    });
}

#[test]
fn zeros_are_no_randomness() {
    with_token("zeros_are_no_randomness", |place| {
        let (token, control) = ready(place);
        control.set("C_GenerateRandom zero times=2");
        for _ in 0..2 {
            let mut out = [7; 32];
            assert!(matches!(token.random(&mut out), Err(Error::NoRandomness)));
            assert_eq!(out, [0; 32], "nothing that could be taken for randomness is left");
        }
        all_is_well(&token);
    });
}

#[test]
fn a_pin_that_is_refused_when_logging_in_again_is_tried_once() {
    with_token("a_pin_that_is_refused_when_logging_in_again_is_tried_once", |place| {
        let (token, control) = ready(place);
        // Incorrect, invalid, a wrong length, expired, locked.
        for code in ["0xA0", "0xA1", "0xA2", "0xA3", "0xA4"] {
            let before = control.logins();
            control.set(&format!("C_SignInit return 0xB3 times=1\nC_Login return {code}"));
            let error = token.check().unwrap_err();
            assert!(error.to_string().contains("C_Login") && error.to_string().contains("--try-pin-again"), "{error}");
            assert_eq!(matches!(error, Error::PinLocked { .. }), code == "0xA4", "{error}");
            assert_eq!(control.logins(), before + 1);
            // The fault is over, and the PIN would be taken: nobody tries.
            control.clear();
            for _ in 0..5 {
                assert!(matches!(token.sign(Role::Identity, &digest(1)), Err(Error::PinRefusedBefore { .. })));
                assert!(matches!(token.read_memory(), Err(Error::PinRefusedBefore { .. })));
            }
            assert_eq!(control.logins(), before + 1);
            token.try_pin_again().unwrap();
            token.check().unwrap();
            assert_eq!(control.logins(), before + 2);
        }
        all_is_well(&token);
    });
}

#[test]
fn a_login_that_fails_without_a_word_on_the_pin_is_tried_once_more() {
    with_token("a_login_that_fails_without_a_word_on_the_pin_is_tried_once_more", |place| {
        let (token, control) = ready(place);
        let before = control.logins();
        control.set("C_SignInit return 0xB3 times=1\nC_Login return 0x30 times=1");
        token.check().unwrap_err();
        token.check().expect("the second is taken");
        assert_eq!(control.logins(), before + 2);

        control.set("C_SignInit return 0xB3 times=1\nC_Login return 0x30");
        for _ in 0..5 {
            token.check().unwrap_err();
        }
        assert_eq!(control.logins(), before + 4);
        control.clear();
        assert!(matches!(token.check(), Err(Error::PinRefusedBefore { .. })));
        token.try_pin_again().unwrap();
        all_is_well(&token);
    });
}

#[test]
fn a_slow_token_is_waited_for() {
    with_token("a_slow_token_is_waited_for", |place| {
        let (token, control) = ready(place);
        control.set("C_SignInit delay-ms 500 times=1");
        let begun = Instant::now();
        token.check().unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500));
        assert_eq!(token.longest_call(), None);
        all_is_well(&token);
    });
}

/// Waits until `seen` is true of the watch.
fn until(what: &str, seen: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

/// Lets go what hangs, also where the test fails: its threads are waited for.
struct LetGo<'a>(&'a Control);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

#[test]
fn a_call_that_hangs_is_seen_and_those_who_wait_for_it_are_not() {
    with_token("a_call_that_hangs_is_seen_and_those_who_wait_for_it_are_not", |place| {
        let watch = Watch::default();
        let control = place.control();
        let token = Token::open(hsm::Config { watch: watch.clone(), ..place.shim_config() }).unwrap();
        token.ensure_keys().unwrap();
        assert_eq!(watch.longest(), None);
        let past = |deadline| watch.longest().is_some_and(|longest| longest > Duration::from_millis(deadline));

        // One of two sessions hangs: the other one serves, and its calls do not hide the hanging one.
        control.set("C_SignInit hang times=1");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _let_go = LetGo(&control);
            scope.spawn(|| {
                token.check().unwrap();
                over.store(true, Ordering::SeqCst);
            });
            until("the call hangs", || past(300));
            let before = watch.longest().unwrap();
            token.check().expect("the other session");
            assert!(watch.longest().unwrap() >= before && !over.load(Ordering::SeqCst));
            control.clear();
            until("it was let go", || over.load(Ordering::SeqCst));
        });
        assert_eq!(watch.longest(), None);

        // Logging in again is seen too, with the life lock held; a worker who waits for it adds nothing.
        control.set("C_SignInit return 0xB3 times=1\nC_Initialize hang times=1");
        thread::scope(|scope| {
            let _let_go = LetGo(&control);
            scope.spawn(|| token.check().unwrap());
            until("the login hangs", || past(100));
            let waiting = scope.spawn(|| token.check().unwrap());
            until("the login hangs on", || past(400));
            assert!(!waiting.is_finished());
            control.clear();
        });
        assert_eq!(watch.longest(), None);
        all_is_well(&token);

        // And the opening, before there is a token.
        drop(token);
        let one = hsm::Config { watch: watch.clone(), workers: 1, ..place.shim_config() };
        control.set("C_Login hang times=1");
        thread::scope(|scope| {
            let _let_go = LetGo(&control);
            let opening = scope.spawn(|| Token::open(one.clone()).unwrap().check().unwrap());
            until("the opening hangs", || past(200));
            assert!(!opening.is_finished());
            control.clear();
        });
        assert_eq!(watch.longest(), None);

        // Who waits for the only session is not at it: his call begins when it is his turn.
        let token = Token::open(one).unwrap();
        control.set("C_SignInit hang times=1");
        thread::scope(|scope| {
            let _let_go = LetGo(&control);
            let hanging = scope.spawn(|| token.check().unwrap());
            until("the call hangs", || past(10));
            let waiting = scope.spawn(|| token.check().unwrap());
            until("the call hangs on", || past(600));
            control.set("C_SignInit delay-ms 300 times=1");
            hanging.join().unwrap();
            while !waiting.is_finished() {
                assert!(!past(590), "{:?}", watch.longest());
                thread::yield_now();
            }
        });
    });
}
