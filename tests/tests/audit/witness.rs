//! Checkpoints leave the machine: to a directory, and to a witness that remembers.

use super::{key, verify};
use audit::{Checkpoint, VerifyingKey, tree};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A witness as C2SP tlog-witness has it, but that it takes the first key that it sees, and its signature is of no key.
#[derive(Default)]
struct Witness {
    log: Option<VerifyingKey>,
    last: Option<Checkpoint>,
    cosigned: u64,
    conflicts: u64,
    /// Refusals that an honest log does not get.
    wrong: Vec<String>,
    /// It answers this, whatever it is asked.
    says: Option<Says>,
    said: u64,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Status(u16),
    /// 409, with the size that the vault begins at: it has another root of that size.
    SameSize,
    /// 409, with more than there is.
    More,
}

impl Witness {
    fn answer(&mut self, body: &str) -> (u16, String) {
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        if let Some(says) = self.says {
            self.said += 1;
            return match says {
                Says::Status(status) => (status, String::new()),
                Says::SameSize => (409, format!("{old}\n")),
                Says::More => (409, "1000000000\n".into()),
            };
        }
        let proof: Vec<_> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        let checkpoint = match self.log.as_ref().unwrap().verify(note) {
            Ok(checkpoint) => checkpoint,
            Err(e) => return self.refuse(403, e.to_string()),
        };
        let (has, root) = self.last.as_ref().map_or((0, tree::empty_root()), |last| (last.size, last.root));
        if old != has {
            self.conflicts += 1;
            return (409, format!("{has}\n"));
        }
        if old > 0 && tree::verify_consistency(old, checkpoint.size, &proof, &root, &checkpoint.root).is_err() {
            return self.refuse(422, format!("{old} to {}", checkpoint.size));
        }
        self.last = Some(checkpoint);
        self.cosigned += 1;
        (200, format!("\u{2014} witness.example/w1 {}\n", STANDARD.encode([7; 76])))
    }

    fn refuse(&mut self, status: u16, why: String) -> (u16, String) {
        self.wrong.push(format!("{status} {why}"));
        (status, String::new())
    }
}

fn serve(stream: TcpStream, witness: &Mutex<Witness>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, text) = witness.lock().unwrap().answer(&String::from_utf8(body).ok()?);
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    let mut stream = stream;
    stream.write_all((head + &text).as_bytes()).ok()
}

/// A witness that answers, and where.
fn witness() -> (Arc<Mutex<Witness>>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let witness = Arc::new(Mutex::new(Witness::default()));
    let serving = witness.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream, &serving);
        }
    });
    (witness, address)
}

#[test]
fn a_witness_that_does_not_cosign_is_alarmed_once_and_asked_again_until_it_does() {
    let (witness, address) = witness();
    let mut house = House::empty(Settings {
        environment: vec![("SIGNING_AGENT_TEST_SPEED", "30".into())],
        more: format!("[audit]\ncheckpoint_seconds = 10\nwitnesses = [\"http://{address}/\"]\n"),
        ..Settings::with_policy(APPROVE_ALL)
    });
    assert!(house.output(&["init"]).status.success());
    witness.lock().unwrap().log = Some(vkey_before_the_run(&mut house));
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    let cosigned = || witness.lock().unwrap().cosigned;
    until("it cosigns", || cosigned() > 0, || house.log());
    let alarms = || house.log().matches("ALARM: witness 0").count();
    for (number, (says, words)) in [
        (Says::Status(422), "not the one that it saw, grown (422)"),
        (Says::More, "has seen more of the audit log than there is"),
        (Says::SameSize, "another audit log of the same size"),
        (Says::Status(503), "has not cosigned the audit log for five minutes"),
    ]
    .into_iter()
    .enumerate()
    {
        witness.lock().unwrap().says = Some(says);
        house.order(json!({"kind": "transfer"}));
        let told = || super::status(&house)["alarms"].to_string().contains(words);
        until(words, told, || house.log());
        assert!(house.metric("signing_agent_alarms").is_some_and(|alarms| alarms > 0.0));
        if number == 3 {
            assert_eq!(house.metric("signing_agent_witnesses_behind"), Some(1.0));
        }
        // The alarm is a record of its own; what it is asked after that is no new alarm.
        let so_far = witness.lock().unwrap().said;
        until("it is asked again", || witness.lock().unwrap().said > so_far + 1, || house.log());
        assert_eq!(alarms(), number + 1, "{}", house.log());
        let before = cosigned();
        witness.lock().unwrap().says = None;
        until("it cosigns again, though nothing new happened", || cosigned() > before, || house.log());
    }
    let refused = witness.lock().unwrap().wrong.clone();
    assert!(refused.is_empty(), "{refused:?}");
    house.assert_no_panic();
}

#[test]
fn a_witness_sees_each_log_grow_and_cosigns_it_also_after_a_restart() {
    let (witness, address) = witness();
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    let dir = house.dir.path().join("witness");
    std::fs::create_dir(&dir).unwrap();
    house.settings.more =
        format!("[audit]\ncheckpoint_seconds = 1\nwitness_dir = \"witness\"\nwitnesses = [\"http://{address}/\"]\n");
    house.write_config();
    assert!(house.output(&["init"]).status.success());
    // The witness is told the key by hand, as one that somebody runs would be.
    let first = std::fs::read_dir(&dir).unwrap().count();
    witness.lock().unwrap().log = Some(vkey_before_the_run(&mut house));
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    let cosigned = |more: u64| {
        let so_far = witness.lock().unwrap().cosigned;
        let grown = || witness.lock().unwrap().cosigned >= so_far + more;
        until("it is cosigned", grown, || house.log());
    };
    house.order(json!({"kind": "transfer", "count": 3}));
    house.wait("approved=3");
    cosigned(1);
    house.stop();
    house.run();
    house.wait("feeds=1");
    house.order(json!({"kind": "transfer", "count": 3}));
    house.wait("approved=6");
    let so_far = witness.lock().unwrap().cosigned;
    until("it is cosigned after the restart", || witness.lock().unwrap().cosigned > so_far, || house.log());
    house.logged(&["cosigned=", "witness.example/w1"]);
    assert!(witness.lock().unwrap().wrong.is_empty(), "{:?}", witness.lock().unwrap().wrong);
    assert!(witness.lock().unwrap().conflicts >= 1, "after a restart the vault asks what the witness has");

    // One that is being written is there under another name for a moment.
    let names = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| !name.ends_with(".new")).collect();
    assert!(names.len() > first && names.iter().any(|name| name.ends_with("-witness-0")), "{names:?}");
    let log = key(&house).parse::<VerifyingKey>().unwrap();
    for name in &names {
        let note = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(log.verify(&note).is_ok(), "{name}: {note}");
    }
    let (path, own) = super::export(&house);
    assert!(verify(&house, &path, &own).0);
}

/// The checkpoints' key, from a run that no witness takes part in.
fn vkey_before_the_run(house: &mut House) -> VerifyingKey {
    let more = std::mem::take(&mut house.settings.more);
    house.write_config();
    house.run();
    let own = key(house).parse().unwrap();
    house.stop();
    house.settings.more = more;
    house.write_config();
    own
}
