//! The agent's own time, and whether the wall clock is to be believed, as they outlive a restart.
//!
//! Agent time goes with the time since the boot while the machine is up, and stands still from the last record of one boot to
//! the vault's start in the next: windows stay full for longer, never shorter.

use super::audit::{self, Condition};
use crate::window_time::{ALLOWANCE, Reading, Reference};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::json;

/// So seldom, milliseconds, it is written where nothing else writes it.
const SELDOM: i64 = 60_000;

/// What a look at the clocks showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub reference: Reference,
    /// The agent's time, seconds.
    pub agent: u64,
    /// The wall clock jumped, and no operator has confirmed it.
    pub stepped: bool,
}

/// What is on record; times are milliseconds.
#[derive(Clone, Debug)]
struct Row {
    boot: String,
    /// The agent's time when the time since the boot was `at`.
    agent: i64,
    at: i64,
    /// The wall clock, when it was last believed.
    wall: i64,
    /// Wall clock minus time since the boot, as it should be.
    offset: i64,
}

impl Row {
    fn read(transaction: &Transaction<'_>) -> Result<Option<Self>, rusqlite::Error> {
        let sql = "SELECT boot, agent, at, wall, reference FROM agent_time";
        let row = |row: &rusqlite::Row<'_>| {
            let (boot, agent, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Self { boot, agent, at, wall: row.get(3)?, offset: row.get(4)? })
        };
        transaction.prepare_cached(sql)?.query_row([], row).optional()
    }

    fn write(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let sql = "INSERT OR REPLACE INTO agent_time (only_one, boot, agent, at, wall, reference)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let values = params![self.boot, self.agent, self.at, self.wall, self.offset];
        transaction.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn first(boot: &str, agent: i64, reading: Reading) -> Self {
        Self { boot: boot.into(), agent, at: reading.boot, wall: reading.wall, offset: reading.offset() }
    }

    /// Agent time goes on, whatever the wall clock does.
    fn at(self, reading: Reading) -> Self {
        let since = reading.boot.saturating_sub(self.at).max(0);
        Self { agent: self.agent.saturating_add(since), at: self.at.max(reading.boot), ..self }
    }

    fn look(&self, stepped: bool) -> Look {
        let reference = Reference { offset: self.offset, at: self.at };
        Look { reference, agent: u64::try_from(self.agent / 1000).unwrap_or_default(), stepped }
    }
}

/// Goes on where the last life of this ledger was.
pub fn begin(transaction: &Transaction<'_>, boot: &str, reading: Reading) -> Result<Look, rusqlite::Error> {
    let Some(row) = Row::read(transaction)? else {
        let row = Row::first(boot, 0, reading);
        row.write(transaction)?;
        return Ok(row.look(false));
    };
    // Who says another time since the boot than before was moved to another machine, or is in a namespace of its own.
    if row.boot == boot && !boot.is_empty() && reading.boot >= row.at {
        return look_at(transaction, reading, true);
    }
    let earliest = row.wall.saturating_sub(ALLOWANCE);
    if reading.wall < earliest && Condition::ClockStepped.read(transaction)? == 0 {
        stepped(transaction, row.wall, None, reading)?;
    }
    let stepped = Condition::ClockStepped.read(transaction)? != 0;
    let wall = if stepped { row.wall } else { reading.wall };
    let row = Row { wall, ..Row::first(boot, row.agent, reading) };
    row.write(transaction)?;
    Ok(row.look(stepped))
}

/// Looks whether the wall clock is where it should be; that it is not is on record with this.
pub fn look(transaction: &Transaction<'_>) -> Result<Look, rusqlite::Error> {
    look_at(transaction, Reading::take(), false)
}

/// The same, and the agent's time is written down.
pub fn mark(transaction: &Transaction<'_>) -> Result<Look, rusqlite::Error> {
    look_at(transaction, Reading::take(), true)
}

/// The agent's time, seconds; nothing is looked at or written.
pub fn agent(transaction: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
    let now = Row::read(transaction)?.map_or(0, |row| row.at(Reading::take()).agent);
    Ok(u64::try_from(now / 1000).unwrap_or_default())
}

fn look_at(transaction: &Transaction<'_>, reading: Reading, keep: bool) -> Result<Look, rusqlite::Error> {
    let Some(row) = Row::read(transaction)? else { return begin(transaction, "", reading) };
    let mut stepped = Condition::ClockStepped.read(transaction)? != 0;
    let due = keep || reading.boot.saturating_sub(row.at) >= SELDOM;
    let mut row_now = row.clone().at(reading);
    let mut fresh = false;
    if !stepped {
        let reference = Reference { offset: row.offset, at: row.at };
        match reference.follow(reading) {
            Some(reference) => (row_now.offset, row_now.wall) = (reference.offset, reading.wall),
            None => {
                (stepped, fresh) = (true, true);
                self::stepped(transaction, reference.expected(reading), Some(row.offset), reading)?;
            }
        }
    }
    if due || fresh {
        row_now.write(transaction)?;
    }
    Ok(row_now.look(stepped))
}

/// Puts a jump on record: from now on nothing is approved.
fn stepped(
    transaction: &Transaction<'_>,
    expected: i64,
    old: Option<i64>,
    reading: Reading,
) -> Result<(), rusqlite::Error> {
    Condition::ClockStepped.write(transaction, 1)?;
    let fields = json!({
        "expected": expected / 1000,
        "found": reading.wall / 1000,
        "oldOffset": old.map(|offset| offset / 1000),
        "newOffset": reading.offset() / 1000,
    });
    audit::append(transaction, "clock-stepped", &fields)
}

/// An operator says that the wall clock is right now.
pub fn confirm(transaction: &Transaction<'_>, who: &str) -> Result<Look, rusqlite::Error> {
    confirm_at(transaction, who, Reading::take())
}

fn confirm_at(transaction: &Transaction<'_>, who: &str, reading: Reading) -> Result<Look, rusqlite::Error> {
    let row = match Row::read(transaction)? {
        Some(row) => row.at(reading),
        None => Row::first("", 0, reading),
    };
    let (old, new) = (row.offset / 1000, reading.offset() / 1000);
    let row = Row { wall: reading.wall, offset: reading.offset(), ..row };
    row.write(transaction)?;
    Condition::ClockStepped.write(transaction, 0)?;
    // Who was rejected or expired meanwhile is not judged any more.
    let ended = "DELETE FROM held_for_clock WHERE action IN (SELECT id FROM action WHERE state <> 'held')";
    transaction.execute(ended, [])?;
    let fields = json!({ "by": who, "wall": reading.wall / 1000, "oldOffset": old, "newOffset": new });
    audit::append(transaction, "clock-confirmed", &fields)?;
    Ok(row.look(false))
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
