//! What is printed: 79 columns at most, colours and pauses for a terminal alone.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

/// A terminal of 80 columns, and none of them wraps.
pub const WIDTH: usize = 79;
/// What a viewer needs to see that a line has come.
const BEAT: Duration = Duration::from_millis(150);

#[derive(Clone, Copy)]
pub enum Paint {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

pub struct Screen {
    colour: bool,
    live: bool,
}

impl Screen {
    pub fn new() -> Self {
        let live = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colour: live && !dumb && !set("NO_COLOR"), live }
    }

    pub fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Red => "31",
            Paint::Plain => return text.to_owned(),
        };
        if self.colour && !text.trim().is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn line(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        out.flush()
    }

    pub fn title(&self, text: &str) -> io::Result<()> {
        self.line("")?;
        self.line(&self.paint(Paint::Bold, text))
    }

    /// `label   value`, the value continued on further lines below itself.
    pub fn fact(&self, label: &str, value: &str) -> io::Result<()> {
        const LABEL: usize = 10;
        for (index, part) in wrap(value, WIDTH - LABEL - 4).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.line(&format!("  {}  {part}", self.paint(Paint::Dim, &pad(label, LABEL))))?;
        }
        Ok(())
    }

    /// A remark below a row.
    pub fn why(&self, text: &str) -> io::Result<()> {
        const INDENT: usize = 10;
        for part in wrap(text, WIDTH - INDENT) {
            self.line(&format!("{:INDENT$}{}", "", self.paint(Paint::Dim, &part)))?;
        }
        Ok(())
    }

    /// Time to read; none where nobody watches.
    pub fn pause(&self, beats: u32) {
        if self.live {
            thread::sleep(BEAT * beats);
        }
    }
}

/// Exactly `width` columns: filled up, or cut with an ellipsis.
pub fn pad(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text}{}", " ".repeat(width - count));
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `width` columns, broken between words; a longer word is broken where it must be.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for part in word.chars().collect::<Vec<_>>().chunks(width) {
            let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + part.len() <= width);
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.extend(part),
                Some(line) if fits => {
                    line.push(' ');
                    line.extend(part);
                }
                _ => lines.push(part.iter().collect()),
            }
        }
    }
    lines
}
