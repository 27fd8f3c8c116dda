//! How much of the vault one caller has at a time: so many asks, and who wants more waits behind itself.

use config::Auth;
use ipc::Caller;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Asks that are open at the vault.
pub(crate) struct Shares {
    all: Arc<Semaphore>,
    /// Of one caller, and of one address, whatever it comes with.
    most_each: usize,
    most_home: usize,
    patience: Duration,
    auth: Auth,
    each: Mutex<HashMap<u64, Arc<Semaphore>>>,
    keys: RandomState,
}

/// The right to one ask; dropping it gives it back.
pub(crate) struct Share {
    shares: Arc<Shares>,
    who: [u64; 2],
    held: Vec<OwnedSemaphorePermit>,
}

impl Shares {
    /// At most so many asks, so many of one caller, and how long it may wait for them.
    pub(crate) fn new(most: usize, most_each: usize, patience: Duration, auth: Auth) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(most));
        // Who makes up tokens has a share for each of them, and must leave something to others.
        let most_home = most - most / 4;
        Arc::new(Self { all, most_each, most_home, patience, auth, each: Mutex::default(), keys: RandomState::new() })
    }

    /// `None` where it would take too long.
    pub(crate) async fn take(self: &Arc<Self>, caller: &Caller) -> Option<Share> {
        let until = Instant::now() + self.patience;
        // Made before there is anything to wait for: a caller that goes away meanwhile leaves nothing behind.
        let mut share = Share { shares: self.clone(), who: self.who(caller), held: Vec::new() };
        let one = |(who, most)| self.each().entry(who).or_insert_with(|| Arc::new(Semaphore::new(most))).clone();
        let own = share.who.into_iter().zip([self.most_each, self.most_home]).map(one);
        for semaphore in own.chain([self.all.clone()]).collect::<Vec<_>>() {
            share.held.push(tokio::time::timeout_at(until, semaphore.acquire_owned()).await.ok()?.ok()?);
        }
        Some(share)
    }

    /// The caller by what lets it in, which is the only thing that others cannot make up for themselves; and where it calls from. A
    /// token is known by a hash whose key is this process's own.
    fn who(&self, caller: &Caller) -> [u64; 2] {
        let token = caller.bearer.as_ref().map(ipc::Secret::expose);
        let certificate = caller.certificate.as_deref().filter(|name| !name.is_empty());
        let home = caller.address.map(crate::guests::household);
        let by = match self.auth {
            Auth::None => (None, None),
            Auth::Token => (token, None),
            Auth::Mtls => (None, certificate),
            Auth::Both => (token, certificate),
            Auth::Either => (token, certificate.filter(|_| token.is_none())),
        };
        let own = if by == (None, None) { self.keys.hash_one(("address", home)) } else { self.keys.hash_one(by) };
        [own, self.keys.hash_one(("home", home))]
    }

    fn each(&self) -> MutexGuard<'_, HashMap<u64, Arc<Semaphore>>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.clear();
        let mut each = self.shares.each();
        for who in self.who {
            // Whoever waits for it or has some of it holds it too.
            if each.get(&who).is_some_and(|own| Arc::strong_count(own) == 1) {
                each.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::Secret;

    fn caller(token: &str) -> Caller {
        Caller { bearer: Some(Secret::new(token.to_owned())), ..Caller::default() }
    }

    fn from(caller: Caller, last: u8) -> Caller {
        Caller { address: Some([192, 0, 2, last].into()), ..caller }
    }

    fn shown(name: &str, token: &str) -> Caller {
        Caller { certificate: Some(name.to_owned()), ..caller(token) }
    }

    #[tokio::test]
    async fn who_has_its_share_waits_behind_itself_and_holds_up_nobody_else() {
        let shares = Shares::new(4, 2, Duration::from_millis(20), Auth::Token);
        let first = shares.take(&caller("greedy")).await.unwrap();
        let second = shares.take(&caller("greedy")).await.unwrap();
        assert!(shares.take(&caller("greedy")).await.is_none(), "it waited in vain");
        let other = shares.take(&from(caller("other"), 2)).await.unwrap();
        let nobody = shares.take(&from(Caller::default(), 3)).await.unwrap();
        assert!(shares.take(&from(caller("fifth"), 4)).await.is_none(), "there is no more for anybody");
        drop(first);
        let third = shares.take(&caller("greedy")).await.unwrap();
        drop((second, other, nobody, third));
        assert!(shares.each().is_empty(), "nothing is kept of those who went");
    }

    #[tokio::test]
    async fn what_does_not_let_in_makes_nobody_another_caller() {
        for (auth, token_counts, certificate_counts) in [
            (Auth::None, false, false),
            (Auth::Mtls, false, true),
            (Auth::Token, true, false),
            (Auth::Both, true, true),
            (Auth::Either, true, false),
        ] {
            let shares = Shares::new(8, 1, Duration::from_millis(20), auth);
            let _first = shares.take(&from(shown("desk", "one"), 1)).await.unwrap();
            let other = shares.take(&from(shown("desk", "another"), 1)).await;
            assert_eq!(other.is_some(), token_counts, "{auth:?}");
            drop(other);
            let other = shares.take(&from(shown("till", "one"), 1)).await;
            assert_eq!(other.is_some(), certificate_counts, "{auth:?}");
        }
    }

    #[tokio::test]
    async fn who_makes_up_tokens_leaves_something_to_other_addresses() {
        let shares = Shares::new(8, 2, Duration::from_millis(20), Auth::Token);
        let mut held = Vec::new();
        for n in 0..20 {
            held.extend(shares.take(&from(caller(&format!("made up {n}")), 1)).await);
        }
        assert_eq!(held.len(), 6);
        assert!(shares.take(&from(caller("right"), 2)).await.is_some());
    }
}
