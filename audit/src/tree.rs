//! The Merkle tree of RFC 6962 §2.1 over SHA-256, without a place to keep it.

mod frontier;
mod proof;

use sha2::{Digest, Sha256};

use crate::Error;
pub use frontier::Frontier;
pub use proof::{verify_consistency, verify_inclusion};

/// A SHA-256 digest: 32 octets.
pub type Hash = [u8; 32];

/// Where the hashes of *complete* subtrees are kept: what [`completed`] returned for each leaf that was appended.
pub trait Nodes {
    /// The store's own error; the tree's errors (a missing node, a proof that does not exist) go into it.
    type Error: From<Error>;

    /// The hash of the complete subtree over the leaves `index << level` up to, but without, `(index + 1) << level`.
    /// Level 0 is the leaves' hashes.
    fn get(&self, level: u8, index: u64) -> Result<Option<Hash>, Self::Error>;
}

/// The hash of a leaf: SHA-256(0x00 ‖ raw).
pub fn leaf_hash(raw: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(raw).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The nodes `(level, index, hash)` that appending `leaf` to a tree of `size_before` leaves completes: the leaf itself
/// at level 0, then upwards. All of them are to be kept; 1 at the least, 64 at the most, 2 on average.
pub fn completed<N: Nodes>(nodes: &N, size_before: u64, leaf: Hash) -> Result<Vec<(u8, u64, Hash)>, N::Error> {
    if size_before == u64::MAX {
        return Err(Error::TreeFull.into());
    }
    let (mut level, mut index, mut hash) = (0, size_before, leaf);
    let mut made = vec![(level, index, hash)];
    while index & 1 == 1 {
        hash = node_hash(&kept(nodes, level, index - 1)?, &hash);
        (level, index) = (level + 1, index >> 1);
        made.push((level, index, hash));
    }
    Ok(made)
}

/// The root of the first `size` leaves.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty_root()) } else { range(nodes, 0, size) }
}

/// PATH(index, D[size]) of RFC 6962 §2.1.1: the siblings from the leaf up.
pub fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    if index >= size {
        return Err(Error::NoSuchProof { at: index, size }.into());
    }
    let (mut start, mut count, mut path) = (0, size, Vec::new());
    while count > 1 {
        let left = split(count);
        if index - start < left {
            path.push(range(nodes, start + left, count - left)?);
            count = left;
        } else {
            path.push(range(nodes, start, left)?);
            (start, count) = (start + left, count - left);
        }
    }
    path.reverse();
    Ok(path)
}

/// PROOF(old, D[new]) of RFC 6962 §2.1.2. Empty for `old == 0` and for `old == new`, as C2SP tlog-witness wants it.
pub fn consistency_proof<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    if old > new {
        return Err(Error::NoSuchProof { at: old, size: new }.into());
    }
    let (mut start, mut count, mut path) = (0, new, Vec::new());
    if old == 0 || old == new {
        return Ok(path);
    }
    // SUBPROOF(m, D[n], b): b is whether the old tree is still the whole of what lies left of it.
    let mut whole = true;
    while old - start != count {
        let left = split(count);
        if old - start <= left {
            path.push(range(nodes, start + left, count - left)?);
            count = left;
        } else {
            path.push(range(nodes, start, left)?);
            (start, count) = (start + left, count - left);
            whole = false;
        }
    }
    if !whole {
        path.push(range(nodes, start, count)?);
    }
    path.reverse();
    Ok(path)
}

/// MTH over `count` leaves from `start`; `count` is at least 1, and `start` is one that halving by [`split`] leads to.
fn range<N: Nodes>(nodes: &N, mut start: u64, mut count: u64) -> Result<Hash, N::Error> {
    let mut lefts = Vec::new();
    while !count.is_power_of_two() {
        let left = split(count);
        lefts.push(complete(nodes, start, left)?);
        (start, count) = (start + left, count - left);
    }
    let last = complete(nodes, start, count)?;
    Ok(lefts.iter().rfold(last, |right, left| node_hash(left, &right)))
}

/// The kept hash of `count` leaves from `start`: a power of two, and `start` a multiple of it.
fn complete<N: Nodes>(nodes: &N, start: u64, count: u64) -> Result<Hash, N::Error> {
    let level = count.trailing_zeros();
    kept(nodes, level as u8, start >> level)
}

fn kept<N: Nodes>(nodes: &N, level: u8, index: u64) -> Result<Hash, N::Error> {
    nodes.get(level, index)?.ok_or_else(|| Error::MissingNode { level, index }.into())
}

/// The largest power of two that is smaller than `count`; `count` is at least 2 (RFC 6962 §2.1).
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}
