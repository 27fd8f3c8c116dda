//! What was approved before, kept in memory: what cases and a replay hold a window's demands against. In a running vault this is
//! the ledger's to say.

use crate::judge::Judgement;
use crate::windows::{Demand, Movement, Used};

/// One action that was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Unix seconds.
    pub at: u64,
    pub movements: Vec<Movement>,
}

/// Approved actions, in any order.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Approved>);

impl History {
    pub fn push(&mut self, approved: Approved) {
        self.0.push(approved);
    }

    /// What is used of a window at `now`: what was approved a whole period ago is out of it again.
    pub fn used(&self, demand: &Demand, now: u64) -> Used {
        let recent = self.0.iter().filter(|approved| approved.at.saturating_add(demand.period) > now);
        recent.fold(Used::default(), |used, approved| {
            let of_it: Vec<&Movement> =
                approved.movements.iter().filter(|movement| speaks_of(demand, movement)).collect();
            let sum: u128 = of_it.iter().map(|movement| u128::from(movement.amount)).sum();
            Used {
                amount: used.amount.saturating_add(sum),
                count: used.count.saturating_add(u64::from(!of_it.is_empty())),
            }
        })
    }

    /// Whether every window has room for it; else the first one's words.
    pub fn fits(&self, judgement: &Judgement, now: u64) -> Result<(), String> {
        judgement.demands.iter().try_for_each(|demand| demand.fits(self.used(demand, now)))
    }
}

fn speaks_of(demand: &Demand, movement: &Movement) -> bool {
    let which = &demand.which;
    which.currency.is_none_or(|currency| currency == movement.currency)
        && which.wallet.as_ref().is_none_or(|wallet| *wallet == movement.wallet)
        && which.destination.as_ref().is_none_or(|destination| *destination == movement.destination)
        && which.rules.as_ref().is_none_or(|rules| movement.rule.as_ref().is_some_and(|rule| rules.contains(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::Which;

    fn approved(at: u64, rule: &str, moves: &[(i64, &str, &str, u64)]) -> Approved {
        let movement = |(currency, wallet, destination, amount): &(i64, &str, &str, u64)| Movement {
            currency: *currency,
            wallet: (*wallet).to_owned(),
            destination: (*destination).to_owned(),
            amount: *amount,
            rule: Some(rule.to_owned()),
        };
        Approved { at, movements: moves.iter().map(movement).collect() }
    }

    fn used(which: Which, period: u64, now: u64) -> (u128, u64) {
        let mut history = History::default();
        history.push(approved(100, "small", &[(4, "aa", "0x1", 10), (4, "aa", "0x2", 20)]));
        history.push(approved(150, "large", &[(1, "bb", "0x1", u64::MAX)]));
        let demand = Demand { window: "w".into(), period, which, amount: Some(0), max_amount: None, max_count: None };
        let used = history.used(&demand, now);
        (used.amount, used.count)
    }

    #[test]
    fn a_window_counts_what_it_speaks_of_and_is_within_its_period() {
        let all = u128::from(u64::MAX) + 30;
        assert_eq!(used(Which::default(), 100, 150), (all, 2));
        assert_eq!(used(Which::default(), 50, 150), (u128::from(u64::MAX), 1), "a whole period ago is out");
        assert_eq!(used(Which::default(), 51, 150), (all, 2));
        assert_eq!(used(Which { currency: Some(4), ..Which::default() }, 100, 150), (30, 1));
        assert_eq!(used(Which { wallet: Some("bb".into()), ..Which::default() }, 100, 150), (u128::from(u64::MAX), 1));
        assert_eq!(used(Which { destination: Some("0x2".into()), ..Which::default() }, 100, 150), (20, 1));
        assert_eq!(used(Which { rules: Some(["small".into()].into()), ..Which::default() }, 100, 150), (30, 1));
        assert_eq!(used(Which { rules: Some(["none".into()].into()), ..Which::default() }, 100, 150), (0, 0));
    }
}
