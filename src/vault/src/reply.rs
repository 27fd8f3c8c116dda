//! The way back to an asker: each ask is answered once, whatever happens to it inside.

use ipc::{Answer, Refusal};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use zeroize::Zeroizing;

/// Answers that may wait for a slow reader before its connection is ended.
pub const QUEUE: usize = 8192;
/// And how many octets of them.
const MOST_OCTETS: usize = 16 << 20;

/// A connection of a lane, as its answers see it.
pub struct Connection {
    pub id: u64,
    /// The user id at its other end, where the system says.
    uid: Option<u32>,
    stream: UnixStream,
    out: SyncSender<Zeroizing<Vec<u8>>>,
    open: AtomicUsize,
    queued: AtomicUsize,
    ended: AtomicBool,
}

impl Connection {
    pub fn new(id: u64, uid: Option<u32>, stream: UnixStream, out: SyncSender<Zeroizing<Vec<u8>>>) -> Arc<Self> {
        Arc::new(Self {
            id,
            uid,
            stream,
            out,
            open: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        })
    }

    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// So many octets of answers were written.
    pub fn written(&self, octets: usize) {
        self.queued.fetch_sub(octets, Ordering::SeqCst);
    }

    /// How many asks of this connection wait for their answers.
    pub fn open_asks(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// An ask's right to one answer. Dropped without one, it answers `Internal`, so that no asker waits for ever.
pub struct Reply {
    connection: Arc<Connection>,
    id: u64,
    answered: bool,
}

impl Reply {
    pub fn new(connection: Arc<Connection>, id: u64) -> Self {
        connection.open.fetch_add(1, Ordering::SeqCst);
        Self { connection, id, answered: false }
    }

    pub fn send(mut self, answer: Answer) {
        self.answer(&answer);
    }

    pub fn refuse(self, refusal: Refusal) {
        self.send(Answer::Refused(refusal));
    }

    pub fn connection(&self) -> u64 {
        self.connection.id
    }

    /// Who asks, for the audit log.
    pub fn who(&self) -> String {
        self.connection.uid.map_or_else(|| "operator".into(), |uid| format!("operator, uid {uid}"))
    }

    pub fn is_lost(&self) -> bool {
        self.connection.has_ended()
    }

    fn answer(&mut self, answer: &Answer) {
        self.answered = true;
        self.connection.open.fetch_sub(1, Ordering::SeqCst);
        let frame = match ipc::encode(self.id, answer) {
            Ok(frame) => frame,
            Err(e) => {
                tracing::error!("an answer could not be framed: {e}");
                return self.connection.end();
            }
        };
        let octets = frame.len();
        let queued = self.connection.queued.fetch_add(octets, Ordering::SeqCst) + octets;
        if queued > MOST_OCTETS || matches!(self.connection.out.try_send(frame), Err(TrySendError::Full(_))) {
            tracing::warn!("a lane does not read its answers: ended");
            self.connection.end();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(&Answer::Refused(Refusal::Internal));
        }
    }
}
