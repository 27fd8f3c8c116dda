//! A door that is no longer its own: the honest process stands still, and its lane is spoken on by the test.

use ipc::{Answer, Ask, Framed};
use serde_json::Value;
use signing_agent_tests::{House, Signal, call, signal, until};
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the vault may take to answer or to end a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Goes on when dropped; it finds its lane lost then, and is started anew.
pub struct Captured(u32);

impl Captured {
    pub fn room(house: &House, name: &str) -> Self {
        let pid = pid(house, name);
        signal(pid, Signal::STOP);
        let captured = Self(pid);
        let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        until("it stands still", || stat().rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")), stat);
        captured
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

pub fn pid(house: &House, name: &str) -> u32 {
    let rooms = house.rooms();
    rooms.iter().find(|(room, _)| room == name).unwrap_or_else(|| panic!("no {name} in {rooms:?}")).1
}

/// The honest doors are back, the vault has been there all the time, and it is ready.
pub fn house_stands(house: &House, vault: u32) {
    let ready = || {
        let reply = call("GET", &house.url("/api/v1/healthcheck/status"), &[], b"").ok()?;
        Some(reply.json()["Ready"] == true)
    };
    until("the honest api is back", || ready() == Some(true), || house.log());
    until("the honest courier is back", || status(house)["doors"]["courier"] == true, || house.log());
    assert_eq!(pid(house, "vault"), vault, "the vault was started anew\n{}", house.log());
}

/// `signing-agent status --json`.
pub fn status(house: &House) -> Value {
    serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// One connection to a lane.
pub struct Door {
    stream: UnixStream,
    asked: u64,
}

impl Door {
    pub fn connect(house: &House, lane: &str) -> Self {
        let stream = UnixStream::connect(house.state().join("lanes").join(lane)).expect("the lane is there");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, asked: 0 }
    }

    /// For who writes while this reads.
    pub fn writer(&self) -> UnixStream {
        self.stream.try_clone().unwrap()
    }

    /// False where the vault has ended the connection.
    pub fn send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// The ask's id.
    pub fn tell(&mut self, ask: &Ask) -> u64 {
        self.asked += 1;
        let frame = ipc::encode(self.asked, ask).unwrap();
        self.send(&frame);
        self.asked
    }

    /// The next answer to any ask; `None` where the vault has ended the connection.
    pub fn hear(&mut self) -> Option<Framed<Answer>> {
        match ipc::read_frame(&mut self.stream) {
            Ok(answer) => answer,
            Err(ipc::Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer, and no end"),
            Err(ipc::Error::Io(_)) => None,
            Err(e) => panic!("{e}"),
        }
    }

    /// Asks, and waits for the answer to this.
    pub fn ask(&mut self, ask: &Ask) -> Answer {
        let id = self.tell(ask);
        loop {
            let Framed { id: answered, what } = self.hear().unwrap_or_else(|| panic!("ended by {ask:?}"));
            if answered == id {
                return what;
            }
        }
    }

    /// The relay's `access` number: who asks with it is held open. It begins anywhere.
    pub fn access(&mut self) -> u64 {
        match self.ask(&Ask::FeedAfter { sequence: 0, access: 0 }) {
            Answer::Feed(page) => page.access,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing more will be said on this side.
    pub fn fall_silent(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads on until the vault has ended the connection; the answers until then.
    pub fn until_the_end(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.hear()).map(|framed| framed.what).collect()
    }
}
