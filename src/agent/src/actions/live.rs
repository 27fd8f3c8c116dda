//! The live table of a watch.

use super::is_open;
use super::lines::{Table, table};
use super::watch::Event;
use crate::error::Error;
use crate::layout::cut;
use crate::terminal::{Look, Paint};
use crate::words;
use ipc::ActionLine;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGINT, SIGTERM, SIGTSTP};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::Receiver;

/// The terminal's other screen, without a cursor. Dropping it gives the terminal back as it was.
pub struct Live {
    /// Keys are heard one by one and not shown; `None` where stdin is no terminal.
    before: Option<Termios>,
}

impl Live {
    pub fn enter() -> Result<Live, Error> {
        let stdin = io::stdin();
        let before = if isatty(stdin.as_fd()) { tcgetattr(stdin.as_fd()).ok() } else { None };
        if let Some(before) = &before {
            let mut keys = before.clone();
            keys.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
            // Then keys are shown, and nothing worse.
            let _ = tcsetattr(stdin.as_fd(), OptionalActions::Now, &keys);
        }
        let live = Live { before };
        write("\x1b[?1049h\x1b[?25l")?;
        Ok(live)
    }

    /// Until q, Ctrl-C or SIGTERM.
    pub fn run(
        self,
        mut actions: Vec<ActionLine>,
        events: &Receiver<Event>,
        wanted: impl Fn(&ActionLine) -> bool,
    ) -> Result<(), Error> {
        let mut live = Some(self);
        let mut trouble = None;
        loop {
            let shown: Vec<ActionLine> = actions.iter().filter(|line| wanted(line)).cloned().collect();
            let look = Look::of_stdout();
            write(&screen(&frame(shown, trouble.as_deref(), look, words::now()), look.height))?;
            match events.recv() {
                Ok(Event::Looked(Ok(now))) => (actions, trouble) = (now, None),
                Ok(Event::Looked(Err(error))) => trouble = Some(error.to_string()),
                Ok(Event::Signal(SIGTSTP)) => {
                    drop(live.take());
                    // It returns once somebody has it go on.
                    let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
                    live = Some(Live::enter()?);
                }
                Ok(Event::Signal(SIGINT | SIGTERM) | Event::Key(b'q' | b'Q' | 3)) | Err(_) => return Ok(()),
                Ok(Event::Signal(_) | Event::Key(_)) => {}
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Where these fail the terminal has gone.
        let _ = write("\x1b[?25h\x1b[?1049l");
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}

/// The screen's lines: as many and as long as it has room for.
fn frame(mut actions: Vec<ActionLine>, trouble: Option<&str>, look: Look, now: u64) -> Vec<String> {
    let most = look.width.unwrap_or(80);
    // What is to be done soonest first; then what is settled, the newest first.
    actions.sort_by_key(|line| (!is_open(line.state), if is_open(line.state) { line.expires } else { None }));
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for line in actions.iter().filter(|line| is_open(line.state)) {
        *counts.entry(line.state.as_str()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let counts = if counts.is_empty() { "nothing waits".into() } else { counts.join(", ") };
    let title = format!("{counts}  ({}; q ends)", words::time(now).get(11..).unwrap_or_default());
    let mut lines = vec![look.paint(Paint::Bold, &cut(&title, most))];
    lines.extend(trouble.map(|words| look.paint(Paint::Red, &cut(&words::plain(words), most))));
    let Table { head, rows } = table(&actions, look, now);
    if !rows.is_empty() {
        lines.extend([String::new(), head]);
    }
    for row in rows {
        // Not half of one.
        if lines.len() + row.len() > look.height {
            break;
        }
        lines.extend(row);
    }
    lines.truncate(look.height);
    lines
}

/// Written over what was there: each line is cleared before it is written, what is below after it.
fn screen(lines: &[String], height: usize) -> String {
    let text: Vec<String> = lines.iter().map(|line| format!("\x1b[2K{line}")).collect();
    // Not behind a line that fills the terminal: the cursor stands on its last character still.
    let rest = if lines.len() < height { "\r\n\x1b[0J" } else { "" };
    format!("\x1b[H{}{rest}", text.join("\r\n"))
}

fn write(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::system("write to the terminal"))
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::{hostile, is_harmless, line};
    use super::*;
    use crate::layout::width;
    use ipc::ActionState;

    #[test]
    fn a_frame_fits_whatever_terminal_there_is_and_nothing_in_it_steers_it() {
        let actions: Vec<ActionLine> = (0..300).map(|n| hostile(&format!("w{n}"))).collect();
        for (columns, height) in [(1, 1), (10, 3), (40, 10), (60, 24), (100, 24), (300, 400)] {
            let look = Look { width: Some(columns), height, colour: false };
            let lines = frame(actions.clone(), Some("gone\x1b[2J\r\n"), look, 1_000_100);
            assert!(lines.len() <= height, "{columns}x{height}: {}", lines.len());
            for line in &lines {
                assert!(
                    width(line) <= columns && is_harmless(line) && !line.contains('\n'),
                    "{columns}x{height}: {line:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_to_be_done_soonest_stands_first() {
        let soon = ActionLine { expires: Some(1_000_500), ..line("soon", ActionState::Held) };
        let actions = vec![line("done", ActionState::Approved), line("later", ActionState::Held), soon];
        let lines = frame(actions, None, Look { width: Some(120), height: 24, colour: false }, 1_000_100);
        assert!(lines[0].starts_with("2 held  ("), "{lines:?}");
        let order: Vec<&str> = lines[3..].iter().filter_map(|line| line.split_whitespace().nth(5)).collect();
        assert_eq!(order, ["soon", "later", "ApproveWithdraw:"], "{lines:?}");
    }
}
