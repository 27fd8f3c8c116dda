//! What a door hears besides its lane and its sockets: signals; and what it tells systemd meanwhile.

use crate::Notify;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// A door's life as its service manager sees it. Make it before the filter is there: it takes descriptors of its own.
pub struct Life {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    notify: Notify,
}

impl Life {
    /// Within the room's tokio runtime.
    pub fn new(notify: Notify) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            notify,
        })
    }

    /// The door works: says so, and tells the watchdog that its event loop turns until SIGTERM or SIGINT asks for the end.
    pub async fn lives(self) {
        self.lives_with(|| tracing::info!("nothing is reloaded on SIGHUP; restart to read the configuration again"))
            .await;
    }

    /// The same with something to do at each SIGHUP.
    pub async fn lives_with(mut self, mut hung_up: impl FnMut()) {
        self.notify.ready();
        let every = self.notify.every().unwrap_or(Duration::from_secs(3600));
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => hung_up(),
                _ = tick.tick() => self.notify.alive(),
            }
        }
        self.notify.stopping();
    }
}
