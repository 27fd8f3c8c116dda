//! A partner app's side of a connection: plain or by TLS, with what it shows, from an address of its own.

use crate::pki::{Certified, Pki, VERSIONS};
use custody_simulator::{Reply, exchange};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// How somebody comes to the agent's door.
#[derive(Clone, Default)]
pub struct Client {
    /// `None`: plain.
    pub tls: Option<Arc<ClientConfig>>,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
    /// The address that it comes from, such as 127.0.0.2; the system's choice if absent.
    pub from: Option<IpAddr>,
}

/// A connection, whatever it is made of.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Client {
    /// The same with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        self.with_header("Authorization", &format!("Bearer {token}"))
    }

    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub fn from(&self, address: &str) -> Self {
        Self { from: Some(address.parse().unwrap()), ..self.clone() }
    }

    /// By TLS: it trusts this authority, and shows a certificate where one is given.
    pub fn https(pki: &Pki, shown: Option<&Certified>) -> Self {
        Self { tls: Some(pki.client_config(shown, VERSIONS)), ..Self::default() }
    }

    /// A connection to `IP:PORT`. With TLS its handshake is done.
    /// Errors: nobody there, or a handshake that failed on either side, as far as this side hears of it.
    pub fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        let stream = self.tcp(address)?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let host = address.parse::<SocketAddr>().map_err(io::Error::other)?.ip();
        let connection = ClientConnection::new(config.clone(), host.into()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Box::new(stream))
    }

    /// Before any TLS.
    pub fn tcp(&self, address: &str) -> io::Result<TcpStream> {
        let address: SocketAddr = address.parse().map_err(io::Error::other)?;
        let stream = match self.from {
            None => TcpStream::connect(address)?,
            Some(from) => {
                let socket = rustix::net::socket(
                    rustix::net::AddressFamily::INET,
                    rustix::net::SocketType::STREAM,
                    Some(rustix::net::ipproto::TCP),
                )?;
                rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
                rustix::net::connect(&socket, &address)?;
                TcpStream::from(socket)
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, address: &str, path: &str, body: &[u8]) -> io::Result<Reply> {
        let mut stream = self.connect(address)?;
        self.call_on(&mut *stream, method, (address, path), body)
    }

    /// One request on this connection, the last one of it.
    pub fn call_on(&self, stream: &mut dyn Stream, method: &str, at: (&str, &str), body: &[u8]) -> io::Result<Reply> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        exchange(stream, method, at, &headers, body)
    }
}
