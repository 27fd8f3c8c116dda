//! Wrong tokens in their thousands from one address: slowed, and nobody else feels it.

use crate::CLIENT;
use signing_agent_tests::{Client, House, Settings};
use std::thread;
use std::time::{Duration, Instant};

const WRONG: usize = 10_000;

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
    let (meanwhile, statuses) = thread::scope(|scope| {
        let ask = |from: usize| {
            let (address, wrong) = (&address, &wrong);
            // Who is turned away for want of a place hears 503, or nothing.
            move || {
                (from..WRONG)
                    .step_by(64)
                    .all(|n| !matches!(wrong(n).call("GET", address, CLIENT, b""), Ok(reply) if reply.status == 200))
            }
        };
        let asking: Vec<_> = (0..64).map(|n| scope.spawn(ask(n))).collect();
        let meanwhile = median(&right, &address);
        (meanwhile, asking.into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<_>>())
    });
    let took = begun.elapsed();
    assert!(statuses.into_iter().all(|refused| refused));
    println!(
        "12 wrong tokens one after the other took {slowed:?}, {WRONG} at once {took:?}; a right call {before:?}, meanwhile {meanwhile:?}"
    );
    assert!(meanwhile < before + Duration::from_millis(100), "{before:?} {meanwhile:?}");
    house.assert_no_panic();
}
