//! Choices that a seed repeats.

use std::cell::Cell;
use std::time::SystemTime;

/// SplitMix64; its seed is printed, and given by HOSTILE_SEED.
pub struct Random(Cell<u64>);

impl Random {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("HOSTILE_SEED").map_or(now, |seed| seed.parse().expect("HOSTILE_SEED is a number"));
        println!("HOSTILE_SEED={seed}");
        Self(Cell::new(seed))
    }

    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let z = self.0.get();
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One time in so many.
    pub fn once_in(&self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn shuffle<T>(&self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}
