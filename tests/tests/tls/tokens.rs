//! Wrong tokens in their thousands from one address: slowed, and nobody else feels it.

use crate::CLIENT;
use signing_agent_tests::{Client, House, Settings};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRONG: usize = 10_000;
/// More at once than the door lets wait.
const ASKING: usize = 256;

fn house() -> (House, String) {
    let mut house = House::empty(Settings { api: "auth = \"token\"".into(), log_level: "warn", ..Settings::default() });
    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    house.run();
    let made = house.output(&["token", "add", "desk", "--scope", "read"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    house.settings.client = Client::default().with_token(&token);
    (house, token)
}

/// The median of so many right calls from this address.
fn median(client: &Client, address: &str) -> Duration {
    let call = |_| {
        let begun = Instant::now();
        assert_eq!(client.call("GET", address, CLIENT, b"").unwrap().status, 200);
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..60).map(call).collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn ten_thousand_wrong_tokens_of_one_address_are_slowed_and_the_right_one_elsewhere_feels_nothing() {
    let (house, _) = house();
    let (address, right) = (house.address(), house.settings.client.from("127.0.0.2"));
    let before = median(&right, &address);
    // One after the other, each is told later than the one before.
    let wrong = |n: usize| Client::default().with_token(&format!("sat_wrong{n}"));
    let begun = Instant::now();
    for n in 0..12 {
        assert_eq!(wrong(n).call("GET", &address, CLIENT, b"").unwrap().status, 401);
    }
    let slowed = begun.elapsed();
    assert!(slowed > Duration::from_millis(1500), "{slowed:?}");
    let begun = Instant::now();
    let (asked, let_in) = (AtomicUsize::new(12), AtomicUsize::new(0));
    let meanwhile = thread::scope(|scope| {
        for _ in 0..ASKING {
            scope.spawn(|| {
                loop {
                    let n = asked.fetch_add(1, Ordering::SeqCst);
                    if n >= WRONG {
                        return;
                    }
                    // Who is turned away for want of a place hears 503, or nothing.
                    let reply = wrong(n).call("GET", &address, CLIENT, b"");
                    let_in.fetch_add(usize::from(reply.is_ok_and(|reply| reply.status == 200)), Ordering::SeqCst);
                }
            });
        }
        median(&right, &address)
    });
    let took = begun.elapsed();
    assert_eq!(let_in.into_inner(), 0);
    println!(
        "12 wrong tokens one after the other took {slowed:?}, {WRONG} at once {took:?}; a right call {before:?}, meanwhile {meanwhile:?}"
    );
    let log = String::from_utf8(house.output(&["audit", "export"]).stdout).unwrap();
    let records = log.lines().filter(|line| line.contains("\"token-unknown\"")).count();
    assert!((1..=20).contains(&records), "{records} records");
    println!("{records} records of them in the audit log");
    assert!(meanwhile < before + Duration::from_millis(100), "{before:?} {meanwhile:?}");
    house.assert_no_panic();
}
