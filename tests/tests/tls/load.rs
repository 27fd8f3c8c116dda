//! Certificates, CA and revocation list are replaced while requests go on: none of them fails, and who was revoked is out.

use crate::{CLIENT, ask_on, house, reload};
use signing_agent_tests::pki::put;
use signing_agent_tests::{Client, House, Pki, Stream, until};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MONTHS: i64 = 86_400 * 60;

/// Asks on one connection that stays and on new ones, in turn, until it is over; how many requests, and every failure.
fn ask_on_and_on(house: &House, client: &Client, over: &AtomicBool, done: &AtomicUsize) -> Vec<String> {
    let (address, mut failed) = (house.address(), Vec::new());
    let mut kept = client.connect(&address).unwrap();
    while !over.load(Ordering::SeqCst) {
        match ask_on(&mut *kept, "GET", CLIENT) {
            Ok(200) => {}
            other => failed.push(format!("on a connection that stays: {other:?}")),
        }
        match client.call("GET", &address, CLIENT, b"").map(|reply| reply.status) {
            Ok(200) => {}
            other => failed.push(format!("on a new connection: {other:?}")),
        }
        done.fetch_add(2, Ordering::SeqCst);
        if !failed.is_empty() {
            break;
        }
    }
    failed
}

fn out_after(mut stream: Box<dyn Stream>) -> Duration {
    let begun = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "the connection has ended");
    begun.elapsed()
}

#[test]
fn all_files_are_replaced_under_load_without_a_failed_request_and_the_revoked_client_is_out() {
    let (pki, next) = (Pki::default(), Pki::new("The next authority"));
    let (desk, till, late) = (pki.client("desk"), pki.client("till"), next.client("late"));
    let mut house = house(&pki, "mtls", &[("desk", &desk), ("till", &till), ("late", &late)]);
    house.run();
    let dir = house.dir.path();
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let taken = |count: usize| {
        let taken = || house.log().matches("the TLS files were read again and are in force").count() >= count;
        until("the files are read again", taken, || house.log());
        let so_far = done.load(Ordering::SeqCst);
        until(
            "requests go on",
            || done.load(Ordering::SeqCst) > so_far + 20 || over.load(Ordering::SeqCst),
            || house.log(),
        );
    };
    let desk_comes = Client::https(&pki, Some(&desk));
    let (failed, gone) = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_on_and_on(&house, &desk_comes, &over, &done))).collect();
        // Another certificate of the server's.
        let server = pki.server(30);
        put(dir, "server.pem", &server.pem);
        put(dir, "server.key", &server.key_pem);
        reload(&house);
        taken(1);
        // Another CA besides, with its list.
        put(dir, "ca.pem", &(pki.pem() + &next.pem()));
        put(dir, "crl.pem", &(pki.revokes(&[], MONTHS) + &next.revokes(&[], MONTHS)));
        reload(&house);
        taken(2);
        let of_the_next = Client::https(&pki, Some(&late));
        assert_eq!(of_the_next.call("GET", &house.address(), CLIENT, b"").unwrap().status, 200);
        // And a client is revoked that has a connection.
        let till_comes = Client::https(&pki, Some(&till));
        let mut stream = till_comes.connect(&house.address()).unwrap();
        assert_eq!(ask_on(&mut *stream, "GET", CLIENT).unwrap(), 200);
        put(dir, "crl.pem", &(pki.revokes(&[&till], MONTHS) + &next.revokes(&[], MONTHS)));
        reload(&house);
        let gone = out_after(stream);
        taken(3);
        assert!(till_comes.call("GET", &house.address(), CLIENT, b"").is_err(), "it does not come in again");
        over.store(true, Ordering::SeqCst);
        let failed: Vec<String> = asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect();
        (failed, gone)
    });
    println!(
        "{} requests while three files were replaced; the revoked client was out after {gone:?}",
        done.into_inner()
    );
    assert_eq!(failed, [""; 0]);
    assert!(gone < Duration::from_secs(1), "{gone:?}");
    house.assert_no_panic();
}

#[test]
fn files_that_are_no_good_change_nothing_and_are_warned_of() {
    let pki = Pki::default();
    let desk = pki.client("desk");
    let mut house = house(&pki, "mtls", &[("desk", &desk)]);
    house.run();
    let mut kept = house.settings.client.connect(&house.address()).unwrap();
    put(house.dir.path(), "server.pem", "nothing");
    reload(&house);
    house.logged(&["the TLS files are not taken", "no certificate in it"]);
    // Good again, and others may write it.
    put(house.dir.path(), "server.pem", &pki.server(2).pem);
    std::fs::set_permissions(house.dir.path().join("server.pem"), std::fs::Permissions::from_mode(0o664)).unwrap();
    reload(&house);
    house.logged(&["the TLS files are not taken", "server.pem", "can be written by others"]);
    assert_eq!(ask_on(&mut *kept, "GET", CLIENT).unwrap(), 200);
    assert_eq!(house.ask("GET", CLIENT, "").status, 200);
    house.assert_no_panic();
}
