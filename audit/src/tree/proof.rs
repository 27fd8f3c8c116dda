use super::{Hash, empty_root, node_hash};
use crate::Error;

/// Whether `leaf` is the leaf `index` of the tree of `size` leaves with that root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`Error::ProofRefused`], whatever is wrong with the proof.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), Error> {
    if index >= size {
        return Err(Error::ProofRefused);
    }
    let mut way = Way { at: index, last: size - 1 };
    let mut hash = *leaf;
    for sibling in path {
        hash = match way.step()? {
            Side::Left => node_hash(sibling, &hash),
            Side::Right => node_hash(&hash, sibling),
        };
    }
    accept(way.last == 0 && hash == *root)
}

/// Whether the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162 §2.1.4.2). The proof is empty where
/// `old` is 0 (whose root is that of the empty tree) or equal to `new` (whose roots must then be the same).
///
/// # Errors
/// [`Error::ProofRefused`], whatever is wrong with the proof.
pub fn verify_consistency(old: u64, new: u64, path: &[Hash], old_root: &Hash, new_root: &Hash) -> Result<(), Error> {
    if old == 0 || old >= new {
        let same = old == new && old_root == new_root;
        return accept(path.is_empty() && (same || (old == 0 && new > 0)) && (old > 0 || *old_root == empty_root()));
    }
    let mut way = Way { at: old - 1, last: new - 1 };
    let shared = way.at.trailing_ones();
    (way.at, way.last) = (way.at >> shared, way.last >> shared);
    // Where the old tree is a complete subtree of the new one, its root is left out of the proof.
    let (first, rest) = match path.split_first() {
        Some(_) if old.is_power_of_two() => (*old_root, path),
        Some((first, rest)) => (*first, rest),
        None => return Err(Error::ProofRefused),
    };
    let (mut was, mut is) = (first, first);
    for sibling in rest {
        match way.step()? {
            Side::Left => (was, is) = (node_hash(sibling, &was), node_hash(sibling, &is)),
            Side::Right => is = node_hash(&is, sibling),
        }
    }
    accept(way.last == 0 && was == *old_root && is == *new_root)
}

fn accept(good: bool) -> Result<(), Error> {
    if good { Ok(()) } else { Err(Error::ProofRefused) }
}

/// On which side the next sibling of the proof lies.
enum Side {
    Left,
    Right,
}

/// The way from a leaf to the root: `fn` and `sn` of RFC 9162.
struct Way {
    at: u64,
    last: u64,
}

impl Way {
    fn step(&mut self) -> Result<Side, Error> {
        if self.last == 0 {
            return Err(Error::ProofRefused);
        }
        let side = if self.at & 1 == 1 || self.at == self.last { Side::Left } else { Side::Right };
        if matches!(side, Side::Left) && self.at & 1 == 0 {
            // Levels at which this node has no sibling. `at == last` here, and neither is 0, so there is a lowest bit.
            let lonely = self.at.trailing_zeros();
            (self.at, self.last) = (self.at >> lonely, self.last >> lonely);
        }
        (self.at, self.last) = (self.at >> 1, self.last >> 1);
        Ok(side)
    }
}
