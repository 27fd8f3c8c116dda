//! A ledger that is not what it was: refused with words and left as it is, or read with nothing lost.

use super::{status, trouble};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs;

type Spoil = fn(&[u8]) -> Vec<u8>;

#[test]
fn a_torn_ledger_is_refused_with_words_and_never_made_anew() {
    let mut house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    house.order(json!({"count": 20}));
    house.wait("approved=20");
    house.stop();
    let path = house.state().join("ledger.sqlite");
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 20 * 4096, "{}", whole.len());
    let spoils: [(&str, Spoil); 7] = [
        ("no octets", |_| Vec::new()),
        ("a torn header", |whole| whole[..50].to_vec()),
        ("half of it", |whole| whole[..whole.len() / 2 / 4096 * 4096].to_vec()),
        ("another file", |_| b"not a database, but long enough for one\n".repeat(400)),
        ("a page of zeros", |whole| {
            let mut spoilt = whole.to_vec();
            spoilt[4096..2 * 4096].fill(0);
            spoilt
        }),
        ("pages of noise", |whole| {
            let mut spoilt = whole.to_vec();
            spoilt.iter_mut().skip(5 * 4096).step_by(97).for_each(|octet| *octet ^= 0x5a);
            spoilt
        }),
        ("a spoilt header", |whole| {
            let mut spoilt = whole.to_vec();
            spoilt[..16].fill(b'x');
            spoilt
        }),
    ];
    for (what, spoil) in spoils {
        let spoilt = spoil(&whole);
        fs::write(&path, &spoilt).unwrap();
        let _ = fs::remove_file(house.state().join("ledger.sqlite-wal"));
        let _ = fs::remove_file(house.state().join("ledger.sqlite-shm"));
        house.run_unready();
        until(
            &format!("{what} is refused"),
            || trouble(&house).contains("ledger"),
            || format!("{what}: {}\n{}", status(&house), house.log()),
        );
        assert!(trouble(&house).contains("restore"), "{what}: {}", trouble(&house));
        assert_eq!(house.ask("GET", "/api/v1/healthcheck/ready", "").status, 503, "{what}");
        house.stop();
        assert!(fs::read(&path).unwrap() == spoilt, "{what}: it is left as it was");
        // Nor does init make it anew.
        let init = house.output(&["init"]);
        assert!(!init.status.success(), "{what}: {}", String::from_utf8_lossy(&init.stdout));
        assert!(fs::read(&path).unwrap() == spoilt, "{what}: it is left as it was");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    house.run_unready();
    until("a directory is refused", || trouble(&house).contains("ledger"), || house.log());
    house.stop();
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &whole).unwrap();
    house.run();
    assert_eq!(status(&house)["actions"]["approved"], 20);
    house.assert_no_panic();
}

#[test]
fn what_the_write_ahead_log_holds_is_there_after_a_kill_and_garbage_in_it_is_noticed() {
    let mut house = House::registered(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    house.order(json!({"count": 5}));
    house.wait("approved=5");
    house.output(&["status"]);
    // The checkpoint that the token remembers is in the write-ahead log alone.
    let path = house.dir.path().join("export");
    assert!(house.output(&["audit", "export", "--output", path.to_str().unwrap()]).status.success());
    house.kill();
    let wal = house.state().join("ledger.sqlite-wal");
    let kept = fs::read(&wal).unwrap();
    assert!(!kept.is_empty());
    let ledger = fs::read(house.state().join("ledger.sqlite")).unwrap();
    fs::write(&wal, b"garbage".repeat(1000)).unwrap();
    let _ = fs::remove_file(house.state().join("ledger.sqlite-shm"));
    house.run_unready();
    until("what is missing is noticed", || !trouble(&house).is_empty(), || house.log());
    house.stop();
    fs::write(house.state().join("ledger.sqlite"), ledger).unwrap();
    fs::write(&wal, kept).unwrap();
    let _ = fs::remove_file(house.state().join("ledger.sqlite-shm"));
    house.run();
    assert_eq!(status(&house)["actions"]["approved"], 5);
    house.assert_no_panic();
}
