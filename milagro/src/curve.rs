//! The only `unsafe` of this crate: blst's points, fields and scalars behind types whose values are always valid.
//!
//! One invariant carries every block: the functions called read and write whole structs of fixed size (the size is in
//! their C declaration, the same as the Rust type's) through pointers made from references, keep none of them, and may
//! be given the same struct as input and output. Only what differs from that is said at the block.
#![allow(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]

use blst::*;
use subtle::ConstantTimeEq;
use zeroize::{DefaultIsZeroes, Zeroizing};

use crate::error::Error;

/// 1 − z, z being the curve's parameter. It is enough to bring a point into the subgroup (RFC 9380 §8.8.1, h_eff).
const TO_SUBGROUP: u64 = 0xd201_0000_0001_0001;
/// What is missing then from a multiple by the cofactor in full, which is Milagro's.
const REMAINDER: u64 = TO_SUBGROUP / 3;
const _: () = assert!(TO_SUBGROUP as u128 * REMAINDER as u128 == 0x396c_8c00_5555_e156_8c00_aaab_0000_aaab);

/// A scalar mod r, wiped on drop.
pub(crate) struct Scalar(blst_scalar);

impl Scalar {
    /// From 48 octets, big-endian; zero and everything not below r is refused.
    pub(crate) fn from_be(octets: &[u8; 48], what: &'static str) -> Result<Self, Error> {
        let (high, low) = octets.split_at(16);
        let mut out = blst_scalar::default();
        // SAFETY: the module's invariant; `low` is the 32 octets that the second pointer is read for.
        let in_range = unsafe {
            blst_scalar_from_bendian(&mut out, low.as_ptr());
            blst_sk_check(&out)
        };
        let padded = bool::from(high.ct_eq(&[0; 16]));
        if in_range & padded { Ok(Self(out)) } else { Err(Error::Scalar(what)) }
    }

    /// The big-endian number in `octets`, of any length, mod r; `None` when that is zero.
    pub(crate) fn reduce(octets: &[u8]) -> Option<Self> {
        let mut out = blst_scalar::default();
        // SAFETY: the module's invariant; pointer and length are those of one slice.
        let non_zero = unsafe { blst_scalar_from_be_bytes(&mut out, octets.as_ptr(), octets.len()) };
        non_zero.then_some(Self(out))
    }

    /// A small number; zero is allowed here.
    pub(crate) fn small(n: u32) -> Self {
        let mut out = blst_scalar::default();
        out.b[..4].copy_from_slice(&n.to_le_bytes());
        Self(out)
    }

    pub(crate) fn to_be(&self) -> Zeroizing<[u8; 48]> {
        let mut out = Zeroizing::new([0; 48]);
        let low = &mut out[16..];
        // SAFETY: the module's invariant; `low` is the 32 octets that are written.
        unsafe { blst_bendian_from_scalar(low.as_mut_ptr(), &self.0) };
        out
    }

    /// The product mod r, zero only if the scalar is.
    fn times_remainder(&self) -> Self {
        let (mut remainder, mut out) = (blst_scalar::default(), blst_scalar::default());
        remainder.b[..8].copy_from_slice(&REMAINDER.to_le_bytes());
        // SAFETY: the module's invariant.
        unsafe { blst_sk_mul_n_check(&mut out, &self.0, &remainder) };
        Self(out)
    }

    /// The sum mod r; `None` when that is zero.
    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        let mut out = blst_scalar::default();
        // SAFETY: the module's invariant.
        let non_zero = unsafe { blst_sk_add_n_check(&mut out, &self.0, &other.0) };
        non_zero.then_some(Self(out))
    }
}

/// A point of G1's prime-order subgroup, infinity included.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct G1(blst_p1);

/// All zeros is how blst writes infinity, so wiping leaves a valid point.
impl DefaultIsZeroes for G1 {}

impl G1 {
    /// From x ‖ y; infinity is refused like everything else that is no point of the subgroup.
    pub(crate) fn from_xy(octets: &[u8; 96], what: &'static str) -> Result<Self, Error> {
        refuse_flags(octets[0], what)?;
        if bool::from(octets.ct_eq(&[0; 96])) {
            return Err(Error::Infinity(what));
        }
        let mut affine = blst_p1_affine::default();
        // SAFETY: the module's invariant; without flag bits, 96 octets are read.
        point_read(unsafe { blst_p1_deserialize(&mut affine, octets.as_ptr()) }, what)?;
        Self::in_subgroup(affine, what)
    }

    /// From x and the lowest bit of y.
    pub(crate) fn from_x(octets: &[u8; 48], odd: bool, what: &'static str) -> Result<Self, Error> {
        refuse_flags(octets[0], what)?;
        let mut flagged = *octets;
        flagged[0] |= 0x80;
        let mut affine = blst_p1_affine::default();
        // SAFETY: the module's invariant; with the flag for "compressed" set above, 48 octets are read.
        point_read(unsafe { blst_p1_uncompress(&mut affine, flagged.as_ptr()) }, what)?;
        let flip = is_odd(&affine.y) != odd;
        // SAFETY: the module's invariant.
        unsafe {
            let y = &raw mut affine.y;
            blst_fp_cneg(y, y, flip);
        }
        Self::in_subgroup(affine, what)
    }

    fn in_subgroup(affine: blst_p1_affine, what: &'static str) -> Result<Self, Error> {
        let mut point = Self::default();
        // SAFETY: the module's invariant; `affine` was found on the curve before.
        let inside = unsafe {
            blst_p1_from_affine(&mut point.0, &affine);
            blst_p1_affine_in_g1(&affine)
        };
        if inside { Ok(point) } else { Err(Error::OutsideSubgroup(what)) }
    }

    /// x ‖ y; infinity gives zeros.
    pub(crate) fn to_xy(self) -> [u8; 96] {
        let mut out = [0; 96];
        if !self.is_infinity() {
            // SAFETY: the module's invariant; 96 octets are written.
            unsafe { blst_p1_serialize(out.as_mut_ptr(), &self.0) };
        }
        out
    }

    /// Milagro's map: the first x from `octets` mod p upwards that has a point whose multiple by the cofactor is not
    /// infinity; of the two, the one with even y. Its time depends on `octets`, which are public.
    pub(crate) fn map(octets: &[u8; 48]) -> Self {
        Self::first_in_subgroup(octets).times_public(REMAINDER)
    }

    /// The map's multiple by a secret, in constant time for the secret. Half of the cofactor goes into the scalar, which
    /// saves a multiplication of the point.
    pub(crate) fn map_mul(octets: &[u8; 48], scalar: &Scalar) -> Self {
        Self::first_in_subgroup(octets).mul(&scalar.times_remainder())
    }

    fn first_in_subgroup(octets: &[u8; 48]) -> Self {
        let one = fp_small(1);
        let mut x = blst_fp::default();
        // SAFETY: the module's invariant; pointer and length are those of one array.
        unsafe { blst_fp_from_be_bytes(&mut x, octets.as_ptr(), octets.len()) };
        loop {
            match Self::lift(&x).map(|point| point.times_public(TO_SUBGROUP)) {
                Some(point) if !point.is_infinity() => return point,
                _ => {}
            }
            // SAFETY: the module's invariant.
            unsafe {
                let x = &raw mut x;
                blst_fp_add(x, x, &one);
            }
        }
    }

    /// The one point of the curve, not yet of the subgroup, with this x and an even y.
    fn lift(x: &blst_fp) -> Option<Self> {
        let four = fp_small(4);
        let mut root = blst_fp::default();
        // SAFETY: the module's invariant. The test for a square comes first because it costs a fraction of the root.
        let is_square = unsafe {
            let y = &raw mut root;
            blst_fp_sqr(y, x);
            blst_fp_mul(y, y, x);
            blst_fp_add(y, y, &four);
            blst_fp_is_square(y) && blst_fp_sqrt(y, y)
        };
        if !is_square {
            return None;
        }
        let odd = is_odd(&root);
        let mut out = Self::default();
        // SAFETY: the module's invariant.
        unsafe {
            let y = &raw mut root;
            blst_fp_cneg(y, y, odd);
            blst_p1_from_affine(&mut out.0, &blst_p1_affine { x: *x, y: root });
        }
        Some(out)
    }

    fn times_public(&self, n: u64) -> Self {
        let mut out = Self::default();
        // SAFETY: the module's invariant; 64 bits are the 8 octets. Below 176 bits blst_p1_mult uses no endomorphism, so
        // the point need not be in the subgroup.
        unsafe { blst_p1_mult(&mut out.0, &self.0, n.to_le_bytes().as_ptr(), 64) };
        out
    }

    /// The multiple by a secret, in constant time, normalised so that nothing of it shows in Z.
    pub(crate) fn mul(&self, scalar: &Scalar) -> Self {
        let mut out = Self::default();
        // SAFETY: the module's invariant; the point is in the subgroup and the scalar below r, as the endomorphism needs.
        unsafe { blst_sign_pk_in_g2(&mut out.0, &self.0, &scalar.0) };
        out
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: the module's invariant.
        unsafe { blst_p1_add_or_double(&mut out.0, &self.0, &other.0) };
        out
    }

    pub(crate) fn neg(mut self) -> Self {
        // SAFETY: the module's invariant.
        unsafe { blst_p1_cneg(&mut self.0, true) };
        self
    }

    pub(crate) fn is_infinity(&self) -> bool {
        // SAFETY: the module's invariant.
        unsafe { blst_p1_is_inf(&self.0) }
    }

    fn affine(&self) -> blst_p1_affine {
        let mut out = blst_p1_affine::default();
        // SAFETY: the module's invariant.
        unsafe { blst_p1_to_affine(&mut out, &self.0) };
        out
    }
}

/// A point of G2's prime-order subgroup, infinity included.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct G2(blst_p2);

impl G2 {
    /// From x.a ‖ x.b ‖ y.a ‖ y.b; infinity is refused like everything else that is no point of the subgroup.
    pub(crate) fn from_bytes(octets: &[u8; 192], what: &'static str) -> Result<Self, Error> {
        if *octets == [0; 192] {
            return Err(Error::Infinity(what));
        }
        let swapped = swap_parts(octets);
        refuse_flags(swapped[0], what)?;
        let (mut affine, mut point) = (blst_p2_affine::default(), Self::default());
        // SAFETY: the module's invariant; without flag bits, 192 octets are read.
        point_read(unsafe { blst_p2_deserialize(&mut affine, swapped.as_ptr()) }, what)?;
        // SAFETY: the module's invariant; `affine` is on the curve.
        let inside = unsafe {
            blst_p2_from_affine(&mut point.0, &affine);
            blst_p2_affine_in_g2(&affine)
        };
        if inside { Ok(point) } else { Err(Error::OutsideSubgroup(what)) }
    }

    pub(crate) fn to_bytes(self) -> [u8; 192] {
        let mut out = [0; 192];
        // SAFETY: the module's invariant; 192 octets are written.
        unsafe { blst_p2_serialize(out.as_mut_ptr(), &self.0) };
        swap_parts(&out)
    }

    pub(crate) fn generator() -> Self {
        // SAFETY: the function returns a pointer to a constant of the library.
        Self(unsafe { *blst_p2_generator() })
    }

    /// The generator's multiple by a secret, in constant time.
    pub(crate) fn of(scalar: &Scalar) -> Self {
        let mut out = Self::default();
        // SAFETY: the module's invariant.
        unsafe { blst_sk_to_pk_in_g2(&mut out.0, &scalar.0) };
        out
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: the module's invariant.
        unsafe { blst_p2_add_or_double(&mut out.0, &self.0, &other.0) };
        out
    }

    pub(crate) fn is_infinity(&self) -> bool {
        // SAFETY: the module's invariant.
        unsafe { blst_p2_is_inf(&self.0) }
    }

    fn affine(&self) -> blst_p2_affine {
        let mut out = blst_p2_affine::default();
        // SAFETY: the module's invariant.
        unsafe { blst_p2_to_affine(&mut out, &self.0) };
        out
    }
}

/// Whether e(a, b) = e(c, d).
pub(crate) fn pairings_equal(a: &G1, b: &G2, c: &G1, d: &G2) -> bool {
    let left = blst_fp12::miller_loop(&b.affine(), &a.affine());
    let right = blst_fp12::miller_loop(&d.affine(), &c.affine());
    blst_fp12::finalverify(&left, &right)
}

/// blst keeps its flags in the three bits that no coordinate below p has; here they are nobody's.
fn refuse_flags(first: u8, what: &'static str) -> Result<(), Error> {
    if first & 0xe0 == 0 { Ok(()) } else { Err(Error::Coordinate(what)) }
}

fn point_read(code: BLST_ERROR, what: &'static str) -> Result<(), Error> {
    match code {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Err(Error::OffCurve(what)),
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(Error::OutsideSubgroup(what)),
        _ => Err(Error::Coordinate(what)),
    }
}

/// Between Milagro's order of an Fp2's halves (real part first) and blst's.
fn swap_parts(octets: &[u8; 192]) -> [u8; 192] {
    let mut out = *octets;
    for pair in out.chunks_exact_mut(96) {
        pair.rotate_left(48);
    }
    out
}

fn fp_small(n: u64) -> blst_fp {
    let mut out = blst_fp::default();
    // SAFETY: the module's invariant; six limbs are read.
    unsafe { blst_fp_from_uint64(&mut out, [n, 0, 0, 0, 0, 0].as_ptr()) };
    out
}

fn is_odd(y: &blst_fp) -> bool {
    let mut octets = [0; 48];
    // SAFETY: the module's invariant; 48 octets are written.
    unsafe { blst_bendian_from_fp(octets.as_mut_ptr(), y) };
    octets[47] & 1 == 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// x = 0 has the point (0, 2) of order 3, which the cofactor kills.
    #[test]
    fn the_map_never_gives_infinity() {
        let point = G1::map(&[0; 48]);
        assert!(!point.is_infinity());
        assert!(G1::from_xy(&point.to_xy(), "").is_ok());
        assert!(G1::lift(&fp_small(0)).unwrap().times_public(TO_SUBGROUP).is_infinity());
    }

    #[test]
    fn both_ways_through_the_cofactor_meet() {
        for n in 0..64 {
            let scalar = Scalar::reduce(&[n + 1; 48]).unwrap();
            assert!(G1::map_mul(&[n; 48], &scalar) == G1::map(&[n; 48]).mul(&scalar));
            assert!(G1::from_xy(&G1::map(&[n; 48]).to_xy(), "").is_ok());
        }
    }

    #[test]
    fn the_map_takes_its_octets_mod_p() {
        let mut p = hex::decode(
            "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
        )
        .unwrap();
        p[47] += 5;
        let mut five = [0; 48];
        five[47] = 5;
        assert!(G1::map(p.as_slice().try_into().unwrap()) == G1::map(&five));
        assert!(!G1::map(&[0xff; 48]).is_infinity());
    }

    #[test]
    fn sums_wrap_around_the_order() {
        let one = Scalar::small(1);
        let mut last = [0; 48];
        last[16..]
            .copy_from_slice(&hex::decode("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000").unwrap());
        let last = Scalar::from_be(&last, "").unwrap();
        assert!(last.add(&one).is_none());
        assert_eq!(*last.add(&Scalar::small(2)).unwrap().to_be(), *one.to_be());
    }
}
