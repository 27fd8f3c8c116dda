//! A connection from its first octet to its last: the handshake, the requests, and who is let go.

use crate::credentials::Peer;
use crate::patient::Patient;
use crate::routes::House;
use crate::serve::Retirement;
use crate::tls::{Shown, Tls};
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipc::AccessFault;
use std::io::{Error, Result};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tower::Service;

/// The longest request head, octets.
const MAX_HEAD: usize = 32 << 10;
/// What a client hears that speaks plain HTTP where TLS is spoken.
const NOT_PLAIN: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 75\r\n\r\n\
    {\"Code\":400,\"Msg\":\"Bad request\",\"Detail\":\"this port speaks TLS: use https\"}";
/// And who comes where no place is left.
const NO_PLACE: &str = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\n\
    Content-Length: 72\r\n\r\n{\"Code\":503,\"Msg\":\"Service unavailable\",\"Detail\":\"too many connections\"}";

/// Held by whoever has a client to finish with.
#[derive(Clone)]
pub(crate) struct Alive(#[allow(dead_code, reason = "dropping it is what counts")] mpsc::Sender<()>);

impl Alive {
    pub(crate) fn new(all_gone: mpsc::Sender<()>) -> Self {
        Self(all_gone)
    }
}

/// Serves until the other end goes or is let go.
pub(crate) async fn connection(stream: TcpStream, address: IpAddr, router: Router, house: Arc<House>, alive: Alive) {
    // A feed message should not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let patience = house.times.write;
    let Some(tls) = &house.tls else {
        return requests(Patient::new(stream, patience), Peer { address, shown: None }, router, &house, alive).await;
    };
    match timeout(house.times.handshake, handshake(tls, stream)).await {
        Ok(Ok((stream, shown))) => {
            requests(Patient::new(stream, patience), Peer { address, shown }, router, &house, alive).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(%address, "TLS: {error}");
            if let Some(fault) = access_fault(&error) {
                house.reports.turned_away(Some(address), fault);
            }
        }
        Err(_) => tracing::debug!(%address, "TLS: the handshake took too long"),
    }
}

/// Without a place among the connections: what can be said at once is said.
pub(crate) fn turned_away(stream: TcpStream, tls: bool) {
    if !tls {
        say(stream, NO_PLACE);
    }
}

async fn handshake(tls: &Tls, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Option<Arc<Shown>>)> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        say(stream, NOT_PLAIN);
        return Err(Error::other("it speaks plain HTTP"));
    }
    tls.accept(stream).await
}

/// What fits into the socket's buffer, without waiting.
fn say(stream: TcpStream, words: &str) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = std::io::Write::write(&mut stream, words.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

fn access_fault(error: &Error) -> Option<AccessFault> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::NoCertificatesPresented => Some(AccessFault::CertificateMissing),
        rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidCertRevocationList(_) => {
            Some(AccessFault::CertificateRefused)
        }
        _ => None,
    }
}

async fn requests<T>(stream: T, peer: Peer, router: Router, house: &House, alive: Alive)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let retirement = Arc::new(Retirement::new(house.ending.clone()));
    let asks = peer.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(asks.clone());
        request.extensions_mut().insert(retirement.clone());
        request.extensions_mut().insert(alive.clone());
        router.clone().call(request)
    });
    let head = if house.guests.crowded() { house.times.crowded } else { house.times.head };
    let served = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD)
        // Who has sent all and said so still gets an answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    tokio::select! {
        biased;
        _ = served.as_mut() => {}
        _ = house.ending.wait() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
        () = peer.gone() => {
            served.as_mut().graceful_shutdown();
            let _ = timeout(house.times.leave, served).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_those_who_are_not_heard_is_whole() {
        for words in [NOT_PLAIN, NO_PLACE] {
            let (head, body) = words.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{} {words}", body.len());
            assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["Code"].is_number());
        }
    }
}
