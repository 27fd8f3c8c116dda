//! What a request is called in its answer (`x-request-id`) and in the logs: as the client calls it, else as we do.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipc::RequestId;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Default)]
pub(crate) struct RequestIds {
    keys: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    /// A client's own that is none is passed over: an odd header is no reason to refuse what is asked.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        let own = headers.get(HEADER).and_then(|value| RequestId::new(value.to_str().ok()?));
        own.unwrap_or_else(|| self.fresh())
    }

    /// By random keys; nothing is protected by them.
    fn fresh(&self) -> RequestId {
        RequestId::numbered(self.keys.hash_one(self.count.fetch_add(1, Ordering::Relaxed)))
    }
}

/// For the answer.
pub(crate) fn value(id: &RequestId) -> Option<HeaderValue> {
    HeaderValue::from_str(id.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_its_request_or_it_gets_a_name() {
        let ids = RequestIds::default();
        let with = |text: &str| HeaderMap::from_iter([(HEADER, HeaderValue::from_str(text).unwrap())]);
        assert_eq!(ids.of(&with("order-7.a_B")).as_str(), "order-7.a_B");
        let fresh = ids.of(&HeaderMap::new());
        assert_eq!((fresh.as_str().len(), value(&fresh).is_some()), (16, true));
        for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
            let named = ids.of(&with(odd));
            assert!(named.as_str().len() == 16 && named != fresh, "{odd:?} {named}");
        }
    }
}
