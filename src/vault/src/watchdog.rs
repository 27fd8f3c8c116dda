//! A call into the token that hangs cannot be cancelled, nor one into a disk: past its deadline the vault says so and ends
//! itself, to be started anew. Nothing else ends it; a backend that is away does not. systemd's watchdog, where there is one, is
//! told that all is well as long as this one finds it so.

use crate::ledger::Busy;
use config::seams::pace;
use jail::Notify;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(250);
/// How long the ledger may take for one transaction.
const LEDGER: Duration = Duration::from_secs(60);

/// Watches from now on.
pub fn start(token: hsm::Watch, token_deadline: Duration, ledger: Busy, notify: Arc<Notify>) {
    thread::spawn(move || {
        let mut told = Instant::now();
        loop {
            thread::sleep(pace(TICK));
            for (what, time, deadline) in
                [("the token", token.longest(), token_deadline), ("the ledger's disk", ledger.longest(), LEDGER)]
            {
                if time.is_some_and(|time| time > deadline) {
                    let (deadline, what) = (deadline.as_secs(), what);
                    tracing::error!(
                        "{what} has not answered for {deadline} s: the vault ends itself, to be started anew"
                    );
                    std::process::abort();
                }
            }
            if notify.every().is_some_and(|every| told.elapsed() >= every) {
                notify.alive();
                told = Instant::now();
            }
        }
    });
}
