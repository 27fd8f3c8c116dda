//! What an approval takes of the velocity windows. Who counts is the ledger: a window is a question to its record of what
//! was approved, so that neither a restart nor a renamed window forgets anything.

use std::collections::BTreeSet;

/// One transfer or settlement that an approval lets go; for an action that moves nothing that can be read, one with nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// As on the wire; 0 where there is none.
    pub currency: i64,
    /// The asset's ID, lower-case hex; empty where there is none.
    pub wallet: String,
    /// As lists have it (`wallet:HEX` for one inside), folded where the currency's addresses have no case; empty where there is none.
    pub destination: String,
    /// In the currency's smallest unit.
    pub amount: u64,
    /// The rule that approves it, or holds it; `None`: no rule.
    pub rule: Option<String>,
}

/// Of which movements a window speaks: all that are given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    pub currency: Option<i64>,
    pub wallet: Option<String>,
    pub destination: Option<String>,
    /// Approved by, or held by and then released, one of these rules.
    pub rules: Option<BTreeSet<String>>,
}

/// What an approval needs of one window: that what was approved within the period, and this, stay within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The window's name.
    pub window: String,
    /// Seconds, rolling.
    pub period: u64,
    pub which: Which,
    /// Of this action; `None`: what the window measures cannot be read, and so fits no limit.
    pub amount: Option<u128>,
    pub max_amount: Option<u128>,
    /// Approved actions, this one among them.
    pub max_count: Option<u64>,
}

/// What was approved within a window's period: the sum, and how many actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub amount: u128,
    pub count: u64,
}

impl Demand {
    /// Whether it fits; else why not, safe to print.
    pub fn fits(&self, used: Used) -> Result<(), String> {
        let window = &self.window;
        let Some(amount) = self.amount else {
            return Err(format!("window \"{window}\" cannot measure it"));
        };
        if let Some(most) = self.max_amount
            && used.amount.checked_add(amount).is_none_or(|sum| sum > most)
        {
            return Err(format!("window \"{window}\": {} of {most} are used, {amount} more do not fit", used.amount));
        }
        match self.max_count {
            Some(most) if used.count >= most => Err(format!("window \"{window}\": all its {most} approvals are used")),
            _ => Ok(()),
        }
    }
}
