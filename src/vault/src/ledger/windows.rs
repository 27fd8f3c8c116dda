//! What was approved, as the velocity windows count it: facts, by the agent's time. Windows themselves are nowhere here: each is
//! a question, so that a renamed one has forgotten nothing.
//!
//! What is here is spent: no outcome takes it back.

use super::audit::Condition;
use ipc::ActionId;
use policy::{Demand, Judgement, Movement, Used, Which};
use rusqlite::{ToSql, Transaction, params};

/// No window is longer, seconds: what is older is forgotten.
pub const LONGEST: u64 = 366 * 24 * 60 * 60;

/// Whether an approval at this moment fits all the windows that it needs; else why not.
pub fn room(
    transaction: &Transaction<'_>,
    demands: &[Demand],
    agent: u64,
) -> Result<Result<(), String>, rusqlite::Error> {
    for demand in demands {
        if is_full(transaction, demand, agent)? {
            return Ok(Err(full(demand)));
        }
        if demand.period > LONGEST {
            return Ok(Err(format!("window \"{}\" is longer than the ledger remembers", demand.window)));
        }
        // Times are whole seconds: one more, so that no window is ever a fraction too short.
        let used = used(transaction, &demand.which, agent.saturating_sub(demand.period))?;
        if let Err(why) = demand.fits(used) {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

fn full(demand: &Demand) -> String {
    format!(
        "window \"{}\" counts as full: the ledger is an older one that was restored, and what was approved since is not all in it",
        demand.window
    )
}

/// What has been approved of what a window is about, by now (agent time).
pub fn used_of(transaction: &Transaction<'_>, demand: &Demand, agent: u64) -> Result<Used, rusqlite::Error> {
    let used = used(transaction, &demand.which, agent.saturating_sub(demand.period))?;
    if !is_full(transaction, demand, agent)? {
        return Ok(used);
    }
    let (amount, count) = (demand.max_amount.unwrap_or_default(), demand.max_count.unwrap_or_default());
    Ok(Used { amount: used.amount.max(amount), count: used.count.max(count) })
}

/// Whether it reaches back to where not all is known that was approved.
fn is_full(transaction: &Transaction<'_>, demand: &Demand, agent: u64) -> Result<bool, rusqlite::Error> {
    let until = Condition::WindowsFullUntil.read(transaction)?;
    Ok(until > 0 && agent.saturating_sub(demand.period) <= until)
}

/// What was approved since then (agent time), and fits.
fn used(transaction: &Transaction<'_>, which: &Which, since: u64) -> Result<Used, rusqlite::Error> {
    let Which { currency, wallet, destination, rules } = which;
    let (mut values, mut conditions): (Vec<&dyn ToSql>, _) = (vec![&since], String::new());
    let mut index = "";
    if let Some(currency) = currency {
        values.push(currency);
        conditions += " AND currency = ?";
        index = "INDEXED BY movement_currency";
    }
    if let Some(wallet) = wallet {
        values.push(wallet);
        conditions += " AND wallet = ?";
        index = "INDEXED BY movement_wallet";
    }
    if let Some(destination) = destination {
        values.push(destination);
        conditions += " AND destination = ?";
        index = "INDEXED BY movement_destination";
    }
    // The index has them in this order.
    let sql =
        format!("SELECT decision, amount, rule FROM movement {index} WHERE at >= ?{conditions} ORDER BY at, decision");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(&values[..])?;
    let (mut used, mut last) = (Used::default(), None);
    while let Some(row) = rows.next()? {
        if let Some(rules) = rules
            && row.get_ref(2)?.as_str_or_null()?.is_none_or(|rule| !rules.contains(rule))
        {
            continue;
        }
        let decision: i64 = row.get(0)?;
        used.count += u64::from(last.replace(decision) != Some(decision));
        used.amount += u128::from(row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(used)
}

/// Puts down what an approval lets go. `decision` is the number of its record in the audit log.
pub fn spend(
    transaction: &Transaction<'_>,
    id: &ActionId,
    judgement: &Judgement,
    decision: u64,
    agent: u64,
) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO movement (at, decision, place, action, currency, wallet, destination, rule, amount)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut statement = transaction.prepare_cached(sql)?;
    let rule = judgement.rule.clone();
    let nothing = [Movement { currency: 0, wallet: String::new(), destination: String::new(), amount: 0, rule }];
    // What moves nothing that can be read is an approval all the same.
    let movements = if judgement.movements.is_empty() { &nothing[..] } else { &judgement.movements };
    for (place, Movement { currency, wallet, destination, amount, rule }) in movements.iter().enumerate() {
        let amount = amount.cast_signed();
        let values = params![agent, decision, place, id.as_str(), currency, wallet, destination, rule, amount];
        statement.execute(values)?;
    }
    Ok(())
}

/// Forgets what no window can ask for any more.
pub fn forget(transaction: &Transaction<'_>, agent: u64) -> Result<(), rusqlite::Error> {
    let Some(oldest) = agent.checked_sub(LONGEST) else { return Ok(()) };
    transaction.prepare_cached("DELETE FROM movement WHERE at < ?1")?.execute([oldest]).map(drop)
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
