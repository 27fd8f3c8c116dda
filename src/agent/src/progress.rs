//! A line on stderr for whatever takes longer than a second. Nothing is written where nobody looks, and nothing stays.

use crate::terminal;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Dropping it takes the line back.
pub struct Progress {
    done: Arc<AtomicU64>,
    writer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// `what` is under way; so many of `things` are done, where they are counted.
    pub fn of(what: &'static str, things: &'static str) -> Progress {
        let done = Arc::new(AtomicU64::new(0));
        let writer = terminal::stderr_is_live().then(|| {
            let (end, ended) = channel();
            let (count, begun) = (done.clone(), Instant::now());
            let write = move || {
                let mut written = false;
                while ended.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout) {
                    let done = match count.load(Ordering::Relaxed) {
                        0 => String::new(),
                        n => format!(", {n} {things}"),
                    };
                    // Where stderr is closed there is nobody to tell.
                    let _ = write!(io::stderr(), "\r\x1b[K{what}: {} s{done}", begun.elapsed().as_secs());
                    written = true;
                }
                if written {
                    let _ = write!(io::stderr(), "\r\x1b[K");
                }
            };
            (end, std::thread::spawn(write))
        });
        Progress { done, writer }
    }

    pub fn more(&self, n: u64) {
        self.done.fetch_add(n, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, writer)) = self.writer.take() {
            drop(end);
            // It cannot fail but by a panic of its own.
            let _ = writer.join();
        }
    }
}
