//! A listener on loopback that does with each connection what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

pub struct Backend {
    pub port: u16,
}

impl Backend {
    /// `handle` gets each connection, with its number from 0, in a thread of its own.
    pub fn new(handle: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let handle = Arc::new(handle);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let handle = handle.clone();
                std::thread::spawn(move || handle(number, stream.unwrap()));
            }
        });
        Backend { port }
    }

    /// One that answers each request, on connections that stay open, with the octets that `reply` makes of it.
    pub fn http(reply: impl Fn(Heard) -> Vec<u8> + Send + Sync + 'static) -> Backend {
        Self::new(move |_, stream| serve(stream, &reply))
    }

    pub fn config(&self) -> String {
        format!("url = \"http://127.0.0.1:{}/api/v1/p\"", self.port)
    }

    pub fn feed_url(&self) -> String {
        format!("ws://127.0.0.1:{}/api/v1/p/client/feed", self.port)
    }
}

pub struct Heard {
    /// The head as it came, up to the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
    /// A header's values, names in any case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = |line: &'_ str| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).is_some();
        self.head.lines().skip(1).filter(|l| named(l)).map(|l| l.split_once(": ").unwrap().1).collect()
    }
}

pub fn serve(stream: impl Read + Write, reply: &dyn Fn(Heard) -> Vec<u8>) {
    let mut stream = BufReader::new(stream);
    while let Some(heard) = hear(&mut stream) {
        let reply = reply(heard);
        if stream.get_mut().write_all(&reply).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

pub fn hear(stream: &mut impl BufRead) -> Option<Heard> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut heard = Heard { head, body: vec![] };
    let length = heard.header("content-length").first().map_or(0, |l| l.parse().unwrap());
    heard.body = vec![0; length];
    stream.read_exact(&mut heard.body).ok()?;
    Some(heard)
}

pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut octets = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    octets.extend_from_slice(body);
    octets
}

/// Accepts a feed; gives its pass too.
#[allow(clippy::result_large_err)] // the callback's type is tungstenite's
pub fn accept_feed(stream: TcpStream) -> (WebSocket<TcpStream>, String) {
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let mut pass = String::new();
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        pass = request.headers()["x-api-zkp"].to_str().unwrap().to_owned();
        Ok(response)
    };
    let socket = tungstenite::accept_hdr(stream, check).unwrap();
    (socket, pass)
}

/// Reads a feed to its end, with pongs, and gives the other side's close code.
pub fn close_code(socket: &mut WebSocket<TcpStream>) -> Option<u16> {
    let mut code = None;
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => code = frame.map(|f| f.code.into()),
            Ok(_) => {}
            Err(_) => return code,
        }
    }
}
