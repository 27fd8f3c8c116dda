//! Answers that are too slow or too long, made as they are sent.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;

static SPACES: [u8; 64 << 10] = [b' '; 64 << 10];

/// 200 and so many octets.
pub(crate) fn spaces(count: u64, chunked: bool) -> Response {
    let body = Body::from_stream(unfold(count, async |left| {
        let now = left.min(SPACES.len() as u64);
        let piece = SPACES.get(..usize::try_from(now).ok()?)?;
        (now > 0).then(|| (Ok::<_, Infallible>(Bytes::from_static(piece)), left - now))
    }));
    let mut response = Response::new(body);
    if !chunked {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    }
    response
}

/// The same answer, its body octet by octet.
pub(crate) fn trickled(answer: Response, pause_ms: u64) -> Response {
    let (head, body) = answer.into_parts();
    let pause = Duration::from_millis(pause_ms);
    let octets = unfold((Some(body), Bytes::new()), move |(whole, rest)| async move {
        let mut rest = match whole {
            // An answer of ours is small, and all of it is there.
            Some(body) => to_bytes(body, 1 << 20).await.ok()?,
            None => rest,
        };
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(rest.split_to(1)), (None, rest)))
    });
    Response::from_parts(head, Body::from_stream(octets))
}
