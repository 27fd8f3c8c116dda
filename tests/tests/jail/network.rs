//! A PKCS#11 module that speaks over a network works under the profile that is named for it, and under no other.

use pkcs11_shim::{Control, ENV_CONTROL, ENV_MODULE};
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A house whose token is reached over TCP, a connection a call, and how many were made.
fn house(profile: &str) -> (House, Arc<AtomicUsize>) {
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    let token = TcpListener::bind("127.0.0.1:0").unwrap();
    let control = Control::new(&house.dir.path().join("token/faults"));
    control.set(&format!("* dial {}\n", token.local_addr().unwrap()));
    house.settings.hsm = format!("profile = {profile:?}\nwritable = [{:?}]\n", house.dir.path().join("token"));
    house.settings.module = Some(Control::module());
    house.settings.environment =
        vec![(ENV_MODULE, house.token.module.clone()), (ENV_CONTROL, control.path().to_owned())];
    house.write_config();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    thread::spawn(move || {
        for _ in token.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (house, calls)
}

#[test]
fn a_network_module_works_under_its_profile() {
    let (mut house, calls) = house("network-hsm");
    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    house.run();
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
    house.wait("feeds=1");
    house.order(serde_json::json!({"count": 3}));
    house.wait("settled=3");
    assert!(calls.load(Ordering::SeqCst) > 20, "{} connections", calls.load(Ordering::SeqCst));
    assert!(!house.log().contains("SIGSYS"), "{}", house.log());
}

/// It is told so, and lives on: a module that logs to syslog must not end the vault.
#[test]
fn a_module_that_works_with_files_reaches_no_network() {
    let (house, calls) = house("local");
    let init = house.output(&["init"]);
    let said = String::from_utf8_lossy(&init.stderr).into_owned();
    assert_eq!(init.status.code(), Some(1), "{said}");
    assert!(said.contains("CKR_DEVICE_ERROR"), "{said}");
    assert_eq!(calls.load(Ordering::SeqCst), 0, "{said}");
}
