//! How much of the vault one caller has at a time: so many asks, and who wants more waits behind itself.

use ipc::Caller;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Asks that are open at the vault.
pub(crate) struct Shares {
    all: Arc<Semaphore>,
    most_each: usize,
    patience: Duration,
    each: Mutex<HashMap<u64, Arc<Semaphore>>>,
    keys: RandomState,
}

/// The right to one ask; dropping it gives it back.
pub(crate) struct Share {
    shares: Arc<Shares>,
    who: u64,
    held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Shares {
    /// At most so many asks, so many of one caller, and how long it may wait for them.
    pub(crate) fn new(most: usize, most_each: usize, patience: Duration) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(most));
        Arc::new(Self { all, most_each, patience, each: Mutex::default(), keys: RandomState::new() })
    }

    /// `None` where it would take too long.
    pub(crate) async fn take(self: &Arc<Self>, caller: &Caller) -> Option<Share> {
        // Made before there is anything to wait for: a caller that goes away meanwhile leaves nothing behind.
        let mut share = Share { shares: self.clone(), who: self.who(caller), held: None };
        let own = self.each().entry(share.who).or_insert_with(|| Arc::new(Semaphore::new(self.most_each))).clone();
        let both = async { Some((own.acquire_owned().await.ok()?, self.all.clone().acquire_owned().await.ok()?)) };
        share.held = tokio::time::timeout(self.patience, both).await.ok().flatten();
        share.held.is_some().then_some(share)
    }

    /// A token is known by a hash whose key is this process's own.
    fn who(&self, caller: &Caller) -> u64 {
        let token = caller.bearer.as_ref().map(ipc::Secret::expose);
        match (token, &caller.certificate) {
            (Some(token), _) => self.keys.hash_one(("token", token)),
            (None, Some(name)) if !name.is_empty() => self.keys.hash_one(("certificate", name)),
            _ => self.keys.hash_one(caller.address.map(crate::guests::household)),
        }
    }

    fn each(&self) -> MutexGuard<'_, HashMap<u64, Arc<Semaphore>>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut each = self.shares.each();
        // Whoever waits for it or has some of it holds it too.
        if each.get(&self.who).is_some_and(|own| Arc::strong_count(own) == 1) {
            each.remove(&self.who);
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

    #[tokio::test]
    async fn who_has_its_share_waits_behind_itself_and_holds_up_nobody_else() {
        let shares = Shares::new(4, 2, Duration::from_millis(20));
        let first = shares.take(&caller("greedy")).await.unwrap();
        let second = shares.take(&caller("greedy")).await.unwrap();
        assert!(shares.take(&caller("greedy")).await.is_none(), "it waited in vain");
        let other = shares.take(&caller("other")).await.unwrap();
        let nobody = shares.take(&Caller::default()).await.unwrap();
        assert!(shares.take(&caller("fifth")).await.is_none(), "there is no more for anybody");
        drop(first);
        let third = shares.take(&caller("greedy")).await.unwrap();
        drop((second, other, nobody, third));
        assert!(shares.each().is_empty(), "nothing is kept of those who went");
    }
}
