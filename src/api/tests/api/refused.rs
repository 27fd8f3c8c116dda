//! Who is refused again and again is told so later each time; nobody else is, nor what is right.

use crate::support::{Api, connect, connect_from, once, registered};
use ipc::{AccessFault, Answer, Call, CredentialFault, Refusal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENT: &str = "/api/v1/client";

/// A vault that refuses while it is told to.
fn strict() -> (Api, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(true));
    let told = refuses.clone();
    let script = move |call: &Call| {
        let refused = Answer::Refused(Refusal::Access(AccessFault::TokenUnknown));
        if told.load(Ordering::SeqCst) { Some(refused) } else { registered(call) }
    };
    (Api::new(script), refuses)
}

fn timed(api: &Api, from: &str) -> (u16, Duration) {
    let begun = Instant::now();
    let status = once(&mut connect_from(from, api.addr), "GET", CLIENT, "Authorization: Bearer a\r\n").status;
    (status, begun.elapsed())
}

#[test]
fn refusals_of_one_address_are_slowed_and_neither_others_nor_what_is_right() {
    let (api, refuses) = strict();
    let begun = Instant::now();
    for _ in 0..12 {
        assert_eq!(timed(&api, "127.0.0.1").0, 401);
    }
    // 0, 0, 0, 50, 100 … 450 ms, less what is forgotten meanwhile.
    let slowed = begun.elapsed();
    assert!(slowed > Duration::from_millis(1500), "{slowed:?}");
    let (status, other) = timed(&api, "127.0.0.2");
    assert!(status == 401 && other < Duration::from_millis(300), "another address: {other:?}");
    refuses.store(false, Ordering::SeqCst);
    let (status, right) = timed(&api, "127.0.0.1");
    assert!(status == 200 && right < Duration::from_millis(300), "what is right: {right:?}");
    println!("12 refusals took {slowed:?}; another address's {other:?}, a right call {right:?}");
}

/// Also where no token is what lets a caller in.
#[test]
fn a_decisions_wrong_tokens_are_slowed_too() {
    for fault in [CredentialFault::TokenUnknown, CredentialFault::TokenExpired, CredentialFault::TokenScope] {
        let api = Api::new(move |_| Some(Answer::Refused(Refusal::Credential { fault, who: None })));
        let begun = Instant::now();
        for _ in 0..8 {
            assert_eq!(timed(&api, "127.0.0.1").0, 401, "{fault:?}");
        }
        // 0, 0, 0, 50 … 250 ms, less what is forgotten meanwhile.
        assert!(begun.elapsed() > Duration::from_millis(500), "{fault:?} {:?}", begun.elapsed());
    }
}

#[test]
fn what_the_policy_or_the_backend_refuses_is_not_slowed() {
    let api = Api::new(|call| match call {
        Call::Client => Some(Answer::Refused(Refusal::Denied("by a rule".into()))),
        other => registered(other),
    });
    let begun = Instant::now();
    for _ in 0..30 {
        assert_eq!(timed(&api, "127.0.0.1").0, 403);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn only_so_many_refusals_wait_and_the_connections_of_the_others_end() {
    let refused = |_: &Call| Some(Answer::Refused(Refusal::Access(AccessFault::TokenUnknown)));
    let api = Api::set(refused, |settings| settings.limits.delayed = 4);
    for _ in 0..12 {
        timed(&api, "127.0.0.1");
    }
    let begun = Instant::now();
    let ask = |_| {
        let mut stream = connect(api.addr);
        let words = crate::support::request("GET", CLIENT, "Authorization: Bearer a\r\n", "");
        std::io::Write::write_all(&mut stream, words.as_bytes()).unwrap();
        stream
    };
    let streams: Vec<_> = (0..64).map(ask).collect();
    let mut gone = 0;
    for mut stream in streams {
        let mut octets = vec![0; 4096];
        let length = std::io::Read::read(&mut stream, &mut octets).unwrap();
        let head = String::from_utf8_lossy(&octets[..length]).to_lowercase();
        assert!(head.starts_with("http/1.1 401"), "{head}");
        gone += usize::from(head.contains("connection: close"));
    }
    assert!((32..64).contains(&gone), "{gone}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
