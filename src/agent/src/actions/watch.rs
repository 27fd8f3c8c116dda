//! `signing-agent actions watch`: by asking again and again. On a terminal it is a live table, else a line for each change.

use super::lines::{about, as_json};
use super::list::newest;
use super::live::Live;
use super::{is_open, state};
use crate::ask::Places;
use crate::context::{Context, PATIENCE};
use crate::error::Error;
use crate::terminal::{self, Look};
use crate::words;
use clap::Args;
use ipc::{ActionId, ActionLine, ActionQuery, ActionState, Answer, Ask, MOST_LISTED};
use signal_hook::consts::{SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

const OPEN: [ActionState; 4] = [ActionState::Seen, ActionState::Held, ActionState::Approving, ActionState::Rejecting];
/// Of what is open the newest.
const MOST_OPEN: usize = 1000;
/// Of what has left both lists so many are asked about one by one.
const MOST_LOST: usize = 50;

#[derive(Args)]
pub struct Options {
    /// Only in these states: seen, held, approving, rejecting, approved, rejected, expired, failed, unknown.
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = state)]
    status: Vec<ActionState>,
    /// How often it is looked.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = words::duration)]
    every: Duration,
}

/// What a watch hears of.
pub enum Event {
    Looked(Result<Vec<ActionLine>, Error>),
    Signal(i32),
    Key(u8),
}

pub fn watch(context: &Context, options: Options) -> Result<(), Error> {
    let places = context.places()?;
    let Options { status, every } = options;
    // Nobody there, or no right to ask, is told at once; later the vault may well be started anew.
    let mut watched = Watched::default();
    let first = watched.look(&places)?;
    let (tell, events) = channel();
    signals(tell.clone())?;
    let wanted = move |line: &ActionLine| status.is_empty() || status.contains(&line.state);
    let live = !context.json && Look::of_stdout().width.is_some() && terminal::steerable();
    if live {
        keys(tell.clone());
    }
    let lines = if live { None } else { Some(Lines::default()) };
    looks(places, watched, every, tell);
    match lines {
        None => Live::enter()?.run(first, &events, wanted),
        Some(mut lines) => {
            lines.tell(context, &first, &wanted)?;
            for event in events {
                match event {
                    Event::Looked(Ok(now)) => lines.tell(context, &now, &wanted)?,
                    Event::Looked(Err(error)) => lines.trouble(context, &error),
                    Event::Signal(SIGINT | SIGTERM) => break,
                    Event::Signal(_) | Event::Key(_) => {}
                }
                if lines.nobody_reads {
                    break;
                }
            }
            Ok(())
        }
    }
}

fn signals(tell: Sender<Event>) -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGWINCH, SIGTSTP]).map_err(Error::system("hear signals"))?;
    thread::spawn(move || signals.forever().try_for_each(|signal| tell.send(Event::Signal(signal))));
    Ok(())
}

fn keys(tell: Sender<Event>) {
    thread::spawn(move || {
        let mut key = [0];
        while matches!(std::io::Read::read(&mut std::io::stdin().lock(), &mut key), Ok(1)) {
            if tell.send(Event::Key(key[0])).is_err() {
                return;
            }
        }
    });
}

/// A thread of its own, so that a vault that does not answer keeps nobody from ending the watch.
fn looks(places: Places, mut watched: Watched, every: Duration, tell: Sender<Event>) {
    thread::spawn(move || {
        loop {
            thread::sleep(every);
            if tell.send(Event::Looked(watched.look(&places))).is_err() {
                return;
            }
        }
    });
}

/// The open actions that were known when it was looked last.
#[derive(Default)]
struct Watched {
    open: Vec<ActionId>,
}

impl Watched {
    /// All that is open, what is newest, and what was open before; each once.
    fn look(&mut self, places: &Places) -> Result<Vec<ActionLine>, Error> {
        let mut all = BTreeMap::new();
        for (states, most) in [(OPEN.to_vec(), MOST_OPEN), (Vec::new(), MOST_LISTED.into())] {
            let query = ActionQuery { states, since: 0, after: None, limit: MOST_LISTED };
            let (actions, _) = newest(places, query, most)?;
            all.extend(actions.into_iter().map(|line| (line.id.clone(), line)));
        }
        let lost = self.open.iter().filter(|id| !all.contains_key(*id)).take(MOST_LOST).cloned();
        for id in lost.collect::<Vec<_>>() {
            let answer = places.ask_unseen(&Ask::ActionStory(id), PATIENCE)?.ok_or_else(|| places.nobody())?;
            if let Answer::ActionStory(Some(story)) = answer {
                all.insert(story.line.id.clone(), story.line);
            }
        }
        self.open = all.values().filter(|line| is_open(line.state)).map(|line| line.id.clone()).collect();
        let mut all: Vec<ActionLine> = all.into_values().collect();
        all.sort_by(|a, b| (b.seen, &b.id).cmp(&(a.seen, &a.id)));
        Ok(all)
    }
}

/// What was told of in lines.
#[derive(Default)]
struct Lines {
    /// `None` before the first look.
    known: Option<BTreeMap<ActionId, ActionState>>,
    in_trouble: bool,
    nobody_reads: bool,
}

impl Lines {
    /// A line for each that is new or stands otherwise than before; at first for each that is open. The oldest first.
    fn tell(
        &mut self,
        context: &Context,
        now: &[ActionLine],
        wanted: impl Fn(&ActionLine) -> bool,
    ) -> Result<(), Error> {
        self.in_trouble = false;
        let text: String = self.changed(now).filter(|line| wanted(line)).map(|line| text(line, context.json)).collect();
        self.known = Some(now.iter().map(|line| (line.id.clone(), line.state)).collect());
        if text.is_empty() {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match std::io::Write::write_all(&mut out, text.as_bytes()).and_then(|()| std::io::Write::flush(&mut out)) {
            // Who read has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => self.nobody_reads = true,
            written => written.map_err(Error::system("write to stdout"))?,
        }
        Ok(())
    }

    fn changed<'a>(&'a self, now: &'a [ActionLine]) -> impl Iterator<Item = &'a ActionLine> {
        now.iter().rev().filter(|line| match &self.known {
            None => is_open(line.state),
            Some(known) => known.get(&line.id) != Some(&line.state),
        })
    }

    fn trouble(&mut self, context: &Context, error: &Error) {
        if !self.in_trouble {
            context.note(&format!("{error}; watching on"));
        }
        self.in_trouble = true;
    }
}

fn text(line: &ActionLine, json: bool) -> String {
    let now = words::now();
    if json {
        let mut line = as_json(line);
        line["at"] = now.into();
        return words::escaped(&line.to_string()) + "\n";
    }
    let id = words::plain(line.id.as_str());
    format!("{}  {:9}  {id}  {}\n", words::time(now), line.state.as_str(), about(line))
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::{hostile, is_harmless, line};
    use super::*;

    #[test]
    fn a_line_is_told_for_each_change_and_at_first_for_what_is_open() {
        let mut lines = Lines::default();
        let ids = |lines: &Lines, now: &[ActionLine]| -> Vec<String> {
            lines.changed(now).map(|line| line.id.to_string()).collect()
        };
        let first = [line("w3", ActionState::Held), line("w2", ActionState::Approved), line("w1", ActionState::Seen)];
        assert_eq!(ids(&lines, &first), ["w1", "w3"]);
        lines.known = Some(first.iter().map(|line| (line.id.clone(), line.state)).collect());
        assert_eq!(ids(&lines, &first), [""; 0]);
        let then = [line("w4", ActionState::Approved), line("w3", ActionState::Approving), first[1].clone()];
        assert_eq!(ids(&lines, &then), ["w3", "w4"], "the oldest first; what left the list is no change");
    }

    #[test]
    fn no_line_steers_a_terminal_and_each_is_one() {
        for json in [false, true] {
            let text = text(&hostile("w1"), json);
            assert!(is_harmless(&text) && text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
        }
    }
}
