//! The key that Milagro makes of a seed: its generator, a subtract-with-borrow over 21 words, seeded from SHA-256.

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeGreater, ConstantTimeLess};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::curve::Scalar;

const WORDS: usize = 21;
/// Twice the bits of r, which is how many Milagro draws before it reduces.
const BITS: usize = 510;
const POOL_STEPS: usize = 128;
const WARM_UP: usize = 10_000;

/// The scalar of a 48-octet seed; `None` when it is zero.
pub(crate) fn scalar(seed: &[u8; 48]) -> Option<Scalar> {
    let mut generator = Generator::new(seed);
    let mut number = Zeroizing::new([0u8; 64]);
    let mut pool = Zeroizing::new([0u8; 32]);
    for bit in 0..BITS {
        if bit % 256 == 0 {
            generator.fill(&mut pool);
        }
        let value = (pool[bit % 256 / 8] >> (bit % 8)) & 1;
        let place = bit + number.len() * 8 - BITS;
        number[place / 8] |= value << (7 - place % 8);
    }
    Scalar::reduce(&*number)
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Generator {
    a: [u32; WORDS],
    borrow: u32,
    at: usize,
}

impl Generator {
    fn new(seed: &[u8; 48]) -> Self {
        let mut this = Self { a: [0; WORDS], borrow: 0, at: 0 };
        let mut digest = Zeroizing::new([0u8; 32]);
        digest.copy_from_slice(&Sha256::digest(seed));
        for word in digest.chunks_exact(4) {
            this.absorb(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
        this
    }

    fn absorb(&mut self, word: u32) {
        (self.borrow, self.at) = (0, 0);
        self.a[0] ^= word;
        let (mut w, mut m) = (word, 1u32);
        for i in 1..WORDS {
            self.a[8 * i % WORDS] ^= m;
            (w, m) = (m, w.wrapping_sub(m));
        }
        for _ in 0..WARM_UP {
            self.step();
        }
    }

    fn step(&mut self) -> u32 {
        self.at += 1;
        if self.at == WORDS {
            self.at = 0;
            self.stir();
        }
        self.a[self.at]
    }

    fn stir(&mut self) {
        for i in 0..WORDS {
            let t = self.a[(i + 15) % WORDS];
            let q = t.wrapping_sub(self.a[i]).wrapping_sub(self.borrow);
            self.borrow.conditional_assign(&0, q.ct_lt(&t));
            self.borrow.conditional_assign(&1, q.ct_gt(&t));
            self.a[i] = q;
        }
    }

    fn fill(&mut self, pool: &mut [u8; 32]) {
        let mut low = Zeroizing::new([0u8; POOL_STEPS]);
        for octet in low.iter_mut() {
            *octet = self.step().to_le_bytes()[0];
        }
        pool.copy_from_slice(&Sha256::digest(low.as_slice()));
    }
}
