//! Bearer tokens. What is kept of one is its SHA-256: 256 random bits need no slower hash.

use super::audit;
use ipc::{CredentialFault, Scope, Scopes, TokenInfo};
use rusqlite::{OptionalExtension, Transaction, params};
use subtle::ConstantTimeEq;

/// How many there may be: each one that is shown is compared with all.
const MOST: usize = 64;
/// When it was used last is kept to the hour, in seconds: not each use is a write.
const HOUR: u64 = 3600;

/// Whose token has this SHA-256, and may be used for `scope`.
pub fn holder(
    transaction: &Transaction<'_>,
    hash: &[u8; 32],
    scope: Scope,
    now: u64,
) -> Result<Result<String, CredentialFault>, rusqlite::Error> {
    let mut statement = transaction.prepare_cached("SELECT hash, name, scope, expires, used FROM token")?;
    let mut rows = statement.query([])?;
    let mut found = None;
    // All of them, whichever it is.
    while let Some(row) = rows.next()? {
        let kept: Vec<u8> = row.get(0)?;
        if bool::from(kept.as_slice().ct_eq(hash)) {
            found = Some((row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?));
        }
    }
    let Some((name, may, expires, used)) = found else { return Ok(Err(CredentialFault::TokenUnknown)) };
    let (expires, used): (Option<u64>, Option<u64>) = (expires, used);
    if expires.is_some_and(|expires| expires <= now) {
        return Ok(Err(CredentialFault::TokenExpired));
    }
    if !may.parse::<Scopes>().is_ok_and(|may| may.contains(scope)) {
        return Ok(Err(CredentialFault::TokenScope));
    }
    let hour = now - now % HOUR;
    if used != Some(hour) {
        self::used(transaction, &name, hour)?;
    }
    Ok(Ok(name))
}

/// Keeps the hour of a token's last use, Unix seconds.
pub fn used(transaction: &Transaction<'_>, name: &str, hour: u64) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE token SET used = ?2 WHERE name = ?1";
    transaction.prepare_cached(sql)?.execute(params![name, hour]).map(drop)
}

/// Keeps a new one; words where that is refused.
pub fn add(
    transaction: &Transaction<'_>,
    token: &TokenInfo,
    hash: &[u8; 32],
    by: &str,
) -> Result<Result<(), String>, rusqlite::Error> {
    let TokenInfo { name, scopes, per_minute, made, expires, .. } = token;
    let scopes = scopes.to_string();
    let all = list(transaction)?;
    if all.iter().any(|other| other.name == *name) {
        return Ok(Err(format!("there is a token {name} already: revoke it first, or take another name")));
    }
    if all.len() >= MOST {
        return Ok(Err(format!("there are {MOST} tokens: revoke what is not used any more")));
    }
    let sql = "INSERT INTO token (name, scope, hash, made, expires, per_minute) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    transaction.execute(sql, params![name, scopes, hash.as_slice(), made, expires, per_minute])?;
    let fields = serde_json::json!({
        "step": "added", "name": name, "scope": scopes, "expires": expires, "perMinute": per_minute, "by": by,
    });
    audit::append(transaction, "token", &fields)?;
    Ok(Ok(()))
}

pub fn list(transaction: &Transaction<'_>) -> Result<Vec<TokenInfo>, rusqlite::Error> {
    Ok(known(transaction)?.into_iter().map(|(info, _)| info).collect())
}

/// All of them with their hashes.
pub fn known(transaction: &Transaction<'_>) -> Result<Vec<(TokenInfo, [u8; 32])>, rusqlite::Error> {
    let torn = || rusqlite::Error::InvalidColumnType(1, "scope".into(), rusqlite::types::Type::Text);
    let sql = "SELECT name, scope, made, expires, used, per_minute, hash FROM token ORDER BY name";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let info = TokenInfo {
            name: row.get(0)?,
            scopes: row.get::<_, String>(1)?.parse().map_err(|_| torn())?,
            per_minute: row.get(5)?,
            made: row.get(2)?,
            expires: row.get(3)?,
            used: row.get(4)?,
        };
        Ok((info, row.get(6)?))
    })?;
    rows.collect()
}

/// Whether there was one of this name.
pub fn revoke(transaction: &Transaction<'_>, name: &str, by: &str) -> Result<bool, rusqlite::Error> {
    let sql = "DELETE FROM token WHERE name = ?1 RETURNING scope";
    let scope: Option<String> = transaction.query_row(sql, [name], |row| row.get(0)).optional()?;
    if let Some(scope) = &scope {
        let fields = serde_json::json!({ "step": "revoked", "name": name, "scope": scope, "by": by });
        audit::append(transaction, "token", &fields)?;
    }
    Ok(scope.is_some())
}
