//! `signing-agent token add`, `list` and `revoke`.

use crate::ask;
use crate::change::Signed;
use crate::context::{Context, PATIENCE};
use crate::error::Error;
use crate::words;
use clap::Subcommand;
use ipc::{Answer, Ask, Change, Scopes, TokenInfo};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Subcommand)]
pub enum Command {
    /// Make a bearer token, and show it this once: the agent keeps its SHA-256 alone.
    ///
    /// Example: signing-agent token add desk --scope decide --expires 90d
    Add {
        /// 1 to 64 of a-z, 0-9, '.', '_' and '-': what the audit log calls it.
        name: String,
        /// What it may be used for: one or more of register, decide, read, metrics and feed, with commas.
        #[arg(long, value_name = "SCOPES")]
        scope: Scopes,
        /// How long it is good for: 30m, 12h, 90d; until it is revoked if absent.
        #[arg(long, value_name = "TIME", value_parser = words::duration)]
        expires: Option<Duration>,
        /// Calls that it may be used for within a minute; as many as it likes if absent.
        #[arg(long, value_name = "N")]
        per_minute: Option<u32>,
        #[command(flatten)]
        signed: Signed,
    },
    /// Tell which there are, and when each was used last, to the hour.
    ///
    /// Example: signing-agent token list
    List,
    /// End one at once.
    ///
    /// Example: signing-agent token revoke desk
    Revoke {
        /// As `token list` has it.
        name: String,
    },
}

pub fn run(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Add { name, scope, expires, per_minute, signed } => {
            let seconds = expires.map(|expires| expires.as_secs());
            let change = Change::TokenAdd { name, scopes: scope, seconds, per_minute };
            let Some(answer) = context.change(change, &signed, PATIENCE)? else { return Ok(()) };
            let Answer::TokenAdded { token, info } = answer else { return Err(ask::beside_the_point()) };
            let value = || {
                let mut about = one(&info);
                about["token"] = token.expose().into();
                about
            };
            context.tell(|| format!("{}\n", token.expose()), value)?;
            let until = info.expires.map_or_else(|| "it is revoked".into(), words::time);
            let name = words::plain(&info.name);
            context.note(&format!("this is the only showing of token {name}; good until {until}"));
            Ok(())
        }
        Command::List => {
            let Answer::Tokens(all) = context.ask(&Ask::Tokens, PATIENCE)? else {
                return Err(ask::beside_the_point());
            };
            context.tell(|| table(&all), || all.iter().map(one).collect())
        }
        Command::Revoke { name } => match context.ask(&Ask::TokenRevoke { name: name.clone() }, PATIENCE)? {
            Answer::Noted => context.tell(|| format!("Revoked: {name}\n"), || json!({ "name": name, "revoked": true })),
            _ => Err(ask::beside_the_point()),
        },
    }
}

fn table(all: &[TokenInfo]) -> String {
    if all.is_empty() {
        return "There are no tokens.\n".into();
    }
    let row = |token: &TokenInfo| {
        let until = token.expires.map_or_else(|| "until revoked".into(), |time| format!("until {}", words::time(time)));
        let used =
            token.used.map_or_else(|| "never used".into(), |time| format!("last used about {}", words::time(time)));
        let most = token.per_minute.map(|n| format!(", {n} calls a minute")).unwrap_or_default();
        (token.name.clone(), format!("{}{most}, {until}, {used}", token.scopes))
    };
    words::table(&all.iter().map(row).collect::<Vec<_>>())
}

fn one(token: &TokenInfo) -> Value {
    let scopes: Vec<&str> = token.scopes.iter().map(ipc::Scope::as_str).collect();
    json!({
        "name": token.name, "scopes": scopes, "per_minute": token.per_minute, "made": token.made, "expires": token.expires,
        "used": token.used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_of_each_what_it_may_and_how_long() {
        let token = |name: &str, expires, used| TokenInfo {
            name: name.into(),
            scopes: ipc::Scope::Decide.into(),
            per_minute: None,
            made: 0,
            expires,
            used,
        };
        let all = [token("desk", Some(951_782_400), None), token("bot", None, Some(3600))];
        assert_eq!(
            table(&all),
            "  desk  decide, until 2000-02-29 00:00:00 UTC, never used\n\
             \u{20} bot   decide, until revoked, last used about 1970-01-01 01:00:00 UTC\n"
        );
        assert_eq!(table(&[]), "There are no tokens.\n");
    }
}
