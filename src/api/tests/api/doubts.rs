//! Feed clients are asked about again: who lost what let them in hears the feed no more.

use crate::feed::{clients, close, listen, text};
use crate::support::{Api, registered, until};
use ipc::{AccessFault, Answer, Call, Refusal, Scope};
use signing_agent_api::Times;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A vault that lets everybody in, but says this of feed clients that are asked about again; and how often it was asked.
fn vault(fault: Option<AccessFault>) -> (impl Fn(&Call) -> Option<Answer> + Send, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let script = move |call: &Call| match (call, fault) {
        (Call::Enter(Scope::Feed), fault) => {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(fault.map_or(Answer::Noted, |fault| Answer::Refused(Refusal::Access(fault))))
        }
        _ => registered(call),
    };
    (script, asked)
}

#[test]
fn a_feed_client_whose_token_was_revoked_is_sent_away_with_words() {
    let (script, _) = vault(Some(AccessFault::TokenUnknown));
    let api = Api::new(script);
    let mut socket = listen(api.addr);
    api.vault.page(&["before"], 7);
    let frame = close(&mut socket);
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, AccessFault::TokenUnknown.words().as_str()));
    drop(socket);
    until(|| clients(&api) == 0);
}

#[test]
fn a_feed_client_that_may_stay_hears_on() {
    // Also whose token is only out of calls.
    for fault in [None, Some(AccessFault::TokenLimit(30))] {
        let (script, asked) = vault(fault);
        let api = Api::new(script);
        let mut socket = listen(api.addr);
        api.vault.page(&["one"], 7);
        until(|| asked.load(Ordering::SeqCst) == 1);
        api.vault.page(&["two"], 7);
        assert_eq!((text(&mut socket), text(&mut socket)), ("one".to_owned(), "two".to_owned()));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "nothing changed since");
    }
}

#[test]
fn every_ping_asks_again() {
    let (script, asked) = vault(None);
    let api = Api::with(script, Times { ping: Duration::from_millis(50), ..Times::default() });
    let mut socket = listen(api.addr);
    let reader = std::thread::spawn(move || while socket.read().is_ok() {});
    until(|| asked.load(Ordering::SeqCst) >= 3);
    drop(api);
    reader.join().unwrap();
}

#[test]
fn the_feed_takes_no_other_scope_than_its_own() {
    let api = Api::new(registered);
    let _socket = listen(api.addr);
    assert_eq!(api.vault.asked().scope(), Scope::Feed);
    assert!(api.vault.asks.try_recv().is_err(), "nothing else was asked");
}
