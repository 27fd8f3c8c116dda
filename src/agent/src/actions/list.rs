//! `signing-agent actions list`.

use super::lines::{self, Table, table};
use super::state;
use crate::ask::{self, Places};
use crate::context::Context;
use crate::error::Error;
use crate::progress::Progress;
use crate::terminal::Look;
use crate::{policy, words};
use clap::Args;
use ipc::{ActionLine, ActionList, ActionQuery, ActionState, Answer, Ask, MOST_LISTED};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Options {
    /// Only in these states: seen, held, approving, rejecting, approved, rejected, expired, failed, unknown.
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = state)]
    status: Vec<ActionState>,
    /// First seen since then: so long ago (90s, 30m, 24h, 7d), or a time (RFC 3339, or Unix seconds).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// So many at the most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub fn list(context: &Context, options: &Options) -> Result<(), Error> {
    let since = options.since.as_deref().map(since).transpose()?.unwrap_or(0);
    let query = ActionQuery { states: options.status.clone(), since, after: None, limit: MOST_LISTED };
    let places = context.places()?;
    let progress = Progress::of("listing", "");
    let (actions, more) = newest(&places, query, options.limit as usize)?;
    drop(progress);
    let all = || json!({ "actions": actions.iter().map(lines::as_json).collect::<Vec<_>>(), "more": more });
    context.tell(|| text(&actions, Look::of_stdout(), words::now()), all)?;
    if more {
        context.note(&format!("there are more: --limit {}, --since or --status", options.limit.saturating_mul(4)));
    }
    Ok(())
}

/// At most `limit` of them, and whether there are more.
pub fn newest(places: &Places, mut query: ActionQuery, limit: usize) -> Result<(Vec<ActionLine>, bool), Error> {
    let mut all = Vec::new();
    loop {
        query.limit = u16::try_from(limit - all.len()).unwrap_or(MOST_LISTED).min(MOST_LISTED);
        match places.ask_unseen(&Ask::Actions(query.clone()), PATIENCE)?.ok_or_else(|| places.nobody())? {
            Answer::ActionList(ActionList { actions, next }) => {
                let none = actions.is_empty();
                all.extend(actions);
                all.truncate(limit);
                if next.is_none() || none || all.len() == limit {
                    return Ok((all, next.is_some() && !none));
                }
                query.after = next;
            }
            _ => return Err(ask::beside_the_point()),
        }
    }
}

fn since(text: &str) -> Result<u64, Error> {
    match words::duration(text) {
        Ok(ago) => Ok(words::now().saturating_sub(ago.as_secs())),
        Err(_) => policy::time("--since", text).map_err(|e| Error::Usage(format!("{e}; or so long ago: 30m, 24h, 7d"))),
    }
}

fn text(actions: &[ActionLine], look: Look, now: u64) -> String {
    if actions.is_empty() {
        return "There are no such actions.\n".into();
    }
    let Table { head, rows } = table(actions, look, now);
    std::iter::once(&head).chain(rows.iter().flatten()).map(|line| format!("{line}\n")).collect()
}
