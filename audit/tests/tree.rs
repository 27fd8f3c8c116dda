//! The tree is RFC 6962's, and what a proof says can be relied on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use audit::{Error, Hash, tree::*};
use proptest::prelude::*;

#[derive(Default)]
struct Kept(HashMap<(u8, u64), Hash>);

impl Nodes for Kept {
    type Error = Error;

    fn get(&self, level: u8, index: u64) -> Result<Option<Hash>, Error> {
        Ok(self.0.get(&(level, index)).copied())
    }
}

fn kept(leaves: &[Hash]) -> Kept {
    let mut nodes = Kept::default();
    for (size, leaf) in leaves.iter().enumerate() {
        for (level, index, hash) in completed(&nodes, size as u64, *leaf).unwrap() {
            assert!(nodes.0.insert((level, index), hash).is_none(), "a node is completed once");
        }
    }
    nodes
}

fn numbered(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

/// MTH, PATH and SUBPROOF word for word from RFC 6962 §2.1.
mod naive {
    use super::*;

    fn k(n: usize) -> usize {
        (0..).map(|power| 1 << power).take_while(|k| *k < n).last().unwrap()
    }

    pub fn mth(d: &[Hash]) -> Hash {
        match d {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => node_hash(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
        }
    }

    pub fn path(m: usize, d: &[Hash]) -> Vec<Hash> {
        if d.len() == 1 {
            return vec![];
        }
        let k = k(d.len());
        let (mut path, sibling) =
            if m < k { (path(m, &d[..k]), mth(&d[k..])) } else { (path(m - k, &d[k..]), mth(&d[..k])) };
        path.push(sibling);
        path
    }

    pub fn subproof(m: usize, d: &[Hash], b: bool) -> Vec<Hash> {
        if m == d.len() {
            return if b { vec![] } else { vec![mth(d)] };
        }
        let k = k(d.len());
        let (mut proof, sibling) = if m <= k {
            (subproof(m, &d[..k], b), mth(&d[k..]))
        } else {
            (subproof(m - k, &d[k..], false), mth(&d[..k]))
        };
        proof.push(sibling);
        proof
    }
}

/// The leaves and roots that the tests of Certificate Transparency's implementations share.
#[test]
fn the_roots_of_certificate_transparency() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect();
    let nodes = kept(&leaves);
    let mut frontier = Frontier::default();
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(hex::encode(root(&nodes, size as u64).unwrap()), *expected, "size {size}");
        assert_eq!(hex::encode(frontier.root()), *expected, "size {size}");
        if let Some(leaf) = leaves.get(size) {
            frontier.append(*leaf);
        }
    }
}

#[test]
fn every_root_and_every_proof_is_that_of_the_definition() {
    let leaves = numbered(70);
    let nodes = kept(&leaves);
    let mut frontier = Frontier::default();
    for size in 0..=leaves.len() {
        let tree = &leaves[..size];
        let top = root(&nodes, size as u64).unwrap();
        assert_eq!((top, frontier.root(), frontier.size()), (naive::mth(tree), top, size as u64));
        for (index, leaf) in tree.iter().enumerate() {
            let path = inclusion_proof(&nodes, index as u64, size as u64).unwrap();
            assert_eq!(path, naive::path(index, tree), "{index} of {size}");
            verify_inclusion(leaf, index as u64, size as u64, &path, &top).unwrap();
        }
        for old in 0..=size {
            let path = consistency_proof(&nodes, old as u64, size as u64).unwrap();
            if old > 0 {
                assert_eq!(path, naive::subproof(old, tree, true), "{old} of {size}");
            }
            verify_consistency(old as u64, size as u64, &path, &naive::mth(&leaves[..old]), &top).unwrap();
        }
        if let Some(leaf) = leaves.get(size) {
            frontier.append(*leaf);
        }
    }
}

#[test]
fn a_missing_node_or_an_impossible_proof_is_an_error() {
    let mut nodes = kept(&numbered(9));
    assert_eq!(inclusion_proof(&nodes, 9, 9), Err(Error::NoSuchProof { at: 9, size: 9 }));
    assert_eq!(inclusion_proof(&nodes, 0, 0), Err(Error::NoSuchProof { at: 0, size: 0 }));
    assert_eq!(consistency_proof(&nodes, 10, 9), Err(Error::NoSuchProof { at: 10, size: 9 }));
    assert_eq!(root(&nodes, 10), Err(Error::MissingNode { level: 1, index: 4 }));
    nodes.0.remove(&(3, 0));
    let missing = Error::MissingNode { level: 3, index: 0 };
    assert_eq!(root(&nodes, 9), Err(missing.clone()));
    assert_eq!(inclusion_proof(&nodes, 8, 9), Err(missing.clone()));
    assert_eq!(completed(&nodes, 15, [0; 32]), Err(Error::MissingNode { level: 0, index: 14 }));
    assert_eq!(completed(&nodes, u64::MAX, [0; 32]), Err(Error::TreeFull));
    assert!(root(&nodes, u64::MAX).is_err() && inclusion_proof(&nodes, u64::MAX - 1, u64::MAX).is_err());
    assert!(consistency_proof(&nodes, u64::MAX - 1, u64::MAX).is_err());
}

/// What an RFC 9162 verifier must not take: a longer or shorter proof, another place, size or root.
fn spoiled(path: &[Hash], at: usize, bit: u8) -> Vec<Vec<Hash>> {
    let mut all = vec![[path, &[[7; 32]]].concat()];
    if !path.is_empty() {
        let mut flipped = path.to_vec();
        flipped[at % path.len()][at % 32] ^= 1 << (bit % 8);
        let mut swapped = path.to_vec();
        swapped.reverse();
        all.extend([flipped, path[1..].to_vec(), path[..path.len() - 1].to_vec(), [path, &path[..1]].concat()]);
        all.extend((swapped != path).then_some(swapped));
    }
    all
}

proptest! {
    #[test]
    fn a_spoiled_proof_of_inclusion_is_refused(size in 1u64..80, index in 0u64..80, at: usize, bit: u8, other in 0u64..200) {
        let (leaves, index) = (numbered(80), index % size);
        let nodes = kept(&leaves);
        let (leaf, top) = (leaves[index as usize], root(&nodes, size).unwrap());
        let path = inclusion_proof(&nodes, index, size).unwrap();
        for bad in spoiled(&path, at, bit) {
            prop_assert_eq!(verify_inclusion(&leaf, index, size, &bad, &top), Err(Error::ProofRefused));
        }
        let mut bad = top;
        bad[at % 32] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(&leaf, index, size, &path, &bad).is_err());
        prop_assert!(verify_inclusion(&bad, index, size, &path, &top).is_err());
        if other != index {
            prop_assert!(verify_inclusion(&leaf, other, size, &path, &top).is_err());
        }
        prop_assert!(verify_inclusion(&leaf, u64::MAX - 1, u64::MAX, &path, &top).is_err());
    }

    #[test]
    fn a_spoiled_proof_of_consistency_is_refused(new in 1u64..80, old in 0u64..80, at: usize, bit: u8) {
        let (nodes, old) = (kept(&numbered(80)), old % (new + 1));
        let (was, is) = (root(&nodes, old).unwrap(), root(&nodes, new).unwrap());
        let path = consistency_proof(&nodes, old, new).unwrap();
        for bad in spoiled(&path, at, bit) {
            prop_assert_eq!(verify_consistency(old, new, &bad, &was, &is), Err(Error::ProofRefused));
        }
        let spoil = |mut hash: Hash| { hash[at % 32] ^= 1 << (bit % 8); hash };
        prop_assert!(verify_consistency(old, new, &path, &spoil(was), &is).is_err());
        if old > 0 {
            prop_assert!(verify_consistency(old, new, &path, &was, &spoil(is)).is_err());
        }
        prop_assert!(verify_consistency(new + 1, new, &path, &was, &is).is_err());
        prop_assert!(verify_consistency(u64::MAX - 1, u64::MAX, &path, &was, &is).is_err());
    }
}
