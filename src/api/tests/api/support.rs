//! A vault that says what a test wants, the api before it, and a client that sees every octet.

use ipc::{Answer, Ask, Call, Caller, FeedItem, FeedPage, Framed, Lane, read_frame, write_frame};
use serde_json::Value;
use signing_agent_api::{End, Limits, Settings, Times, serve};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes; a test that needs it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the vault says to an ask; `None`: nothing, until `Vault::late` says something.
pub type Script = Box<dyn Fn(&Call) -> Option<Answer> + Send>;

pub struct Vault {
    pub lane: PathBuf,
    /// What was asked, but for the feed.
    pub asks: Receiver<(Caller, Call)>,
    /// What the api told of itself.
    pub told: Receiver<Ask>,
    pages: Sender<FeedPage>,
    stream: Arc<Mutex<Option<UnixStream>>>,
    held: Arc<Mutex<Vec<u64>>>,
    _dir: TempDir,
}

impl Vault {
    pub fn new(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lane = dir.path().join("api.sock");
        let listener = UnixListener::bind(&lane).unwrap();
        let (tell, asks) = channel();
        let (report, told) = channel();
        let (pages, to_send) = channel();
        let (stream, held) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let (its_stream, its_held) = (stream.clone(), held.clone());
        std::thread::spawn(move || {
            let Ok((mut read, _)) = listener.accept() else { return };
            *its_stream.lock().unwrap() = Some(read.try_clone().unwrap());
            let (feed_asks, feeds) = channel();
            let feed_stream = its_stream.clone();
            std::thread::spawn(move || feed(&feeds, &to_send, &feed_stream));
            while let Ok(Some(Framed::<Ask> { id, what })) = read_frame(&mut read) {
                if let Ask::FeedAfter { sequence, .. } = what {
                    let _ = feed_asks.send((id, sequence));
                    continue;
                }
                let Ask::Call { caller, call } = what else {
                    let _ = report.send(what);
                    say(&its_stream, id, &Answer::Noted);
                    continue;
                };
                let answer = script(&call);
                if answer.is_none() {
                    its_held.lock().unwrap().push(id);
                }
                let _ = tell.send((caller, call));
                if let Some(answer) = answer {
                    say(&its_stream, id, &answer);
                }
            }
        });
        Self { lane, asks, told, pages, stream, held, _dir: dir }
    }

    /// Answers the oldest ask that the script left open.
    pub fn late(&self, answer: &Answer) {
        let id = self.held.lock().unwrap().remove(0);
        say(&self.stream, id, answer);
    }

    pub fn feed(&self, messages: &[&str]) {
        self.page(messages, 0);
    }

    /// Messages, and the number that changes when somebody lost what let them in.
    pub fn page(&self, messages: &[&str], access: u64) {
        let items = messages.iter().map(|m| FeedItem::Raw((*m).to_owned())).collect();
        self.pages.send(FeedPage { items, next: 0, skipped: 0, access }).unwrap();
    }

    /// Waits for a report of the api's that fits.
    pub fn was_told<T>(&self, fits: impl Fn(Ask) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(told) = fits(self.told.recv_timeout(left).expect("the api tells")) {
                return told;
            }
        }
    }

    pub fn feed_items(&self, items: Vec<FeedItem>) {
        self.pages.send(FeedPage { items, next: 0, skipped: 0, access: 0 }).unwrap();
    }

    pub fn hang_up(&self) {
        self.stream.lock().unwrap().as_ref().unwrap().shutdown(Shutdown::Both).unwrap();
    }

    pub fn asked(&self) -> Call {
        self.called().1
    }

    pub fn called(&self) -> (Caller, Call) {
        self.asks.recv_timeout(PATIENCE).unwrap()
    }
}

/// Answers each ask for the feed with the next page, and checks that the asker goes on where the page before ended.
fn feed(asks: &Receiver<(u64, u64)>, pages: &Receiver<FeedPage>, stream: &Mutex<Option<UnixStream>>) {
    let mut next = 0;
    while let (Ok((id, sequence)), Ok(mut page)) = (asks.recv(), pages.recv()) {
        assert_eq!(sequence, next);
        next += page.items.len() as u64;
        page.next = next;
        say(stream, id, &Answer::Feed(page));
    }
}

fn say(stream: &Mutex<Option<UnixStream>>, id: u64, answer: &Answer) {
    let mut stream = stream.lock().unwrap();
    let _ = write_frame(stream.as_mut().unwrap(), id, answer);
}

/// The api, served in a thread of this process.
pub struct Api {
    pub vault: Vault,
    pub addr: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    served: Option<Receiver<End>>,
}

impl Api {
    pub fn new(script: impl Fn(&Call) -> Option<Answer> + Send + 'static) -> Self {
        Self::set(script, |_| {})
    }

    pub fn with(script: impl Fn(&Call) -> Option<Answer> + Send + 'static, times: Times) -> Self {
        Self::set(script, |settings| settings.times = times)
    }

    /// With other settings.
    pub fn set(script: impl Fn(&Call) -> Option<Answer> + Send + 'static, set: impl FnOnce(&mut Settings)) -> Self {
        let vault = Vault::new(Box::new(script));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let feed_url = format!("ws://{addr}/api/v1/client/feed");
        let mut settings = Settings {
            feed_url,
            public_url: None,
            shown: serde_json::json!({"shown": 1}),
            times: Times { goodbye: Duration::from_secs(1), ..Times::default() },
            limits: Limits::default(),
            auth: config::Auth::Token,
            pages: Vec::new(),
            tls: None,
            traces: false,
        };
        set(&mut settings);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let lane = vault.lane.clone();
        let (ended, served) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let end = runtime.block_on(async {
                let lane = Lane::connect(&lane).await.unwrap();
                serve(listener, lane, settings, async { drop(stopped.await) }).await.unwrap()
            });
            let _ = ended.send(end);
        });
        Self { vault, addr, stop: Some(stop), served: Some(served) }
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// How it ended, by itself or after `stop`.
    pub fn end(&mut self) -> End {
        self.served.take().unwrap().recv_timeout(PATIENCE).expect("the api ends")
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(request(method, path, "", body).as_bytes())
    }

    /// Sends octets as they are, says that this was all, and reads until the api closes.
    pub fn send(&self, octets: &[u8]) -> Reply {
        let mut stream = connect(self.addr);
        stream.write_all(octets).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        Reply::read(&mut stream)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop();
        if let Some(served) = self.served.take() {
            let _ = served.recv_timeout(PATIENCE);
        }
    }
}

pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// From another address of this host's.
pub fn connect_from(from: &str, addr: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, ipproto, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).unwrap();
    bind(&socket, &SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    rustix::net::connect(&socket, &addr).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A request on a connection that ends with it.
pub fn once(stream: &mut (impl Read + Write), method: &str, path: &str, headers: &str) -> Reply {
    let headers = format!("{headers}Connection: close\r\n");
    stream.write_all(request(method, path, &headers, "").as_bytes()).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    Reply::parse(&octets)
}

/// Waits for a condition that the api brings about by itself.
pub fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::yield_now();
    }
}

pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: agent\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).unwrap();
        Self::parse(&octets)
    }

    pub fn parse(octets: &[u8]) -> Self {
        let text = String::from_utf8(octets.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let reply = Self { status, head: head.to_lowercase(), body: body.to_owned() };
        if let Some(length) = reply.header("content-length") {
            assert_eq!(length, body.len().to_string(), "the whole answer arrived: {reply:?}");
        }
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and `Detail` of an error, whose other fields are checked.
    pub fn fault(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["Code"], self.status, "{self:?}");
        assert!(!body["Msg"].as_str().unwrap().is_empty(), "{self:?}");
        assert!(!body["Reason"].as_str().unwrap().is_empty(), "{self:?}");
        assert_eq!(body.as_object().unwrap().len(), 4, "{self:?}");
        (self.status, body["Detail"].as_str().unwrap().to_owned())
    }
}

pub const WELL: &str = r#"{"name":"agent","APIKey":"the-api-key","Base64PrivateKey":"dGhlIHBlbQ=="}"#;

/// A vault of a registered agent to which everything is fine.
pub fn registered(ask: &Call) -> Option<Answer> {
    Some(match ask {
        Call::Register(_) => Answer::Registered { agent_id: "5zPW".into() },
        Call::Enter(_) => Answer::Noted,
        Call::Client | Call::Feed => Answer::Client { agent_id: Some("5zPW".into()) },
        Call::Decide { verb, .. } => Answer::Decided { verb: *verb },
        Call::Health => Answer::Health(health()),
        _ => return None,
    })
}

/// Of an agent that is well.
pub fn health() -> ipc::Health {
    ipc::Health {
        ready: true,
        reasons: Vec::new(),
        registered: true,
        feed: ipc::FeedState::Open,
        remote_feed_url: "wss://backend.example/feed".into(),
        feed_age: Some(3),
        next_expiry: None,
        warnings: vec!["the certificate expires in 9 days".into()],
    }
}
