//! Wide integers: 256 bits, as far as exact sums of value x weight and correct rounding need them, and 128 bits in 8-byte
//! alignment.

use serde::{Deserialize, Serialize};

/// An unsigned 256-bit integer: `hi · 2^128 + lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct U256 {
    hi: u128,
    lo: u128,
}

impl From<u128> for U256 {
    fn from(lo: u128) -> Self {
        U256 { hi: 0, lo }
    }
}

impl U256 {
    /// Zero.
    pub const ZERO: U256 = U256 { hi: 0, lo: 0 };

    /// The position of the highest bit, counted from 1; 0 for zero.
    pub const fn bits(self) -> u32 {
        if self.hi > 0 { 256 - self.hi.leading_zeros() } else { 128 - self.lo.leading_zeros() }
    }

    /// Shifted left by fewer than 256 bits; the caller knows that nothing is lost.
    #[must_use]
    pub const fn shl(self, by: u32) -> Self {
        match by {
            0 => self,
            1..128 => U256 { hi: self.hi << by | self.lo >> (128 - by), lo: self.lo << by },
            _ => U256 { hi: self.lo << (by - 128), lo: 0 },
        }
    }

    /// Shifted right by fewer than 256 bits.
    #[must_use]
    pub const fn shr(self, by: u32) -> Self {
        match by {
            0 => self,
            1..128 => U256 { hi: self.hi >> by, lo: self.lo >> by | self.hi << (128 - by) },
            _ => U256 { hi: 0, lo: self.hi >> (by - 128) },
        }
    }

    /// How many bits below the lowest that is set; of a number that is not 0.
    pub const fn trailing_zeros(self) -> u32 {
        if self.lo > 0 { self.lo.trailing_zeros() } else { 128 + self.hi.trailing_zeros() }
    }

    /// The same number, if it has 64 bits at most.
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.lo).ok().filter(|_| self.hi == 0)
    }

    /// The lower 128 bits.
    pub const fn low(self) -> u128 {
        self.lo
    }

    /// The whole quotient and the remainder.
    ///
    /// # Panics
    /// When the divisor is 0.
    pub fn div_rem(self, divisor: u64) -> (U256, u64) {
        let mut rest = 0_u128;
        let mut next = |digit: u128| {
            let part = rest << 64 | digit;
            if part == 0 {
                return 0;
            }
            let digit = part / u128::from(divisor);
            rest = part - digit * u128::from(divisor);
            digit
        };
        let low = u128::from(u64::MAX);
        let hi = next(self.hi >> 64) << 64 | next(self.hi & low);
        let lo = next(self.lo >> 64) << 64 | next(self.lo & low);
        (U256 { hi, lo }, u64::try_from(rest).expect("less than the divisor"))
    }

    /// The difference, if it is not negative.
    pub fn checked_sub(self, other: U256) -> Option<U256> {
        let (lo, borrow) = self.lo.overflowing_sub(other.lo);
        let hi = self.hi.checked_sub(other.hi)?.checked_sub(u128::from(borrow))?;
        Some(U256 { hi, lo })
    }

    /// The sum, which must fit.
    #[must_use]
    pub fn plus(self, other: U256) -> U256 {
        let (lo, carry) = self.lo.overflowing_add(other.lo);
        U256 { hi: self.hi + other.hi + u128::from(carry), lo }
    }

    /// The product, which must fit.
    #[must_use]
    pub fn times(self, by: u64) -> U256 {
        let low = U256::product(self.lo, by.into());
        U256 { hi: self.hi * u128::from(by) + low.hi, lo: low.lo }
    }

    /// The whole part of the root.
    pub fn isqrt(self) -> u128 {
        let mut root = 0_u128;
        for bit in (0..self.bits().div_ceil(2)).rev() {
            let more = root | 1 << bit;
            if U256::product(more, more) <= self {
                root = more;
            }
        }
        root
    }

    /// The whole product of two 128-bit numbers.
    pub fn product(a: u128, b: u128) -> U256 {
        const LOW: u128 = u64::MAX as u128;
        let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
        let (low, mid, cross, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
        let carry = ((low >> 64) + (mid & LOW) + (cross & LOW)) >> 64;
        let lo = low.wrapping_add(mid << 64).wrapping_add(cross << 64);
        U256 { hi: high + (mid >> 64) + (cross >> 64) + carry, lo }
    }
}

/// A signed 256-bit integer in two's complement: `hi · 2^128 + lo`. Value x weight alone reaches 10^58 at any
/// scale (R2), and a sum of 1.7·10^9 of them 10^68; 2^255 is 5·10^76.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct I256 {
    hi: i128,
    lo: u128,
}

impl I256 {
    /// Zero.
    pub const ZERO: I256 = I256 { hi: 0, lo: 0 };

    /// From `hi · 2^128 + lo`.
    pub const fn from_halves(hi: i128, lo: u128) -> I256 {
        I256 { hi, lo }
    }

    /// `hi` and `lo` of `hi · 2^128 + lo`.
    pub const fn halves(self) -> (i128, u128) {
        (self.hi, self.lo)
    }

    /// The whole product.
    pub fn product(a: i128, b: i128) -> I256 {
        let U256 { hi, lo } = U256::product(a.unsigned_abs(), b.unsigned_abs());
        let positive = I256 { hi: i128::try_from(hi).expect("the product of two i128 fits"), lo };
        if (a < 0) == (b < 0) { positive } else { positive.negated() }
    }

    /// The sum; overflow is far beyond what R2's bounds allow.
    #[must_use]
    pub fn plus(self, other: I256) -> I256 {
        let (lo, carry) = self.lo.overflowing_add(other.lo);
        I256 { hi: self.hi + other.hi + i128::from(carry), lo }
    }

    /// Its negation.
    #[must_use]
    pub fn negated(self) -> I256 {
        let (lo, carry) = (!self.lo).overflowing_add(1);
        I256 { hi: (!self.hi) + i128::from(carry), lo }
    }

    /// Is it below zero, and its magnitude.
    pub fn split(self) -> (bool, U256) {
        let magnitude = if self.hi < 0 { self.negated() } else { self };
        (self.hi < 0, U256 { hi: magnitude.hi.unsigned_abs(), lo: magnitude.lo })
    }
}

/// A 128-bit integer that aligns to 8 bytes: an `i128` would make every diff a quarter larger, and every row in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Int128 {
    hi: i64,
    lo: u64,
}

impl Int128 {
    /// Of this integer.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    #[inline]
    pub const fn new(n: i128) -> Self {
        Int128 { hi: (n >> 64) as i64, lo: n.cast_unsigned() as u64 }
    }

    /// The integer.
    #[inline]
    pub const fn get(self) -> i128 {
        (self.hi as i128) << 64 | self.lo as i128
    }

    /// Adds; overflow is far beyond what R2's bounds allow.
    #[inline]
    pub fn add(&mut self, other: Int128) {
        *self = Int128::new(self.get() + other.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_signed_128_bit_integers() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..10_000 {
            let (a, b) = (rng.i128(..) >> 1, rng.i128(..) >> rng.u32(1..127));
            let mut sum = Int128::new(a);
            sum.add(Int128::new(b));
            assert_eq!(sum.get(), a + b);
            assert_eq!(Int128::new(a) < Int128::new(b), a < b);
        }
        assert_eq!((size_of::<Int128>(), align_of::<Int128>()), (16, 8));
    }

    #[test]
    fn products_and_sums_agree_with_smaller_ones() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..100_000 {
            let (a, b, c) = (rng.i64(..), rng.i64(..), rng.i128(..) >> 2);
            let small = i128::from(a) * i128::from(b) / 4 + c / 2;
            let wide = |n: i128| I256 { hi: if n < 0 { -1 } else { 0 }, lo: n.cast_unsigned() };
            assert_eq!(I256::product(a.into(), b.into()), wide(i128::from(a) * i128::from(b)));
            assert_eq!(wide(i128::from(a) * i128::from(b) / 4).plus(wide(c / 2)), wide(small));
            assert_eq!(wide(small).negated(), wide(-small));
        }
    }

    #[test]
    fn roots_are_whole_parts() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..10_000 {
            let root = rng.u128(..) >> rng.u32(2..128);
            let square = U256::product(root, root);
            let next = square.plus(U256::from(root)).plus(U256::from(root)); // (root + 1)² − 1
            assert_eq!((square.isqrt(), next.isqrt()), (root, root));
            assert_eq!(square.times(3), square.plus(square).plus(square));
        }
    }

    #[test]
    fn large_products_distribute() {
        // (a·2^64 + b)·c = a·c·2^64 + b·c, with every term built by another path
        let mut rng = fastrand::Rng::new();
        for _ in 0..100_000 {
            let (a, b, c) = (rng.u64(..), rng.u64(..), rng.u128(..) >> 64);
            let whole = U256::product(u128::from(a) << 64 | u128::from(b), c);
            let parts = U256::from(u128::from(a) * c).shl(64);
            assert_eq!(whole.checked_sub(parts), Some(U256::from(u128::from(b) * c)));
        }
    }
}
