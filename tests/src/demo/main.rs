//! Enters: nothing. `make demo` starts it, and it makes what it needs in a directory of its own.
//! Leaves: a screen that shows the agent at work, measured; exit code 0 where all was as expected, else 1 with the log's tail.
//! Never: anything left behind, be it a directory or a process, however it ends (SIGKILL aside).
//!
//! It is two processes. The first one only cleans up: it starts the second one, which plays, and outlives it, so that a panic
//! or a Ctrl-C there needs no care.

mod actions;
mod guard;
mod play;
mod result;
mod screen;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => guard::guard().unwrap_or_else(|error| {
            let _ = writeln!(std::io::stderr(), "demo: {error}");
            ExitCode::FAILURE
        }),
        Some(guard::PLAY) => play::play(),
        Some(_) => {
            let _ = writeln!(std::io::stderr(), "usage: demo (it takes no arguments; NO_COLOR is heeded)");
            ExitCode::from(2)
        }
    }
}
