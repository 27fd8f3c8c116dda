//! An open feed: messages go to the vault in the order they came, pings go out, silence is noticed.

use super::{Over, asked};
use crate::pace::Pace;
use crate::websocket::Feed;
use futures_util::SinkExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ipc::{Answer, Ask, Lane, MAX_FEED_MESSAGE};
use tokio::io::{AsyncReadExt, sink};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// How many messages are with the vault at once; before one is noted, no more are read from the socket.
const IN_FLIGHT: usize = 256;

/// Listens until the connection ends, and says why it did. Every message that was heard is with the vault by then.
pub(super) async fn listen(
    lane: &Lane,
    socket: &mut Feed,
    pace: Pace,
    closing: &mut watch::Receiver<bool>,
) -> Result<String, Over> {
    // The messages that are with the vault and not yet noted.
    let mut noted = FuturesUnordered::new();
    let mut binary = 0u64;
    let mut leave_by: Option<Instant> = None;
    let mut heard = Instant::now();
    let mut ping = interval_at(heard + pace.ping, pace.ping);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let why = loop {
        let room = noted.len() < IN_FLIGHT;
        if !room {
            // Whoever does not listen cannot say that nothing was to be heard.
            heard = Instant::now();
        }
        tokio::select! {
            biased;
            Some(answer) = noted.next() => check(answer?),
            () = asked(closing), if leave_by.is_none() => {
                leave_by = Some(Instant::now() + pace.goodbye);
                farewell(socket, CloseCode::Normal, pace).await;
            }
            () = sleep_until(leave_by.unwrap_or(heard)), if leave_by.is_some() => break "the courier ends".to_owned(),
            message = socket.next(), if room => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => noted.push(lane.post(Ask::FeedMessage(text.as_str().to_owned())).await?),
                    Some(Ok(Message::Binary(_))) => {
                        binary += 1;
                        if binary.is_power_of_two() {
                            tracing::warn!(so_far = binary, "a binary message on the feed was ignored");
                        }
                    }
                    Some(Ok(Message::Close(frame))) => {
                        // The answer is written while reading on, up to the end of the connection (RFC 6455 §5.5.1).
                        let _ = timeout(pace.goodbye, async { while let Some(Ok(_)) = socket.next().await {} }).await;
                        break said(frame);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => break refuse(socket, &error, pace).await,
                    None => break "the connection ended".to_owned(),
                }
            }
            _ = ping.tick(), if leave_by.is_none() => {
                match timeout(pace.silence, socket.send(Message::Ping(Bytes::new()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break error.to_string(),
                    Err(_) => break "a ping could not be sent".to_owned(),
                }
            }
            () = sleep_until(heard + pace.silence), if room && leave_by.is_none() => {
                break format!("nothing was heard for {} ms", pace.silence.as_millis());
            }
        }
    };
    while let Some(answer) = noted.next().await {
        check(answer?);
    }
    if leave_by.is_some() {
        tracing::info!("feed closed for good");
        return Err(Over);
    }
    Ok(why)
}

fn check(answer: Answer) {
    if answer != Answer::Noted {
        tracing::warn!("the vault did not note a message of the feed");
    }
}

fn said(frame: Option<CloseFrame>) -> String {
    match frame {
        Some(frame) => format!("the backend closed it: {} {}", u16::from(frame.code), frame.reason),
        None => "the backend closed it".to_owned(),
    }
}

/// Closes a connection on which something came that is not taken, and says what it was.
async fn refuse(socket: &mut Feed, error: &Error, pace: Pace) -> String {
    let (code, why) = match error {
        Error::Capacity(_) => (CloseCode::Size, format!("a message of more than {MAX_FEED_MESSAGE} octets")),
        Error::Utf8(_) => (CloseCode::Invalid, "a text message that is not UTF-8".to_owned()),
        Error::Protocol(_) => (CloseCode::Protocol, error.to_string()),
        _ => return error.to_string(),
    };
    farewell(socket, code, pace).await;
    // Octets that are left unread would have the kernel reset the connection, and the close with them.
    let _ = timeout(pace.goodbye, tokio::io::copy(&mut socket.get_mut().take(16 << 20), &mut sink())).await;
    why
}

async fn farewell(socket: &mut Feed, code: CloseCode, pace: Pace) {
    let frame = CloseFrame { code, reason: "".into() };
    let _ = timeout(pace.goodbye, socket.close(Some(frame))).await;
}
