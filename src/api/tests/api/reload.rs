//! The files are read again: what is good comes into force at once for all, and what is not changes nothing.

use crate::feed::{close, text};
use crate::secure::{Files, Stream, get, has_ended, is_refused, shake};
use crate::support::{Api, request};
use config::Auth;
use ipc::{AccessFault, Ask};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::WebSocket;

const YEAR: i64 = 365 * 86_400;

/// The first report of how the door is that fits.
fn door(api: &Api, fits: impl Fn(&ipc::DoorState) -> bool) -> ipc::DoorState {
    api.vault.was_told(|ask| match ask {
        Ask::DoorState(state) if fits(&state) => Some(state),
        _ => None,
    })
}

/// A request on a connection that stays; `None` where it has ended.
fn ask_on(stream: &mut Stream) -> Option<()> {
    stream.write_all(request("GET", "/api/v1/client", "", "").as_bytes()).ok()?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"}") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(length @ 1..) => heard.extend_from_slice(&piece[..length]),
            _ => return None,
        }
    }
    assert!(heard.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&heard));
    Some(())
}

#[test]
fn who_was_revoked_is_out_within_a_second_of_the_reload_and_others_go_on() {
    let files = Files::new();
    let (staying, leaving) = (files.pki.client("desk"), files.pki.client("desk"));
    let (api, tls) = files.api(Auth::Mtls);
    let (stays, leaves) = (files.config(Some(&staying)), files.config(Some(&leaving)));
    let (mut kept, mut cut) = (shake(&stays, api.addr).unwrap(), shake(&leaves, api.addr).unwrap());
    assert!(ask_on(&mut kept).is_some() && ask_on(&mut cut).is_some());
    let feed = |config| {
        let url = format!("wss://{}/api/v1/client/feed", api.addr);
        tokio_tungstenite::tungstenite::client(url, shake(config, api.addr).unwrap()).unwrap().0
    };
    let (mut hears, mut hears_no_more): (WebSocket<Stream>, _) = (feed(&stays), feed(&leaves));

    files.put("crl.pem", &files.pki.revokes(&[&leaving], YEAR));
    let begun = Instant::now();
    tls.ask_to_reload();
    assert!(has_ended(&mut cut));
    let frame = close(&mut hears_no_more);
    let took = begun.elapsed();
    assert_eq!((u16::from(frame.code), frame.reason.to_string()), (1008, AccessFault::CertificateRefused.words()));
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Nor with what the client kept of its session before.
    assert!(is_refused(&leaves, api.addr));
    assert!(ask_on(&mut kept).is_some(), "the same connection");
    api.vault.feed(&["after"]);
    assert_eq!(text(&mut hears), "after");
    println!("revoked clients were out {took:?} after the reload");
}

#[test]
fn another_ca_ends_those_whom_only_the_old_one_knows() {
    let files = Files::new();
    let (api, tls) = files.api(Auth::Mtls);
    let old = files.config(Some(&files.pki.client("desk")));
    let mut stream = shake(&old, api.addr).unwrap();
    assert!(ask_on(&mut stream).is_some());
    let other = crate::pki::Pki::new("The next authority");
    files.put("ca.pem", &other.pem());
    files.put("crl.pem", &other.revokes(&[], YEAR));
    tls.ask_to_reload();
    assert!(has_ended(&mut stream));
    assert!(is_refused(&old, api.addr));
}

#[test]
fn what_is_no_good_is_not_taken_over_and_is_warned_of_until_something_good_is() {
    let files = Files::new();
    let (api, tls) = files.api(Auth::Mtls);
    let config = files.config(Some(&files.pki.client("desk")));
    let first = door(&api, |_| true);
    assert!(first.certificate_expires.is_some() && first.warnings.is_empty(), "{first:?}");
    let good = files.pki.server(30);
    let (expired, list) = (files.pki.server(-1), files.pki.revokes(&[], YEAR));
    let broken: [(&[(&str, &str)], &str); 4] = [
        (&[("server.pem", &good.pem)], "it is not the key of the certificate"),
        (&[("server.pem", &expired.pem), ("server.key", &expired.key_pem)], "the certificate expired"),
        (&[("server.pem", &good.pem), ("server.key", &good.key_pem), ("crl.pem", "")], "no revocation list in it"),
        (&[("crl.pem", &files.pki.revokes(&[], -60))], "the revocation list is out of date"),
    ];
    for (puts, words) in broken {
        puts.iter().for_each(|(name, text)| files.put(name, text));
        tls.ask_to_reload();
        let state = door(&api, |state| state.warnings.iter().any(|warning| warning.contains(words)));
        assert_eq!(state.certificate_expires, first.certificate_expires, "{words}");
        assert_eq!(get(&config, api.addr).status, 200, "{words}");
    }
    files.put("crl.pem", &list);
    tls.ask_to_reload();
    let state = door(&api, |state| state.warnings.is_empty());
    assert!(state.certificate_expires < first.certificate_expires, "the other one, which expires earlier: {state:?}");
    assert_eq!(get(&config, api.addr).status, 200);
}

#[test]
fn lists_and_cas_that_end_soon_are_warned_of() {
    let files = Files::new();
    let soon = |seconds: i64| {
        files.put("crl.pem", &files.pki.revokes(&[], seconds));
        let (api, _) = files.api(Auth::Mtls);
        door(&api, |_| true).warnings
    };
    // Made 30 days ago in each case.
    assert!(soon(20 * 86_400).is_empty());
    assert!(soon(5 * 86_400 + 3600)[0].contains("is out of date in 5 days"), "{:?}", soon(5 * 86_400 + 3600));
    assert!(soon(-3 * 3600)[0].contains("no certificate is taken, for 3 h"), "{:?}", soon(-3 * 3600));
    // By a list that is out of date nobody is let in.
    let (api, _) = files.api(Auth::Mtls);
    assert!(is_refused(&files.config(Some(&files.pki.client("desk"))), api.addr));
}

#[test]
fn a_certificate_that_expires_while_its_client_is_here_ends_it() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Mtls);
    let brief = files.pki.client_seconds("desk", 2);
    let mut stream = shake(&files.config(Some(&brief)), api.addr).unwrap();
    assert!(ask_on(&mut stream).is_some());
    assert!(has_ended(&mut stream));
}
