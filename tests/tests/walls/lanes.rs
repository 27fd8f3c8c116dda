//! What must end a connection, and nothing but the connection.

use crate::door::{Captured, Door, house_stands, pid, status};
use ipc::{
    ActionId, Answer, Ask, Call, Change, Credentials, DoorState, FeedState, InitOptions, MAX_FRAME, Method, Outcome,
    Registration, Scope, Span, Verb, Work,
};
use serde_json::json;
use signing_agent_tests::{House, Settings, until};

const DOORS: [(&str, &str); 2] = [("api", "api.sock"), ("courier", "courier.sock")];

fn asks_of(lane: &str) -> Vec<Ask> {
    let id = ActionId::try_from("w1".to_owned()).unwrap();
    match lane {
        "api.sock" => vec![
            Ask::from(Call::Register(Registration::new("name", "key", "pem").unwrap())),
            Ask::from(Call::Client),
            Ask::from(Call::Decide { action: id, verb: Verb::Approve, statements: Vec::new() }),
            Ask::FeedAfter { sequence: 0, access: 0 },
            Ask::from(Call::Health),
            Ask::TurnedAway(Vec::new()),
            Ask::DoorState(DoorState::default()),
            worked(Work::Decision { verb: Verb::Approve, request: None, status: 200 }),
        ],
        "courier.sock" => vec![
            Ask::NextErrand,
            Ask::ErrandDone { errand: 1, outcome: Outcome::Failed(ipc::Failure::Timeout) },
            Ask::FeedTicket,
            Ask::FeedState(FeedState::Open),
            Ask::FeedMessage("{}".into()),
            Ask::NextTraces { lost: 0 },
            worked(Work::Errand { errand: 1, method: Method::Put, status: Some(200) }),
        ],
        _ => vec![
            Ask::Status,
            Ask::Init(InitOptions { amend: true, try_pin_again: true }),
            Ask::Tokens,
            Ask::Change { change: token("mine"), statements: Vec::new() },
            Ask::Decide { action: id.clone(), verb: Verb::Approve, credentials: Credentials::default() },
            Ask::TokenRevoke { name: "desk".into() },
            Ask::Statement { action: id, verb: Verb::Approve, seconds: 60 },
        ],
    }
}

fn worked(work: Work) -> Ask {
    Ask::Span(Span { action: ActionId::try_from("w1".to_owned()).unwrap(), work, began: 1, ended: 2 })
}

fn token(name: &str) -> Change {
    Change::TokenAdd { name: name.into(), scopes: Scope::Decide.into(), seconds: None, per_minute: None }
}

fn healthy(house: &House) {
    let answer = Door::connect(house, "api.sock").ask(&Ask::from(Call::Health));
    assert!(matches!(&answer, Answer::Health(health) if health.ready), "{answer:?}");
}

#[test]
fn what_belongs_to_another_lane_ends_the_connection() {
    let house = House::start(Settings::default());
    let vault = pid(&house, "vault");
    let captured = DOORS.map(|(room, _)| Captured::room(&house, room));
    let mut ended = 0;
    for lane in ["api.sock", "courier.sock", "admin.sock"] {
        for foreign in ["api.sock", "courier.sock", "admin.sock"].into_iter().filter(|other| *other != lane) {
            for ask in asks_of(foreign) {
                let mut door = Door::connect(&house, lane);
                door.tell(&ask);
                assert_eq!(door.until_the_end(), [], "{lane}: {ask:?}");
                ended += 1;
                let told = house.log().matches("it asked what only another lane may ask").count();
                assert_eq!(told, ended, "{lane}: {ask:?}\n{}", house.log());
            }
        }
    }
    healthy(&house);
    drop(captured);
    house_stands(&house, vault);
    assert_eq!(status(&house)["agent"], json!(null));
}

#[test]
fn what_is_no_frame_or_no_ask_ends_the_connection_and_the_vault_stays_up() {
    let house = House::start(Settings::default());
    let vault = pid(&house, "vault");
    let captured = DOORS.map(|(room, _)| Captured::room(&house, room));
    let honest = ipc::encode(1, &Ask::from(Call::Health)).unwrap();
    let length = |octets: u32| octets.to_le_bytes().to_vec();
    let framed = |body: &[u8]| [length(u32::try_from(body.len()).unwrap()), body.to_vec()].concat();
    let mut left_over = honest.to_vec();
    left_over[0] += 1;
    left_over.push(0);
    // postcard writes an enum as its variant's number and then the fields: a call of nobody's, which is 0 and three absent
    // options, and then Register is 1, Decide 3.
    let forged = |fields: &[&str]| {
        let fields: Vec<u8> =
            fields.iter().flat_map(|field| [&[field.len() as u8], field.as_bytes()].concat()).collect();
        framed(&[&[1, 0, 0, 0, 0, 1], fields.as_slice()].concat())
    };
    let long = "x".repeat(300);
    let mut long_name = [&[1, 0, 0, 0, 0, 1][..], &[0xac, 0x02], long.as_bytes()].concat();
    long_name.extend([3, b'k', b'e', b'y', 1, b'p']);
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("a frame of 4 GiB", length(u32::MAX)),
        ("a frame one octet too long", length(u32::try_from(MAX_FRAME + 1).unwrap())),
        ("an empty frame", length(0)),
        ("an unknown ask", framed(&[1, 120])),
        ("an ask of a far variant", framed(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("no varint at all", framed(&[0xff; 64])),
        ("octets left over", left_over),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: vault\r\n\r\n".to_vec()),
        ("a torn length", vec![5, 0]),
        ("a torn frame", honest[..honest.len() - 1].to_vec()),
        ("a string longer than its frame", framed(&[1, 8, 0xff, 0xff, 0x03, b'{'])),
        ("a registration with a blank name", forged(&[" ", "key", "pem"])),
        ("a registration without a key", forged(&["name", "", "pem"])),
        ("a registration without a private key", forged(&["name", "key", ""])),
        ("a registration with an over-long name", framed(&long_name)),
        ("an action id that leaves its place in the URL", framed(b"\x01\x00\x00\x00\x00\x03\x07../init\x00\x00")),
    ];
    for (_, lane) in DOORS.into_iter().chain([("", "admin.sock")]) {
        for (what, octets) in &attacks {
            let mut door = Door::connect(&house, lane);
            door.send(octets);
            if what.contains("torn") {
                door.fall_silent();
            }
            assert_eq!(door.until_the_end(), [], "{lane}: {what}");
        }
    }
    healthy(&house);
    drop(captured);
    house_stands(&house, vault);
    assert!(!house.log().contains("panicked"), "{}", house.log());
}

#[test]
fn a_door_that_asks_and_never_reads_loses_its_connection_and_costs_little_memory() {
    const ASKS: usize = 20_000;
    let house = House::start(Settings::default());
    let vault = pid(&house, "vault");
    let captured = Captured::room(&house, "api");
    let mut flood = Vec::new();
    for id in 0..ASKS as u64 {
        flood.extend_from_slice(&ipc::encode(id, &Ask::from(Call::Health)).unwrap());
    }
    let mut door = Door::connect(&house, "api.sock");
    door.send(&flood);
    until("it is ended", || house.log().contains("a lane does not read its answers: ended"), || house.log());
    let answers = door.until_the_end().len();
    assert!(answers < ASKS, "all {answers} were answered");
    let memory = std::fs::read_to_string(format!("/proc/{vault}/status")).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 200 << 10, "{peak} kB at the most");
    healthy(&house);
    drop(captured);
    house_stands(&house, vault);
}
