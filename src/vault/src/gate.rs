//! Who may ask what. The socket that a connection came in by says which lane it is; the table says the rest; anything
//! else ends the connection.

use crate::reply::{Connection, QUEUE, Reply};
use crate::room::Room;
use ipc::{Ask, Framed, Refusal, Span, Work};
use jail::{Sockets, SocketsError};
use std::collections::HashMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};
use zeroize::Zeroizing;

/// Connections of the admin lane at once, but for root's, which have as many places of their own: who freezes must come in.
const MOST_ADMIN: usize = 16;
/// So many of them may be one user's.
const MOST_OF_ONE: usize = 8;
/// How long a frame may take to leave.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// The side that a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Api,
    Courier,
    Admin,
}

impl Lane {
    const ALL: [(Lane, &'static str); 3] =
        [(Lane::Api, "lane-api"), (Lane::Courier, "lane-courier"), (Lane::Admin, "lane-admin")];

    /// Asks of one connection that may be open at once; what comes above is answered `Busy`. The api has at most 512
    /// calls of clients open and a few asks of its own, and the ledger's work for them is what an approval waits behind.
    fn most_open(self) -> usize {
        match self {
            Lane::Api => 1024,
            Lane::Courier => 4096,
            // Some take a thread each.
            Lane::Admin => 16,
        }
    }

    /// The table.
    fn permits(self, ask: &Ask) -> bool {
        match ask {
            Ask::Call { .. } | Ask::FeedAfter { .. } | Ask::TurnedAway(_) | Ask::DoorState(_) => self == Lane::Api,
            Ask::Vitals(_) => matches!(self, Lane::Api | Lane::Courier),
            // Each door tells of its own work.
            Ask::Span(Span { work: Work::Decision { .. }, .. }) => self == Lane::Api,
            Ask::Span(Span { work: Work::Errand { .. }, .. }) => self == Lane::Courier,
            Ask::NextErrand
            | Ask::ErrandDone { .. }
            | Ask::FeedTicket
            | Ask::FeedState(_)
            | Ask::FeedMessage(_)
            | Ask::NextTraces { .. } => self == Lane::Courier,
            Ask::Status
            | Ask::Doctor
            | Ask::AuditFrom { .. }
            | Ask::Statement { .. }
            | Ask::ChangeDraft { .. }
            | Ask::Tokens
            | Ask::PolicyText { .. }
            | Ask::Action(_)
            | Ask::ActionsSince { .. }
            | Ask::Actions(_)
            | Ask::ActionStory(_)
            | Ask::RegistrationWindow
            | Ask::Decide { .. }
            | Ask::Init(_)
            | Ask::AuditCheckpoint
            | Ask::Freeze
            | Ask::TokenRevoke { .. }
            | Ask::Register { .. }
            | Ask::Import { .. }
            | Ask::RegistrationClose
            | Ask::PartnerKey { .. }
            | Ask::ChangePin { .. }
            | Ask::Backup
            | Ask::BackupPart { .. }
            | Ask::RestorePart { .. }
            | Ask::Restore { .. }
            | Ask::Change { .. } => self == Lane::Admin,
        }
    }
}

/// Starts listening on the lanes that were handed over: the admin lane always, the doors' unless this is only for `init`.
pub fn open(mut sockets: Sockets, room: &Arc<Room>) -> Result<(), SocketsError> {
    for (lane, name) in Lane::ALL {
        if lane == Lane::Admin || sockets.has(name) {
            let listener = sockets.unix(name)?;
            let room = room.clone();
            thread::spawn(move || listen(lane, &listener, &room));
        }
    }
    Ok(())
}

fn listen(lane: Lane, listener: &UnixListener, room: &Arc<Room>) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    // A door has one connection: a new one replaces the old.
    let mut current = None;
    let admins = Arc::new(Admins::default());
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(e) => {
                tracing::error!(?lane, "accept: {e}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if lane == Lane::Admin && !admins.have_room(jail::peer(&stream).map(|(_, uid)| uid)) {
            tracing::warn!("too many connections on the admin lane");
            continue;
        }
        // Before the new one is heard: what it has the vault want done must not be handed to the old.
        let old = current.take().filter(|old: &Arc<Connection>| !old.has_ended());
        if let Some(old) = old {
            tracing::info!(?lane, "a new connection replaces the old");
            old.end();
        }
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        match connect(lane, number, stream, room, admins.clone()) {
            Ok(connection) => current = Some(connection).filter(|_| lane != Lane::Admin),
            Err(e) => tracing::error!(?lane, "a connection could not be set up: {e}"),
        }
    }
}

fn connect(
    lane: Lane,
    number: u64,
    stream: UnixStream,
    room: &Arc<Room>,
    admins: Arc<Admins>,
) -> io::Result<Arc<Connection>> {
    let peer = jail::peer(&stream);
    tracing::debug!(?lane, number, ?peer, "connected");
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let (out, frames) = sync_channel(QUEUE);
    let connection = Connection::new(number, peer.map(|(_, uid)| uid), stream.try_clone()?, out);
    let (out, writer) = (stream.try_clone()?, connection.clone());
    thread::Builder::new().spawn(move || write(out, frames, &writer))?;
    room.lane_opened(lane, number);
    let uid = peer.map(|(_, uid)| uid);
    if lane == Lane::Admin {
        admins.come(uid);
    }
    let (reading, reader) = (room.clone(), connection.clone());
    let gone = admins.clone();
    let started = thread::Builder::new().spawn(move || {
        read(lane, stream, &reader, &reading);
        reader.end();
        if lane == Lane::Admin {
            gone.go(uid);
        }
        reading.lane_ended(lane, number);
    });
    if let Err(e) = started {
        connection.end();
        room.lane_ended(lane, number);
        return Err(e);
    }
    Ok(connection)
}

/// How many connections of the admin lane each user has.
#[derive(Default)]
struct Admins(Mutex<HashMap<Option<u32>, usize>>);

impl Admins {
    fn have_room(&self, uid: Option<u32>) -> bool {
        let here = self.lock();
        let own = here.get(&uid).copied().unwrap_or_default();
        if uid == Some(0) {
            return own < MOST_ADMIN;
        }
        let others: usize = here.iter().filter(|(uid, _)| **uid != Some(0)).map(|(_, count)| count).sum();
        own < MOST_OF_ONE && others < MOST_ADMIN
    }

    fn come(&self, uid: Option<u32>) {
        *self.lock().entry(uid).or_default() += 1;
    }

    fn go(&self, uid: Option<u32>) {
        let mut here = self.lock();
        if let Some(count) = here.get_mut(&uid) {
            *count -= 1;
        }
        here.retain(|_, count| *count > 0);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<u32>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with its connection, even where replies of it are still held somewhere.
fn write(mut stream: UnixStream, frames: Receiver<Zeroizing<Vec<u8>>>, connection: &Connection) {
    use io::Write;
    while !connection.has_ended() {
        match frames.recv_timeout(Duration::from_secs(1)) {
            Ok(frame) if stream.write_all(&frame).is_ok() => connection.written(frame.len()),
            Err(RecvTimeoutError::Timeout) => {}
            _ => return connection.end(),
        }
    }
}

fn read(lane: Lane, stream: UnixStream, connection: &Arc<Connection>, room: &Arc<Room>) {
    // Not buffered: what a registration brings must not stay behind in a buffer of ours.
    let mut stream = stream;
    loop {
        let Framed { id, what } = match ipc::read_frame::<Ask>(&mut stream) {
            Ok(Some(framed)) => framed,
            Ok(None) => return,
            Err(ipc::Error::Io(_)) if connection.has_ended() => return,
            Err(e) => return tracing::warn!(?lane, "ended: {e}"),
        };
        if !lane.permits(&what) {
            return tracing::warn!(?lane, "ended: it asked what only another lane may ask");
        }
        let reply = Reply::new(connection.clone(), id);
        if connection.open_asks() > lane.most_open() {
            reply.refuse(Refusal::Busy);
        } else {
            room.answer(lane, what, reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::{
        ActionId, ActionQuery, Call, Caller, Change, Credentials, DoorState, FeedState, InitOptions, Outcome, Scope,
        Secret, Verb,
    };

    #[test]
    fn nobody_who_fills_the_admin_lane_keeps_another_or_root_out() {
        let admins = Admins::default();
        let fill = |uid| (0..100).take_while(|_| admins.have_room(uid)).inspect(|_| admins.come(uid)).count();
        assert_eq!((fill(Some(7)), fill(Some(8)), fill(Some(9)), fill(None)), (MOST_OF_ONE, MOST_OF_ONE, 0, 0));
        assert_eq!(fill(Some(0)), MOST_ADMIN);
        admins.go(Some(8));
        assert!(admins.have_room(Some(9)) && !admins.have_room(Some(7)) && !admins.have_room(Some(0)));
        (0..MOST_OF_ONE).for_each(|_| admins.go(Some(7)));
        assert!(!admins.lock().contains_key(&Some(7)));
    }

    #[test]
    fn every_ask_belongs_to_one_lane() {
        let Ok(action) = ActionId::try_from("w1".to_owned()) else { panic!("an id") };
        let outcome = Outcome::Failed(ipc::Failure::Timeout);
        let query = ActionQuery { states: Vec::new(), since: 0, after: None, limit: 1 };
        let register = Ask::Register { name: "a".into(), api_key: Secret::new("b".into()), private_key: None };
        let decide = Ask::Decide { action: action.clone(), verb: Verb::Approve, credentials: Credentials::default() };
        let table = [
            (Ask::Call { caller: Caller::default(), call: Call::Enter(Scope::Read) }, Lane::Api),
            (Ask::FeedAfter { sequence: 0, access: 0 }, Lane::Api),
            (Ask::TurnedAway(Vec::new()), Lane::Api),
            (Ask::DoorState(DoorState::default()), Lane::Api),
            (Ask::NextErrand, Lane::Courier),
            (Ask::ErrandDone { errand: 1, outcome }, Lane::Courier),
            (Ask::FeedTicket, Lane::Courier),
            (Ask::FeedState(FeedState::Open), Lane::Courier),
            (Ask::FeedMessage(String::new()), Lane::Courier),
            (Ask::Status, Lane::Admin),
            (Ask::Doctor, Lane::Admin),
            (Ask::AuditFrom { record: 0 }, Lane::Admin),
            (Ask::Statement { action: action.clone(), verb: Verb::Approve, seconds: 1 }, Lane::Admin),
            (Ask::ChangeDraft { change: Change::Unfreeze, seconds: 1 }, Lane::Admin),
            (Ask::Tokens, Lane::Admin),
            (Ask::PolicyText { offset: 0 }, Lane::Admin),
            (Ask::Action(action.clone()), Lane::Admin),
            (Ask::ActionsSince { since: 0, after: None }, Lane::Admin),
            (Ask::Actions(query), Lane::Admin),
            (Ask::ActionStory(action), Lane::Admin),
            (Ask::RegistrationWindow, Lane::Admin),
            (decide, Lane::Admin),
            (Ask::Init(InitOptions::default()), Lane::Admin),
            (Ask::AuditCheckpoint, Lane::Admin),
            (Ask::Freeze, Lane::Admin),
            (Ask::TokenRevoke { name: "a".into() }, Lane::Admin),
            (register, Lane::Admin),
            (Ask::RegistrationClose, Lane::Admin),
            (Ask::PartnerKey { make: false }, Lane::Admin),
            (Ask::Change { change: Change::Unfreeze, statements: Vec::new() }, Lane::Admin),
        ];
        for (ask, owner) in table {
            for (lane, _) in Lane::ALL {
                assert_eq!(lane.permits(&ask), lane == owner, "{lane:?} {ask:?}");
            }
        }
    }
}
