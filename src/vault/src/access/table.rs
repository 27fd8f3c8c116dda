//! The tokens in memory, as the ledger has them: so a call costs the ledger nothing.

use super::limits::Bucket;
use ipc::{AccessFault, Scope, TokenInfo};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use subtle::{Choice, ConstantTimeEq};

/// When a token was used last is kept to the hour, in seconds: not each use is a write.
const HOUR: u64 = 3600;

pub struct Table(Mutex<Vec<Entry>>);

struct Entry {
    info: TokenInfo,
    hash: [u8; 32],
    bucket: Bucket,
}

/// Why a token is not taken, and whose it is where that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    pub fault: AccessFault,
    pub name: Option<String>,
}

impl Table {
    pub fn new(all: Vec<(TokenInfo, [u8; 32])>) -> Self {
        let table = Self(Mutex::default());
        all.into_iter().for_each(|(info, hash)| table.add(info, hash));
        table
    }

    pub fn add(&self, info: TokenInfo, hash: [u8; 32]) {
        self.lock().push(Entry { info, hash, bucket: Bucket::default() });
    }

    /// Whether there was one of this name.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().extract_if(.., |entry| entry.info.name == name).count() > 0
    }

    /// Whose token has this SHA-256 and is good for `scope` at this time, Unix seconds.
    pub fn holder(&self, hash: &[u8; 32], scope: Scope, now: u64) -> Result<String, Unfit> {
        let all = self.lock();
        // All of them are compared, whichever it is.
        let found = all.iter().fold(
            None,
            |found, entry| {
                if bool::from(entry.hash.ct_eq(hash)) { Some(&entry.info) } else { found }
            },
        );
        let Some(info) = found else { return Err(Unfit { fault: AccessFault::TokenUnknown, name: None }) };
        let unfit = |fault| Err(Unfit { fault, name: Some(info.name.clone()) });
        match info.expires {
            Some(expires) if expires <= now => unfit(AccessFault::TokenExpired),
            _ if !info.scopes.contains(scope) => unfit(AccessFault::TokenScope(scope)),
            _ => Ok(info.name.clone()),
        }
    }

    /// This hash; where it is nobody's here, one that is nobody's in the ledger either: a token that was revoked while the
    /// ledger could not be written is there still.
    pub fn known(&self, hash: [u8; 32]) -> [u8; 32] {
        let all = self.lock();
        let known = all.iter().fold(Choice::from(0), |known, entry| known | entry.hash.ct_eq(&hash));
        if bool::from(known) { hash } else { [0; 32] }
    }

    /// Takes one call out of what the token may be used for.
    pub fn take(&self, name: &str, now: Instant) -> Result<(), Unfit> {
        let mut all = self.lock();
        let Some(entry) = all.iter_mut().find(|entry| entry.info.name == name) else {
            return Err(Unfit { fault: AccessFault::TokenUnknown, name: None });
        };
        let Some(per_minute) = entry.info.per_minute else { return Ok(()) };
        let taken = entry.bucket.take(per_minute, now);
        taken.map_err(|wait| Unfit { fault: AccessFault::TokenLimit(wait), name: Some(name.to_owned()) })
    }

    /// It was used now, Unix seconds; the hour of that, where that is to be written down.
    pub fn used(&self, name: &str, now: u64) -> Option<u64> {
        let hour = now - now % HOUR;
        let mut all = self.lock();
        let entry = all.iter_mut().find(|entry| entry.info.name == name)?;
        (entry.info.used.replace(hour) != Some(hour)).then_some(hour)
    }

    /// Whether one of them expired after `last` and no later than `now`, Unix seconds.
    pub fn expired_within(&self, last: u64, now: u64) -> bool {
        self.lock().iter().filter_map(|entry| entry.info.expires).any(|expires| last < expires && expires <= now)
    }

    /// The names of those that expire no later than this, and when that is; the first to expire first.
    pub fn expiring(&self, until: u64) -> Vec<(u64, String)> {
        let all = self.lock();
        let expiring = all.iter().filter_map(|entry| Some((entry.info.expires?, entry.info.name.clone())));
        let mut expiring: Vec<_> = expiring.filter(|(expires, _)| *expires <= until).collect();
        expiring.sort();
        expiring
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub fn info(name: &str, scopes: &str, expires: Option<u64>, per_minute: Option<u32>) -> TokenInfo {
        let scopes = scopes.parse().unwrap();
        TokenInfo { name: name.into(), scopes, per_minute, made: 0, expires, used: None }
    }

    fn fault(unfit: Result<String, Unfit>) -> (AccessFault, Option<String>) {
        let Unfit { fault, name } = unfit.unwrap_err();
        (fault, name)
    }

    #[test]
    fn a_token_is_good_for_its_scopes_until_it_expires_or_is_removed() {
        let (desk, feed) = (info("desk", "decide,read", Some(100), None), info("screen", "feed", None, None));
        let table = Table::new(vec![(desk, [1; 32]), (feed, [2; 32])]);
        let named = || Some("desk".to_owned());
        for scope in Scope::ALL {
            let holder = table.holder(&[1; 32], scope, 99);
            if matches!(scope, Scope::Decide | Scope::Read) {
                assert_eq!(holder.unwrap(), "desk");
            } else {
                assert_eq!(fault(holder), (AccessFault::TokenScope(scope), named()));
            }
        }
        assert_eq!(fault(table.holder(&[1; 32], Scope::Read, 100)), (AccessFault::TokenExpired, named()));
        assert_eq!(table.holder(&[2; 32], Scope::Feed, u64::MAX).unwrap(), "screen");
        let mut near = [1; 32];
        near[31] = 0;
        assert_eq!(fault(table.holder(&near, Scope::Read, 99)), (AccessFault::TokenUnknown, None));
        assert_eq!((table.known([1; 32]), table.known(near)), ([1; 32], [0; 32]));
        assert!(table.remove("desk") && !table.remove("desk"));
        assert_eq!(table.known([1; 32]), [0; 32]);
        assert_eq!(fault(table.holder(&[1; 32], Scope::Read, 99)), (AccessFault::TokenUnknown, None));
        assert_eq!(table.take("desk", Instant::now()).unwrap_err().fault, AccessFault::TokenUnknown);
    }

    #[test]
    fn each_tokens_calls_are_counted_by_themselves() {
        let many = |name: &str, most| info(name, "read", None, most);
        let table = Table::new(vec![
            (many("few", Some(3)), [1; 32]),
            (many("more", Some(5)), [2; 32]),
            (many("all", None), [3; 32]),
        ]);
        let now = Instant::now();
        let calls = |name: &str, now| (0..100).filter(|_| table.take(name, now).is_ok()).count();
        assert_eq!((calls("few", now), calls("more", now), calls("all", now)), (3, 5, 100));
        let unfit = Unfit { fault: AccessFault::TokenLimit(20), name: Some("few".into()) };
        assert_eq!(table.take("few", now), Err(unfit));
        assert_eq!(calls("few", now + Duration::from_secs(20)), 1);
    }

    #[test]
    fn a_use_is_written_down_once_an_hour_and_an_expiry_is_seen_once() {
        let table = Table::new(vec![(info("desk", "read", Some(7300), None), [1; 32])]);
        assert_eq!(
            [3601, 3700, 7199, 7200, 7201].map(|now| table.used("desk", now)),
            [Some(3600), None, None, Some(7200), None]
        );
        assert_eq!(table.used("nobody", 1), None);
        assert_eq!(
            [(7200, 7299), (7299, 7300), (7300, 7400), (7200, 7400)].map(|(last, now)| table.expired_within(last, now)),
            [false, true, false, true]
        );
        assert_eq!((table.expiring(7299), table.expiring(7300)), (vec![], vec![(7300, "desk".to_owned())]));
    }
}
