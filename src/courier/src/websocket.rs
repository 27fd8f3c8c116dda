//! A WebSocket over the room's own HTTP stack (RFC 6455 §4.1): one resolver, one trust, one TLS for errands and feed.

use crate::outside;
use ipc::{MAX_FEED_MESSAGE, Secret};
use reqwest::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use reqwest::{Client, Method, Request, StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

pub(crate) type Feed = WebSocketStream<Upgraded>;

const PASS: HeaderName = HeaderName::from_static("x-api-zkp");

/// Opens the feed at `url` (`https`, or `http` to loopback) with one pass. The error is bounded words.
pub(crate) async fn open(http: &Client, url: Url, pass: &Secret) -> Result<Feed, String> {
    let key = generate_key();
    let mut request = Request::new(Method::GET, url);
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    headers.insert("sec-websocket-key", HeaderValue::from_str(&key).map_err(|e| e.to_string())?);
    let mut value = HeaderValue::from_str(pass.expose()).map_err(|_| "the pass cannot be sent as a header")?;
    value.set_sensitive(true);
    headers.insert(PASS, value);

    let response = http.execute(request).await.map_err(outside::words)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("the backend answered the feed's opening with {}", response.status()));
    }
    agreed(response.headers(), &key).map_err(|what| format!("the backend's 101 is no WebSocket's: {what}"))?;
    let upgraded = response.upgrade().await.map_err(outside::words)?;
    let limits = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_FEED_MESSAGE))
        .max_frame_size(Some(MAX_FEED_MESSAGE));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
}

/// The client's checks of RFC 6455 §4.1, after the status.
fn agreed(headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let is = |name: &str, value: &str| {
        let tokens = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
        tokens.into_iter().any(|token| token.trim().eq_ignore_ascii_case(value))
    };
    if !is("upgrade", "websocket") || !is("connection", "upgrade") {
        return Err("no upgrade to websocket");
    }
    if headers.get("sec-websocket-accept").map(HeaderValue::as_bytes)
        != Some(derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err("a wrong Sec-WebSocket-Accept");
    }
    if headers.contains_key("sec-websocket-extensions") || headers.contains_key("sec-websocket-protocol") {
        return Err("an extension or a subprotocol that was not asked for");
    }
    Ok(())
}
