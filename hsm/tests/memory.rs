//! Promise: what the token remembers is the last that was written, whatever came between.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;

use common::{Place, with_token};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm::{Error, MAX_MEMORY, Memory, Role, Token};
use pkcs11_shim::Control;

fn ready(place: &Place) -> (Token, Control) {
    let control = place.control();
    let token = Token::open(place.shim_config()).unwrap();
    token.ensure_keys().unwrap();
    (token, control)
}

fn memory(counter: u64, content: &[u8]) -> Memory {
    Memory { counter, content: content.to_vec() }
}

/// The objects, as another client finds them.
fn objects(session: &Session) -> Vec<ObjectHandle> {
    let label = Attribute::Label(b"signing-agent memory".to_vec());
    session.find_objects(&[Attribute::Class(ObjectClass::DATA), label]).unwrap()
}

/// An object like the crate's.
fn object(value: &[u8]) -> [Attribute; 6] {
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Application(b"signing-agent".to_vec()),
        Attribute::Label(b"signing-agent memory".to_vec()),
        Attribute::Value(value.to_vec()),
    ]
}

#[test]
fn the_last_write_is_read_and_one_object_stays() {
    with_token("the_last_write_is_read_and_one_object_stays", |place| {
        let token = place.ready();
        assert_eq!(token.read_memory().unwrap(), None);
        let mut last = None;
        for n in 1..=20_u8 {
            let content = vec![n; usize::from(n) * 12 % (MAX_MEMORY + 1)];
            let written = token.write_memory(last.as_ref(), &content).unwrap();
            assert_eq!(written, memory(n.into(), &content));
            assert_eq!(token.read_memory().unwrap().as_ref(), Some(&written));
            last = Some(written);
        }
        let written = token.write_memory(last.as_ref(), &[9; MAX_MEMORY]).unwrap();
        assert_eq!(token.write_memory(Some(&written), b"").unwrap(), memory(22, b""));
        let error = token.write_memory(Some(&memory(22, b"")), &[0; MAX_MEMORY + 1]).unwrap_err();
        assert!(matches!(error, Error::MemoryTooLong { limit: MAX_MEMORY }), "{error}");
        drop(token);
        // The next process.
        let token = place.open();
        assert_eq!(token.read_memory().unwrap(), Some(memory(22, b"")));
        drop(token);
        place.as_another_client(|session| {
            let objects = objects(session);
            assert_eq!(objects.len(), 1);
            let [Attribute::Private(true), Attribute::Modifiable(false)] =
                session.get_attributes(objects[0], &[AttributeType::Private, AttributeType::Modifiable]).unwrap()[..]
            else {
                panic!("it can be read without a login, or changed");
            };
            let changed = session.update_attributes(objects[0], &[Attribute::Value(vec![0; 8])]);
            assert!(matches!(changed, Err(Pkcs11Error::Pkcs11(RvError::ActionProhibited, _))), "{changed:?}");
        });
    });
}

#[test]
fn nothing_is_written_over_what_somebody_else_left() {
    with_token("nothing_is_written_over_what_somebody_else_left", |place| {
        let token = place.ready();
        let first = token.write_memory(None, b"first").unwrap();
        let second = token.write_memory(Some(&first), b"second").unwrap();
        for expected in [None, Some(&first), Some(&memory(2, b"other")), Some(&memory(3, b"second"))] {
            let error = token.write_memory(expected, b"third").unwrap_err();
            assert!(matches!(error, Error::MemoryChanged { counter: Some(2) }), "{error}");
            assert_eq!(token.read_memory().unwrap().as_ref(), Some(&second));
        }
        drop(token);
        place
            .as_another_client(|session| objects(session).into_iter().for_each(|o| session.destroy_object(o).unwrap()));
        let token = place.open();
        assert_eq!(token.read_memory().unwrap(), None);
        let error = token.write_memory(Some(&second), b"third").unwrap_err();
        assert!(matches!(error, Error::MemoryChanged { counter: None }), "{error}");
        assert_eq!(token.read_memory().unwrap(), None);
    });
}

#[test]
fn of_two_the_highest_counts_and_the_next_write_removes_the_rest() {
    with_token("of_two_the_highest_counts_and_the_next_write_removes_the_rest", |place| {
        let (token, control) = ready(place);
        let first = token.write_memory(None, b"first").unwrap();
        // As if the process had ended between the two calls.
        control.set("C_DestroyObject return 0x30");
        let second = token.write_memory(Some(&first), b"second").unwrap();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&second));
        // They do not become many: what is left over goes first.
        let error = token.write_memory(Some(&second), b"third").unwrap_err();
        assert!(error.to_string().contains("C_DestroyObject: CKR_DEVICE_ERROR (0x30)"), "{error}");
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&second));
        drop(token);
        control.clear();
        place.as_another_client(|session| assert_eq!(objects(session).len(), 2));

        let token = Token::open(place.shim_config()).unwrap();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&second));
        let third = token.write_memory(Some(&second), b"third").unwrap();
        assert_eq!(third, memory(3, b"third"));
        drop(token);
        place.as_another_client(|session| assert_eq!(objects(session).len(), 1));
        assert_eq!(place.open().read_memory().unwrap(), Some(third));
    });
}

#[test]
fn what_cannot_be_understood_is_told_and_goes_when_the_operator_says_so() {
    with_token("what_cannot_be_understood_is_told_and_goes_when_the_operator_says_so", |place| {
        drop(place.ready());
        let counted = |counter: u64, content: &[u8]| [&counter.to_be_bytes()[..], content].concat();
        let cases = [
            (vec![vec![]], 1),
            (vec![b"seven b".to_vec()], 1),
            (vec![vec![0; MAX_MEMORY + 9]], 1),
            (vec![counted(7, b"good"), b"short".to_vec()], 8),
            (vec![counted(7, b"one"), counted(7, b"another")], 8),
        ];
        for (values, next) in cases {
            place.as_another_client(|session| {
                objects(session).into_iter().for_each(|o| session.destroy_object(o).unwrap());
                for value in &values {
                    session.create_object(&object(value)).unwrap();
                }
            });
            let token = place.open();
            for error in [token.read_memory().unwrap_err(), token.write_memory(None, b"new").unwrap_err()] {
                assert!(matches!(error, Error::MemoryMalformed(_)), "{error}");
                assert!(error.to_string().contains("recover --accept-rollback"), "{error}");
            }
            let written = token.replace_memory(b"new").unwrap();
            assert_eq!(written, memory(next, b"new"));
            assert_eq!(token.read_memory().unwrap().as_ref(), Some(&written));
            token.write_memory(Some(&written), b"newer").unwrap();
            drop(token);
            place.as_another_client(|session| assert_eq!(objects(session).len(), 1));
        }
        // The last counter that there is.
        place.as_another_client(|session| {
            objects(session).into_iter().for_each(|o| session.destroy_object(o).unwrap());
            session.create_object(&object(&[0xff; 8])).unwrap();
        });
        let token = place.open();
        assert!(matches!(token.write_memory(Some(&memory(u64::MAX, b"")), b"x"), Err(Error::MemoryMalformed(_))));
    });
}

#[test]
fn a_fault_during_a_write_is_recovered_and_its_half_is_no_stranger() {
    with_token("a_fault_during_a_write_is_recovered_and_its_half_is_no_stranger", |place| {
        let (token, control) = ready(place);
        let mut last = token.write_memory(None, b"0").unwrap();
        let functions =
            ["C_OpenSession", "C_GetSessionInfo", "C_FindObjectsInit", "C_FindObjects", "C_GetAttributeValue"];
        for function in functions.into_iter().chain(["C_CreateObject", "C_DestroyObject", "C_CloseSession"]) {
            for code in ["0xB3", "0x30", "0x32", "0xE0", "0x101", "0x190"] {
                control.set(&format!("{function} return {code} times=1"));
                let content = format!("{function} {code}");
                last = token.write_memory(Some(&last), content.as_bytes()).unwrap_or_else(|e| panic!("{content}: {e}"));
                control.set(&format!("{function} return {code} times=1"));
                assert_eq!(token.read_memory().unwrap().as_ref(), Some(&last), "{content}");
            }
        }
        // A full token.
        let logins = control.logins();
        control.set("C_CreateObject return 0x31");
        let error = token.write_memory(Some(&last), b"full").unwrap_err();
        assert!(
            error.to_string().contains("C_CreateObject: CKR_DEVICE_MEMORY (0x31): the token has no room"),
            "{error}"
        );
        assert_eq!(control.logins(), logins, "a full token is no lost one");
        control.clear();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&last));
        // Made, but the answer was lost with the token.
        control.set("C_CreateObject lose");
        token.write_memory(Some(&last), b"made").unwrap_err();
        control.clear();
        let written = token.write_memory(Some(&last), b"made after all").unwrap();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&written));
        control.set("C_CreateObject lose times=1");
        let written = token.write_memory(Some(&written), b"once").unwrap();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&written));
        drop(token);
        control.clear();
        place.as_another_client(|session| assert_eq!(objects(session).len(), 1));
    });
}

#[test]
fn a_memory_out_of_sight_is_not_an_empty_one() {
    with_token("a_memory_out_of_sight_is_not_an_empty_one", |place| {
        let (token, control) = ready(place);
        let first = token.write_memory(None, b"first").unwrap();
        control.set("C_FindObjects empty");
        assert!(matches!(token.read_memory(), Err(Error::KeyMissing { .. })));
        assert!(matches!(token.write_memory(None, b"again"), Err(Error::KeyMissing { .. })));
        control.clear();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&first));
        // Logged out behind our back: private objects are hidden, and the login is made again.
        place.session(&place.library()).logout().unwrap();
        assert_eq!(token.read_memory().unwrap().as_ref(), Some(&first));
        place.session(&place.library()).logout().unwrap();
        token.write_memory(Some(&first), b"second").unwrap();
        drop(token);
        // Another token of the same label has another memory, and is not ours.
        fs::rename(place.tokens(), place.dir.join("away")).unwrap();
        common::setup(&place.dir);
        let token = place.open();
        assert!(matches!(token.read_memory(), Err(Error::KeyMissing { role: Role::Identity })));
    });
}

#[test]
fn a_token_that_keeps_no_such_objects_is_told_with_the_way_out() {
    with_token("a_token_that_keeps_no_such_objects_is_told_with_the_way_out", |place| {
        let (token, control) = ready(place);
        // CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT, CKR_FUNCTION_NOT_SUPPORTED, CKR_TOKEN_WRITE_PROTECTED,
        // CKR_ACTION_PROHIBITED
        for code in ["0x12", "0xD1", "0x54", "0xE2", "0x1B"] {
            control.set(&format!("C_CreateObject return {code}"));
            let error = token.write_memory(None, b"first").unwrap_err();
            assert!(matches!(error, Error::MemoryNotOffered { .. }), "{error}");
            assert!(error.to_string().contains("token_memory = \"none\"") && error.to_string().contains("[ledger]"));
        }
        // One that only does not know CKA_MODIFIABLE.
        control.set("C_CreateObject return 0x12 times=1");
        let first = token.write_memory(None, b"first").unwrap();
        assert_eq!(token.read_memory().unwrap(), Some(first));
    });
}
