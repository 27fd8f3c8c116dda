//! Bearer tokens, as the operator makes and revokes them.

use crate::authority;
use crate::ledger::{self, tokens};
use crate::reply::Reply;
use crate::room::Room;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipc::{Answer, Refusal, Scopes, Secret, TokenInfo};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What each begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "signing-agent-";
/// The longest a token may be good for, seconds.
const LONGEST: u64 = 10 * 366 * 24 * 60 * 60;
/// The most calls a minute that a token's limit may say.
const MOST_A_MINUTE: u32 = 1_000_000;

/// SHA-256 of a token's text.
pub fn hash(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

/// Makes one, of 256 bits; it is shown in this answer and never again.
pub fn add(
    room: &Arc<Room>,
    name: String,
    scopes: Scopes,
    seconds: Option<u64>,
    per_minute: Option<u32>,
    reply: Reply,
) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
        return reply.refuse(Refusal::Init("a token's name has 1 to 64 of a-z, 0-9, '.', '_' and '-'".into()));
    }
    if seconds.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
        return reply.refuse(Refusal::Init("a token is good for a second to ten years, or until it is revoked".into()));
    }
    if per_minute.is_some_and(|calls| !(1..=MOST_A_MINUTE).contains(&calls)) {
        return reply.refuse(Refusal::Init(format!("a token's limit is 1 to {MOST_A_MINUTE} calls a minute, or none")));
    }
    let token = match new() {
        Ok(token) => token,
        Err(e) => {
            tracing::error!("the system's randomness failed: {e}");
            return reply.refuse(Refusal::Internal);
        }
    };
    let (hash, by, made) = (hash(&token), reply.who(), vault.wall_clock.latest());
    let info = TokenInfo { name, scopes, per_minute, made, expires: seconds.map(|seconds| made + seconds), used: None };
    let (kept, then) = (info.clone(), vault.clone());
    vault.ledger.post(
        move |t| tokens::add(t, &kept, &hash, &by),
        move |added| match added {
            Ok(Ok(())) => {
                tracing::info!(name = info.name, scopes = %info.scopes, "a token was made");
                then.tokens.add(info.clone(), hash);
                reply.send(Answer::TokenAdded { token, info });
            }
            Ok(Err(words)) => reply.refuse(Refusal::Init(words)),
            Err(e) => refuse(&e, reply),
        },
    );
}

/// 256 random bits, as text.
fn new() -> Result<Secret, getrandom::Error> {
    let mut octets = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *octets)?;
    // Room for all of it first: a growing string would leave copies behind.
    let mut text = String::with_capacity(ipc::MAX_BEARER);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(*octets, &mut text);
    Ok(Secret::new(text))
}

pub fn list(room: &Arc<Room>, reply: Reply) {
    match room.vault() {
        Ok(vault) => vault.ledger.post(tokens::list, move |all| match all {
            Ok(all) => reply.send(Answer::Tokens(all)),
            Err(e) => refuse(&e, reply),
        }),
        Err(refusal) => reply.refuse(refusal),
    }
}

/// Ends one at once, whatever the disk says, and has whoever came in by it sent out.
pub fn revoke(room: &Arc<Room>, name: String, reply: Reply) {
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    let ended = vault.tokens.remove(&name);
    if ended {
        room.relay.access_changed();
    }
    let (by, told, room, then) = (reply.who(), name.clone(), room.clone(), vault.clone());
    vault.ledger.post(
        move |t| {
            authority::void(t)?;
            tokens::revoke(t, &name, &by)
        },
        move |was| match was {
            Ok(true) => {
                // It may have been on its way into the ledger when this was asked.
                if then.tokens.remove(&told) {
                    room.relay.access_changed();
                }
                tracing::info!(name = told, "a token was revoked");
                reply.send(Answer::Noted);
            }
            Ok(false) => reply.refuse(Refusal::Init(format!("there is no token {}", ipc::bounded(&told)))),
            Err(e) if ended => {
                let words =
                    format!("it is refused until the agent starts anew: revoke it again once this is put right: {e}");
                reply.refuse(Refusal::Init(ipc::bounded(&words)));
            }
            Err(e) => refuse(&e, reply),
        },
    );
}

fn refuse(e: &ledger::Error, reply: Reply) {
    reply.refuse(Refusal::Init(ipc::bounded(&e.to_string())));
}
