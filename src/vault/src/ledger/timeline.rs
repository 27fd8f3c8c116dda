//! What happened to an action, as the audit log has it.

use ipc::{ActionId, Moment, bounded};
use rusqlite::{Transaction, params};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The newest so many records,
const MOST: usize = 200;
/// and no more once so many octets of them were read.
const MOST_OCTETS: usize = 1 << 20;

/// Oldest first.
pub fn timeline(transaction: &Transaction<'_>, id: &ActionId) -> Result<Vec<Moment>, rusqlite::Error> {
    let sql = "SELECT n, unixepoch(json_extract(line, '$.time')), line FROM audit INDEXED BY audit_action
               WHERE json_extract(line, '$.action') = ?1 ORDER BY n DESC LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params![id.as_str(), MOST])?;
    let (mut moments, mut octets) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let line: String = row.get(2)?;
        octets += line.len();
        let record: Record = serde_json::from_str(&line).unwrap_or_default();
        moments.push(Moment { record: row.get(0)?, at: row.get(1)?, words: record.words(), what: record.kind });
        if octets > MOST_OCTETS {
            break;
        }
    }
    moments.reverse();
    Ok(moments)
}

/// What the kinds of records that are about an action have of it (docs/audit-log.md).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    kind: String,
    verdict: Option<String>,
    by: Option<String>,
    why: Option<String>,
    end: Option<String>,
    detail: Option<String>,
    approver: Option<String>,
    verb: Option<String>,
    refused: Option<String>,
    what: Option<String>,
    words: Option<String>,
    signatures: Option<Vec<IgnoredAny>>,
}

impl Record {
    fn words(&self) -> String {
        let said = |part: &Option<String>| part.clone().unwrap_or_default();
        let words = match self.kind.as_str() {
            "decision" => format!("{} by {}: {}", said(&self.verdict), said(&self.by), said(&self.why)),
            "signed" => match self.signatures.as_ref().map_or(0, Vec::len) {
                1 => "one signature".to_owned(),
                many => format!("{many} signatures"),
            },
            "settled" => [said(&self.end), said(&self.detail)].join(" "),
            "statement" => format!("{} by {}", said(&self.verb), said(&self.approver)),
            "credential" => format!("refused: {} {}", said(&self.refused), said(&self.approver)),
            _ => [&self.what, &self.words].map(said).concat(),
        };
        bounded(&words)
    }
}
