//! Memory that is not swapped and is wiped on drop.
#![allow(unsafe_code)]

use std::ops::Deref;
use zeroize::ZeroizeOnDrop;

/// A secret in locked memory. `T` wipes itself on drop; its page stays locked, for a neighbour may share it.
pub struct Locked<T: ZeroizeOnDrop>(Box<T>);

impl<T: ZeroizeOnDrop> Locked<T> {
    /// Moves `value` into locked memory. Fails where `RLIMIT_MEMLOCK` is used up.
    pub fn new(value: T) -> std::io::Result<Self> {
        let held = Box::new(value);
        let start: *const T = &*held;
        // SAFETY: the range is the box's own allocation, alive for the whole call; mlock reads and writes nothing of it.
        unsafe { rustix::mm::mlock(start.cast_mut().cast(), size_of::<T>()) }?;
        Ok(Self(held))
    }
}

impl<T: ZeroizeOnDrop> Deref for Locked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn a_locked_secret_counts_as_locked_memory() {
        let locked = |status: String| -> u64 {
            let line = status.lines().find(|l| l.starts_with("VmLck:")).unwrap().to_owned();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let before = locked(std::fs::read_to_string("/proc/self/status").unwrap());
        let secret = Locked::new(Zeroizing::new([7u8; 8192])).unwrap();
        let after = locked(std::fs::read_to_string("/proc/self/status").unwrap());
        assert!(after >= before + 8, "VmLck {before} kB before, {after} kB after");
        assert_eq!(secret[0], 7);
    }
}
