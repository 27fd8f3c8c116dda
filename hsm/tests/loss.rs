//! Promise: a lost session, login or token is recovered without a restart, and workers do not race about it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Place, digest, setup, with_token};
use hsm::{Error, Role};

#[test]
fn a_token_that_went_and_came_back_serves_again() {
    with_token("a_token_that_went_and_came_back_serves_again", |place| {
        let token = place.ready();
        let keys = token.public_keys().unwrap();
        for _ in 0..3 {
            fs::rename(place.tokens(), place.dir.join("away")).unwrap();
            for _ in 0..2 {
                let words = token.check().unwrap_err().to_string();
                assert!(words.contains("C_Initialize: CKR_GENERAL_ERROR"), "{words}");
            }
            fs::rename(place.dir.join("away"), place.tokens()).unwrap();
            token.check().unwrap();
            assert_eq!(token.public_keys().unwrap(), keys);
        }
    });
}

#[test]
fn every_operation_recovers_by_itself() {
    with_token("every_operation_recovers_by_itself", |place| {
        let token = place.ready();
        let point = token.public_keys().unwrap().audit;
        let secret = token.ecdh(&point).unwrap();
        let lose: [fn(&Place); 2] = [
            |place| place.library().finalize().unwrap(),
            // All sessions of the process are logged out: private objects are gone, and their handles.
            |place| place.session(&place.library()).logout().unwrap(),
        ];
        for lose in lose {
            lose(place);
            token.sign(Role::Identity, &digest(1)).unwrap();
            lose(place);
            assert_eq!(token.ecdh(&point).unwrap(), secret);
            lose(place);
            token.random(&mut [0; 32]).unwrap();
            lose(place);
            token.check().unwrap();
            lose(place);
            token.ensure_keys().unwrap();
        }
    });
}

#[test]
fn another_token_with_the_same_label_is_not_taken_for_ours() {
    with_token("another_token_with_the_same_label_is_not_taken_for_ours", |place| {
        let (ours, theirs) = (place.dir.join("ours"), place.dir.join("theirs"));
        drop(place.ready());
        fs::rename(place.tokens(), &ours).unwrap();
        setup(&place.dir);
        drop(place.ready());
        fs::rename(place.tokens(), &theirs).unwrap();

        fs::rename(&ours, place.tokens()).unwrap();
        let token = place.open();
        token.check().unwrap();
        fs::rename(place.tokens(), &ours).unwrap();
        fs::rename(&theirs, place.tokens()).unwrap();
        let error = token.sign(Role::Identity, &digest(1)).unwrap_err();
        assert!(matches!(error, Error::KeysChanged), "{error}");
        // Nor does making keys help a stranger.
        assert!(matches!(token.ensure_keys(), Err(Error::KeysChanged)));
    });
}

#[test]
fn many_workers_sign_and_derive_while_the_token_comes_and_goes() {
    with_token("many_workers_sign_and_derive_while_the_token_comes_and_goes", |place| {
        let token = place.ready();
        let point = token.public_keys().unwrap().audit;
        let secret = token.ecdh(&point).unwrap();
        let (stop, done, lost) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for worker in 0..6_u32 {
                let (token, stop, done, lost, secret) = (&token, &stop, &done, &lost, &secret);
                scope.spawn(move || {
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        // `sign` verifies before it returns: a session of another life could not give this.
                        let outcome = if worker % 2 == 0 {
                            token.sign(Role::Identity, &digest(n)).map(drop)
                        } else {
                            token.ecdh(&point).map(|dh| assert_eq!(dh, *secret))
                        };
                        match outcome {
                            Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                            Err(Error::Mismatch { .. } | Error::KeysChanged | Error::ModuleInUse) => panic!("raced"),
                            Err(_) => lost.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                });
            }
            let wait = |counter: &AtomicUsize, more: usize| {
                let goal = counter.load(Ordering::Relaxed) + more;
                let deadline = Instant::now() + Duration::from_secs(60);
                while counter.load(Ordering::Relaxed) < goal {
                    if Instant::now() > deadline {
                        stop.store(true, Ordering::Relaxed);
                        panic!("the workers stand still");
                    }
                    std::thread::yield_now();
                }
            };
            for _ in 0..10 {
                wait(&done, 50);
                fs::rename(place.tokens(), place.dir.join("away")).unwrap();
                wait(&lost, 5);
                fs::rename(place.dir.join("away"), place.tokens()).unwrap();
            }
            wait(&done, 50);
            stop.store(true, Ordering::Relaxed);
        });
        token.check().unwrap();
    });
}

#[test]
fn one_session_serves_many_threads_in_turn() {
    with_token("one_session_serves_many_threads_in_turn", |place| {
        let mut config = place.config();
        config.workers = 1;
        let token = hsm::Token::open(config).unwrap();
        token.ensure_keys().unwrap();
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let token = &token;
                scope.spawn(move || {
                    (0..20).for_each(|n| token.sign(Role::Audit, &digest(worker * n)).map(drop).unwrap())
                });
            }
        });
    });
}
