//! The threads that do the token's and the curve's work.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

/// What it holds is bounded by what may be open on the lanes.
#[derive(Clone)]
pub struct Pool(Sender<Work>);

impl Pool {
    pub fn start(threads: usize) -> Self {
        let (give, take) = channel::<Work>();
        let take = Arc::new(Mutex::new(take));
        for _ in 0..threads {
            let take = take.clone();
            thread::spawn(move || work(&take));
        }
        Self(give)
    }

    /// As many as there are processors: at least two, for one must not wait for the token alone, and no more than a service's limit
    /// of threads has room for.
    pub fn size() -> usize {
        thread::available_parallelism().map_or(2, usize::from).clamp(2, 16)
    }

    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        if self.0.send(Box::new(work)).is_err() {
            tracing::error!("the pool has ended");
        }
    }
}

fn work(take: &Mutex<Receiver<Work>>) {
    loop {
        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => work(),
            Err(_) => return,
        }
    }
}
