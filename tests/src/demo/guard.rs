//! The outer process: it waits, and then takes everything away.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

/// The argument that makes this program the inner process.
pub const PLAY: &str = "--play";
/// The inner process's exit code where nobody reads its screen any more.
pub const NOBODY_READS: u8 = 3;
/// What orphans have to end by themselves.
const FAREWELL: Duration = Duration::from_secs(10);
const LOG_TAIL: usize = 25;

pub fn guard() -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])?;
    // Whatever the inner process leaves running becomes a child of this one.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let dir = tempfile::Builder::new().prefix("signing-agent-demo-").tempdir()?;
    let mut inner = Command::new(std::env::current_exe()?).arg(PLAY).env("TMPDIR", dir.path()).spawn()?;
    let ended = wait_for(&mut inner, &mut signals);
    // Before the agent is told to end, or its farewell would be all that there is to see.
    let log = log_in(dir.path());
    let orphans = end_orphans();

    let mut stderr = std::io::stderr();
    let code = match ended? {
        Ended::Told(signal) => {
            writeln!(stderr, "\ndemo: stopped; nothing stays behind")?;
            128 + u8::try_from(signal)?
        }
        Ended::Itself(Some(code)) if code == i32::from(NOBODY_READS) => NOBODY_READS,
        Ended::Itself(Some(0)) => 0,
        Ended::Itself(_) => {
            tell_log(log.as_deref());
            1
        }
    };
    orphans?;
    dir.close()?;
    Ok(ExitCode::from(code))
}

enum Ended {
    Told(i32),
    /// With its exit code, if a signal did not end it.
    Itself(Option<i32>),
}

fn wait_for(inner: &mut Child, signals: &mut Signals) -> std::io::Result<Ended> {
    for signal in signals.forever() {
        if signal != SIGCHLD {
            inner.kill()?;
            inner.wait()?;
            return Ok(Ended::Told(signal));
        }
        if let Some(status) = inner.try_wait()? {
            return Ok(Ended::Itself(status.code()));
        }
    }
    Ok(Ended::Itself(None))
}

/// SIGTERM to each child that is left, SIGKILL when their time is over; none is left when it returns.
fn end_orphans() -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + FAREWELL;
    let mut told: Vec<Pid> = Vec::new();
    loop {
        match wait(WaitOptions::NOHANG) {
            Err(rustix::io::Errno::CHILD) => return Ok(()),
            Ok(Some((pid, _))) => told.retain(|known| *known != pid),
            // None has ended yet. A child is reaped here alone, so a pid that is listed is still that child's.
            Ok(None) => {
                let late = Instant::now() > end;
                for pid in children()?.into_iter().filter(|pid| late || !told.contains(pid)).collect::<Vec<_>>() {
                    kill_process(pid, if late { Signal::KILL } else { Signal::TERM })?;
                    told.push(pid);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn children() -> std::io::Result<Vec<Pid>> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        let list = std::fs::read_to_string(task?.path().join("children"))?;
        all.extend(list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    Ok(all)
}

fn log_in(dir: &Path) -> Option<String> {
    let houses = std::fs::read_dir(dir).into_iter().flatten().flatten();
    houses.filter_map(|house| std::fs::read_to_string(house.path().join("log")).ok()).next()
}

/// The end of what the agent logged; on standard error, for it belongs to a failure.
fn tell_log(log: Option<&str>) {
    let mut text = String::from("\ndemo: not as expected; ");
    match log {
        None => text += "the agent had not been started\n",
        Some(log) => {
            let lines: Vec<&str> = log.lines().collect();
            text += "the agent's log ends so:\n";
            for line in lines.iter().skip(lines.len().saturating_sub(LOG_TAIL)) {
                text += &format!("  {line}\n");
            }
        }
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
