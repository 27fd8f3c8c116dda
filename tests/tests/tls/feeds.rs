//! Five thousand feed clients that are there and two hundred that read slowly: approvals do not wait for them.

use futures_util::StreamExt;
use serde_json::json;
use signing_agent_tests::{House, Settings, until};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

const IDLE: usize = 5_000;
const SLOW: usize = 200;
const APPROVALS: usize = 80;
/// How much longer an approval's median may be, and how much memory the door may have had, kB.
const LONGER: Duration = Duration::from_millis(10);
const MOST: u64 = 512 << 10;

type Feed = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A feed client whose kernel keeps so many octets for it, where that is said.
async fn feed(address: SocketAddr, buffer: Option<u32>) -> Feed {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer).unwrap();
    }
    let stream = socket.connect(address).await.unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}/api/v1/client/feed"), stream).await.unwrap().0
}

/// All that come, one after the other, and stay.
async fn everybody(address: SocketAddr) {
    for n in 0..IDLE + SLOW {
        let slow = n >= IDLE;
        let mut feed = feed(address, slow.then_some(4 << 10)).await;
        tokio::spawn(async move {
            // Answers pings, and throws away what it hears.
            while let Some(Ok(_)) = feed.next().await {
                if slow {
                    tokio::time::sleep(Duration::from_millis(900)).await;
                }
            }
        });
    }
    std::future::pending::<()>().await;
}

fn in_a_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

fn clients(house: &House) -> u64 {
    let status = house.ask("GET", "/api/v1/healthcheck/status", "").json();
    status["WebSocket"]["ConnectedClients"].as_u64().unwrap()
}

/// Memory of the api's process, kB: now, and at the most so far.
fn memory(house: &House) -> (u64, u64) {
    let (_, pid) = house.rooms().into_iter().find(|(name, _)| name == "api").unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// The median of approvals, one after the other, while one is announced to all each second.
fn approvals(house: &House) -> Duration {
    let ids = house.order(json!({"count": APPROVALS, "announce": false}));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                house.order(json!({"kind": "withdraw"}));
                thread::park_timeout(Duration::from_secs(1));
            }
        });
        let approve = |id: &String| {
            let begun = Instant::now();
            assert_eq!(house.approve(id).status, 200, "{}", house.log());
            begun.elapsed()
        };
        let mut times: Vec<Duration> = ids.iter().map(approve).collect();
        over.store(true, Ordering::SeqCst);
        times.sort();
        times[times.len() / 2]
    })
}

#[test]
#[ignore = "takes a minute, and 11,000 open files"]
fn five_thousand_idle_feed_clients_and_two_hundred_slow_ones_delay_no_approval() {
    let house = House::registered(Settings { log_level: "info", ..Settings::default() });
    let address: SocketAddr = house.address().parse().unwrap();
    approvals(&house);
    let alone = approvals(&house);
    let before = memory(&house).0;

    // Gone with the process.
    thread::spawn(move || in_a_runtime(everybody(address)));
    let all = (IDLE + SLOW) as u64;
    until("all have come", || clients(&house) == all, || format!("{} of {all}\n{}", clients(&house), house.log()));
    let seated = memory(&house).0;
    let meanwhile = approvals(&house);
    println!("approvals' median {alone:?}; with {IDLE} feed clients and {SLOW} slow ones {meanwhile:?}");
    println!("the api's memory {before} kB; with them {seated} kB");
    assert_eq!(clients(&house), all, "nobody was sent away: {}", house.log());
    assert!(meanwhile < alone + LONGER, "{alone:?} {meanwhile:?}");

    // One that takes nothing at all is sent away, and that is said.
    thread::spawn(move || {
        in_a_runtime(async move {
            let _stuck = feed(address, Some(4 << 10)).await;
            std::future::pending::<()>().await;
        });
    });
    until("it has come", || clients(&house) > all, || house.log());
    let raw = "x".repeat(60_000);
    let begun = Instant::now();
    let gone = || house.log().contains("too slow: messages were waiting");
    while !gone() && begun.elapsed() < Duration::from_secs(60) {
        house.control("POST", "/feed", Some(json!({"raw": raw})));
        thread::park_timeout(Duration::from_millis(1500));
    }
    assert!(gone(), "{}", house.log());
    let most = memory(&house).1;
    println!(
        "one that takes nothing was sent away after {:?}; the api's memory was {most} kB at the most",
        begun.elapsed()
    );
    assert!(most < MOST, "{most} kB");
    house.assert_no_panic();
}
