//! The terminal, where there is one: how wide it is, whether it has colours, and what is typed there unseen.

use crate::error::Error;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// How a text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// In columns; `None`: no terminal, lines are as long as they are.
    pub width: Option<usize>,
    pub height: usize,
    pub colour: bool,
}

/// No terminal.
pub const PLAIN: Look = Look { width: None, height: 24, colour: false };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Look {
    pub fn of_stdout() -> Look {
        let out = io::stdout();
        if !isatty(out.as_fd()) {
            return PLAIN;
        }
        let size = tcgetwinsize(out.as_fd()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (width, height) = size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
        Look { width: Some(width), height, colour: steerable() && !no_colour() }
    }

    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => 1,
            Paint::Dim => 2,
            Paint::Red => 31,
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Cyan => 36,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Whether the terminal takes more than text.
pub fn steerable() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether somebody sees what is written to stderr, and it can be taken back.
pub fn stderr_is_live() -> bool {
    isatty(io::stderr().as_fd()) && steerable()
}

/// https://no-color.org: set, to whatever but nothing.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Asks on the terminal for a line that is not shown, of at most so many octets. Ctrl-C leaves the terminal as it was.
pub fn secret(prompt: &str, most: usize) -> Result<Zeroizing<String>, Error> {
    let nobody = |_| Error::Usage("there is no terminal to ask on: --api-key-file FILE, or --api-key-stdin".into());
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(nobody)?;
    let failed = Error::system("ask on the terminal");
    let mut asked = || {
        let before = tcgetattr(&terminal)?;
        restore_on_signal(terminal.try_clone()?, before.clone())?;
        let mut unseen = before.clone();
        unseen.local_modes -= LocalModes::ECHO;
        tcsetattr(&terminal, OptionalActions::Flush, &unseen)?;
        // Once nothing is shown any more: who types at the first letter of it is not seen.
        let line = terminal.write_all(prompt.as_bytes()).and_then(|()| line(&mut terminal, most));
        tcsetattr(&terminal, OptionalActions::Flush, &before)?;
        terminal.write_all(b"\n")?;
        line
    };
    asked().map_err(failed)
}

/// From now on to the end of the program: a signal that was once heard does nothing by itself any more.
fn restore_on_signal(mut terminal: File, before: Termios) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Both fail only where the terminal has gone.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
            let _ = terminal.write_all(b"\n");
            std::process::exit(crate::error::INTERRUPTED.into());
        }
    });
    Ok(())
}

fn line(terminal: &mut File, most: usize) -> io::Result<Zeroizing<String>> {
    // Room for all of it before the first octet: a growing vector would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(most));
    let mut one = Zeroizing::new([0]);
    while terminal.read(&mut *one)? == 1 && one[0] != b'\n' {
        if octets.len() == most {
            return Err(io::Error::other(format!("longer than {most} octets: it is something else")));
        }
        octets.push(one[0]);
    }
    let text = str::from_utf8(&octets).map_err(|_| io::Error::other("it is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
