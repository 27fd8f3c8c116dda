//! A room's life, again and again: started, waited for, started anew; ended when it is told to.

use crate::backoff::Backoff;
use crate::handover::{Named, Recipe};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What `run` is told.
#[derive(Debug)]
pub enum Event {
    /// The first that asks for the end.
    Signal(i32),
    /// A room refused the configuration.
    Config,
}

#[derive(Debug)]
pub struct Room {
    recipe: Recipe,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Kept open here too, so that clients queue while the room is started anew.
    sockets: Named,
    /// The living process. It is reaped under the lock, so that no signal can reach another process that got its pid.
    pid: Option<Pid>,
    /// No new life begins.
    stopping: bool,
    killed: bool,
}

impl Room {
    pub fn new(recipe: Recipe, sockets: Named) -> Room {
        let state = State { sockets, pid: None, stopping: false, killed: false };
        Room { recipe, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub fn name(&self) -> &'static str {
        self.recipe.kind.name()
    }

    /// Keeps the room alive until [`Room::stop`] or [`Room::kill`]. This thread is the one whose end ends the room.
    pub fn keep(&self, tell: &Sender<Event>) {
        let mut backoff = Backoff::default();
        while let Some(wait) = self.live_once(&mut backoff, tell) {
            let state = self.lock();
            drop(self.changed.wait_timeout_while(state, wait, |state| !state.stopping));
        }
    }

    /// One life: the wait until the next one, or `None` where there shall be none.
    fn live_once(&self, backoff: &mut Backoff, tell: &Sender<Event>) -> Option<Duration> {
        let name = self.name();
        let born = Instant::now();
        let end = match self.start() {
            Ok(None) => return None,
            Ok(Some(child)) => self.wait(child),
            Err(cause) => Err(cause),
        };
        if self.lock().stopping {
            return None;
        }
        let code = end.as_ref().ok().and_then(ExitStatus::code);
        if code == Some(ipc::EXIT_CONFIG.into()) {
            tracing::error!("{name} refuses the configuration; it is not started again");
            // The receiver lives as long as `run`.
            let _ = tell.send(Event::Config);
            return None;
        }
        let retired = code == Some(ipc::EXIT_RETIRED.into());
        let wait = config::seams::pace(backoff.after(born.elapsed(), retired));
        match end {
            Ok(_) if retired => tracing::info!("{name} retired; started anew in {} ms", wait.as_millis()),
            Ok(end) => tracing::warn!("{name} {}; started anew in {} ms", told(end), wait.as_millis()),
            Err(cause) => tracing::error!("{name} cannot be started: {cause}; next try in {} ms", wait.as_millis()),
        }
        Some(wait)
    }

    fn start(&self) -> std::io::Result<Option<Child>> {
        let mut state = self.lock();
        if state.stopping {
            return Ok(None);
        }
        let child = self.recipe.command(&state.sockets)?.spawn()?;
        tracing::debug!("{} is process {}", self.name(), child.id());
        state.pid = Some(Pid::from_child(&child));
        Ok(Some(child))
    }

    fn wait(&self, mut child: Child) -> std::io::Result<ExitStatus> {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(Pid::from_child(&child)), ended) {}
        let mut state = self.lock();
        state.pid = None;
        self.changed.notify_all();
        child.wait()
    }

    /// Ends the room: SIGTERM, and SIGKILL when `patience` is over.
    pub fn stop(&self, patience: Duration) {
        self.end_with(Signal::TERM);
        let lives = |state: &mut State| state.pid.is_some();
        drop(self.changed.wait_timeout_while(self.lock(), patience, lives));
        if self.lock().pid.is_some() {
            tracing::warn!("{} has not ended within {} s and is killed", self.name(), patience.as_secs());
            self.end_with(Signal::KILL);
            drop(self.changed.wait_while(self.lock(), lives));
        }
    }

    /// Ends the room at once.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.killed = state.pid.is_some();
        drop(state);
        self.end_with(Signal::KILL);
    }

    /// Sends SIGHUP, where the room lives.
    pub fn hang_up(&self) {
        if let Some(pid) = self.lock().pid {
            // Fails only where the process has ended by itself.
            let _ = kill_process(pid, Signal::HUP);
        }
    }

    /// Whether [`Room::kill`] ended a living process.
    pub fn was_killed(&self) -> bool {
        self.lock().killed
    }

    fn end_with(&self, signal: Signal) {
        let mut state = self.lock();
        state.stopping = true;
        // Who connects from now on is refused as soon as the room lets go of the socket, instead of waiting in vain.
        state.sockets.clear();
        if let Some(pid) = state.pid {
            // Fails only where the process has ended by itself.
            let _ = kill_process(pid, signal);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a process ended, as in "vault …".
pub fn told(end: ExitStatus) -> String {
    match (end.code(), end.signal()) {
        (Some(code), _) if code == i32::from(ipc::EXIT_LANE_LOST) => "lost its lane".into(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => {
            format!("was ended by {}", signal_hook::low_level::signal_name(signal).unwrap_or("a signal"))
        }
        (None, None) => "ended".into(),
    }
}
