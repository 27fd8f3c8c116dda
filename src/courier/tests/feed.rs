//! The feed: heard to the letter, in order, and opened anew for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::Vault;
use house::backend::{Backend, accept_feed, answer, close_code, hear};
use house::courier::{Courier, start_with_pace};
use ipc::{Answer, FeedState, MAX_FEED_MESSAGE};
use signing_agent_courier::{End, Pace};
use std::io::{BufReader, Read, Write};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

/// As the real one, with short waits between attempts.
fn brisk() -> Pace {
    Pace { first: Duration::from_millis(5), cap: Duration::from_millis(20), ..Pace::default() }
}

#[test]
fn a_burst_of_two_thousand_is_relayed_in_order_and_unchanged() {
    let text = |n: usize| format!("{{ \"id\" :\"w{n}\", \"ä\\u0000\": \"{}\"}}\n", "x".repeat(n % 300));
    let (tell, pass) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |_, stream| {
        let (mut socket, pass) = accept_feed(stream);
        tell.lock().unwrap().send(pass).unwrap();
        for n in 0..2000 {
            socket.write(Message::text(text(n))).unwrap();
        }
        socket.flush().unwrap();
        close_code(&mut socket);
    });
    let vault = Vault::new();
    let _courier = Courier::start(&vault, &backend.config());
    let began = Instant::now();
    vault.ticket(&backend.feed_url(), "7b2249...one pass");
    let messages = vault.wait("2000 messages", |seen| (seen.messages.len() == 2000).then(|| seen.messages.clone()));
    eprintln!("2,000 messages through the real binary in {:?}", began.elapsed());
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(*message, text(n));
    }
    assert_eq!(pass.recv_timeout(house::PATIENCE).unwrap(), "7b2249...one pass");
    vault.wait("states", |seen| (seen.states == [FeedState::Connecting, FeedState::Open]).then_some(()));
}

#[test]
fn after_a_drop_it_comes_back_with_a_ticket_of_its_own_each_time() {
    let (tell, passes) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |number, stream| {
        let (mut socket, pass) = accept_feed(stream);
        tell.lock().unwrap().send(pass).unwrap();
        socket.send(Message::text(number.to_string())).unwrap();
        // Dropped: no close, just the connection's end.
    });
    let vault = Vault::new();
    let courier = start_with_pace(&vault, brisk());
    for n in 0..5 {
        vault.ticket(&backend.feed_url(), &format!("pass {n}"));
        assert_eq!(passes.recv_timeout(house::PATIENCE).unwrap(), format!("pass {n}"));
    }
    vault.wait("five closings", |seen| (seen.closed().len() == 5).then_some(()));
    vault.wait("the messages before each", |seen| (seen.messages == ["0", "1", "2", "3", "4"]).then_some(()));
    vault.wait("each state", |seen| (seen.states.len() == 15 && seen.opened() == 5).then_some(()));
    vault.hang_up();
    assert_eq!(courier.join().unwrap(), End::LaneLost);
}

#[test]
fn a_feed_that_opens_and_drops_at_once_does_not_spin() {
    let backend = Backend::new(|_, stream| drop(accept_feed(stream)));
    let vault = Vault::new();
    let pace = Pace { first: Duration::from_millis(1), cap: Duration::from_secs(1), ..Pace::default() };
    let _courier = start_with_pace(&vault, pace);
    let mut waits = vec![];
    for n in 1..=7 {
        vault.ticket(&backend.feed_url(), "pass");
        waits = vault.wait("a closing", |seen| {
            let waits: Vec<u64> = seen
                .states
                .iter()
                .filter_map(|s| match s {
                    FeedState::Closed { retry_ms, .. } => Some(*retry_ms),
                    _ => None,
                })
                .collect();
            (waits.len() == n).then_some(waits)
        });
    }
    // Ceilings 1, 2, 4 … 64 ms: they grow although every connection was opened.
    for (n, wait) in waits.iter().enumerate() {
        assert!(*wait <= 1 << n, "{waits:?}");
    }
    assert!(waits.iter().any(|wait| *wait > 1), "{waits:?}");
}

#[test]
fn a_connection_that_has_gone_silent_is_noticed_and_replaced() {
    let (tell, opened) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |number, stream| {
        let (mut socket, _) = accept_feed(stream);
        tell.lock().unwrap().send(()).unwrap();
        match number {
            // Half open: the connection stands, nobody answers.
            0 => drop(socket.get_mut().read_to_end(&mut vec![])),
            // Answers pings and says nothing else.
            _ => drop(close_code(&mut socket)),
        }
    });
    let vault = Vault::new();
    let pace = Pace { ping: Duration::from_millis(50), silence: Duration::from_millis(400), ..brisk() };
    let _courier = start_with_pace(&vault, pace);
    vault.ticket(&backend.feed_url(), "one");
    opened.recv_timeout(house::PATIENCE).unwrap();
    let why = vault.wait("the closing", |seen| seen.closed().pop());
    assert!(why.contains("nothing was heard for 400 ms"), "{why}");
    vault.ticket(&backend.feed_url(), "two");
    opened.recv_timeout(house::PATIENCE).unwrap();
    // Three times as long as silence is borne, and pongs alone keep it open: this one wait is the promise itself.
    std::thread::sleep(pace.silence * 3);
    vault.wait("one closing, two openings", |seen| (seen.closed().len() == 1 && seen.opened() == 2).then_some(()));
}

#[test]
fn the_longest_message_is_taken_and_a_longer_one_closes_with_1009() {
    let (tell, code) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |number, stream| {
        let (mut socket, _) = accept_feed(stream);
        socket.send(Message::text("x".repeat(MAX_FEED_MESSAGE))).unwrap();
        if number == 0 {
            socket.send(Message::text("y".repeat(MAX_FEED_MESSAGE + 1))).unwrap();
        }
        tell.lock().unwrap().send(close_code(&mut socket)).unwrap();
    });
    let vault = Vault::new();
    let courier = start_with_pace(&vault, brisk());
    vault.ticket(&backend.feed_url(), "one");
    assert_eq!(code.recv_timeout(house::PATIENCE).unwrap(), Some(1009));
    vault.ticket(&backend.feed_url(), "two");
    vault.wait("the second opening", |seen| (seen.messages.len() == 2 && seen.opened() == 2).then_some(()));
    let why = vault.wait("the closing", |seen| seen.closed().pop());
    assert!(why.contains("65536 octets"), "{why}");

    // Retired, the feed is closed as it should be.
    vault.give(Answer::Retire);
    assert_eq!(code.recv_timeout(house::PATIENCE).unwrap(), Some(1000));
    assert_eq!(courier.join().unwrap(), End::Retired);
}

#[test]
fn messages_on_their_way_while_it_closes_still_reach_the_vault() {
    let (tell, ready) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |_, stream| {
        let (mut socket, _) = accept_feed(stream);
        tell.lock().unwrap().send(()).unwrap();
        // The courier's close is the first that comes; tungstenite answers it on the next read, so what is written
        // straight to the stream stands before that answer.
        let mut first = [0; 2];
        socket.get_mut().read_exact(&mut first).unwrap();
        assert_eq!(first[0], 0x88, "a close frame");
        socket.get_mut().write_all(b"\x81\x04last").unwrap();
        socket.get_mut().write_all(&[0x88, 0x02, 0x03, 0xe8]).unwrap();
    });
    let vault = Vault::new();
    let mut courier = Courier::start(&vault, &backend.config());
    vault.ticket(&backend.feed_url(), "pass");
    ready.recv_timeout(house::PATIENCE).unwrap();
    vault.wait("the opening", |seen| (seen.opened() == 1).then_some(()));
    courier.terminate();
    vault.wait("the last message", |seen| (seen.messages == ["last"]).then_some(()));
    assert_eq!(courier.code(), 0);
}

#[test]
fn binary_messages_are_passed_over_and_text_that_is_no_utf8_closes() {
    let (tell, code) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::new(move |_, stream| {
        let (mut socket, _) = accept_feed(stream);
        socket.send(Message::binary(vec![1, 2, 3])).unwrap();
        socket.send(Message::text("after")).unwrap();
        socket.get_mut().write_all(b"\x81\x02\xff\xfe").unwrap();
        tell.lock().unwrap().send(close_code(&mut socket)).unwrap();
    });
    let vault = Vault::new();
    let _courier = start_with_pace(&vault, brisk());
    vault.ticket(&backend.feed_url(), "pass");
    assert_eq!(code.recv_timeout(house::PATIENCE).unwrap(), Some(1007));
    vault.wait("the closing", |seen| (seen.closed().len() == 1 && seen.messages == ["after"]).then_some(()));
}

#[test]
fn a_refused_opening_is_told_with_its_status_and_tried_again() {
    let backend = Backend::new(|number, stream| {
        let mut stream = BufReader::new(stream);
        let heard = hear(&mut stream).unwrap();
        assert_eq!(heard.line(), "GET /api/v1/p/client/feed HTTP/1.1");
        let reply = match number {
            0 => answer("401 Unauthorized", "", heard.header("x-api-zkp")[0].as_bytes()),
            1 => answer("302 Found", "Location: /elsewhere\r\n", b""),
            2 => answer("200 OK", "", b""),
            3 => b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x04fake"
                .to_vec(),
            _ => b"no HTTP at all\r\n\r\n".to_vec(),
        };
        stream.get_mut().write_all(&reply).unwrap();
    });
    let vault = Vault::new();
    let _courier = start_with_pace(&vault, brisk());
    for (n, words) in ["401 Unauthorized", "302 Found", "200 OK", "Sec-WebSocket-Accept", ""].into_iter().enumerate() {
        vault.ticket(&backend.feed_url(), "the-pass");
        let closed = vault.wait("a closing", |seen| Some(seen.closed()).filter(|closed| closed.len() == n + 1));
        assert!(closed[n].contains(words) && !closed[n].contains("the-pass"), "{closed:?}");
    }
    vault.wait("nothing heard", |seen| (seen.opened() == 0 && seen.messages.is_empty()).then_some(()));
}

#[test]
fn an_opening_that_is_never_answered_is_given_up() {
    let backend = Backend::new(|_, mut stream| drop(stream.read_to_end(&mut vec![])));
    let vault = Vault::new();
    let _courier = start_with_pace(&vault, Pace { handshake: Duration::from_millis(100), ..brisk() });
    vault.ticket(&backend.feed_url(), "pass");
    let why = vault.wait("the closing", |seen| seen.closed().pop());
    assert!(why.contains("not opened in time"), "{why}");
    vault.wait("the next ticket ask", |seen| (seen.tickets_asked == 2).then_some(()));
}

#[test]
fn a_ticket_to_a_plain_address_that_is_not_loopback_is_refused() {
    let vault = Vault::new();
    let _courier = start_with_pace(&vault, brisk());
    for (n, url) in ["ws://192.0.2.1/feed", "http://127.0.0.1/feed", "no url"].into_iter().enumerate() {
        vault.ticket(url, "pass");
        let closed = vault.wait("a closing", |seen| Some(seen.closed()).filter(|closed| closed.len() == n + 1));
        assert!(closed[n].contains("the feed's URL"), "{closed:?}");
    }
}
