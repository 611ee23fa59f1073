//! Powers of ten, fractions, and the three ways in which they are rounded.

use num_bigint::{BigInt, Sign};
use num_rational::Ratio;
use num_traits::ToPrimitive;

/// 10^digits.
pub(super) fn power_of_ten(digits: u32) -> BigInt {
    BigInt::from(10_u8).pow(digits)
}

/// The whole number nearest to a fraction, ties to even. The denominator is above 0.
pub(super) fn half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    // Twice the fraction and one half more, rounded down, is one too much at a tie with an odd number.
    let twice: BigInt = numerator * 2 + denominator;
    let double = denominator * 2;
    let floor = floor(&twice, &double);
    let is_tie = &floor * &double == twice;
    if is_tie && floor.bit(0) { floor - 1 } else { floor }
}

/// The greatest whole number that is not above a fraction.
fn floor(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    if rest.sign() == Sign::Minus { quotient - 1 } else { quotient }
}

/// The f64 nearest to a fraction, ties to even. The denominator is above 0.
pub(super) fn nearest(numerator: BigInt, denominator: BigInt) -> f64 {
    Ratio::new(numerator, denominator).to_f64().unwrap_or(f64::NAN)
}

/// The f64 nearest to the root of a fraction that is not below 0.
pub(super) fn nearest_root(numerator: &BigInt, denominator: &BigInt) -> f64 {
    // The root of the fraction times 4^shift, with 64 bits or more before the point, and one bit that says whether it is cut off.
    let shift = (130 + denominator.bits()).saturating_sub(numerator.bits()).div_ceil(2);
    let scaled: BigInt = numerator << (2 * shift);
    let root = (&scaled / denominator).sqrt();
    let is_cut = &root * &root * denominator != scaled;
    nearest(root * 2 + u8::from(is_cut), BigInt::from(1) << (shift + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        let rounded = |numerator: i64, denominator: i64| half_even(&numerator.into(), &denominator.into());
        for (numerator, denominator, want) in [
            (1, 2, 0),
            (3, 2, 2),
            (5, 2, 2),
            (-1, 2, 0),
            (-3, 2, -2),
            (-5, 2, -2),
            (7, 3, 2),
            (8, 3, 3),
            (-8, 3, -3),
            (6, 3, 2),
        ] {
            assert_eq!(rounded(numerator, denominator), want.into(), "{numerator}/{denominator}");
        }
    }

    #[test]
    fn roots_are_those_of_the_processor_where_that_is_right() {
        for square in [0_u32, 1, 2, 3, 4, 50, 1 << 30] {
            assert_eq!(
                nearest_root(&square.into(), &1.into()).to_bits(),
                f64::from(square).sqrt().to_bits(),
                "{square}"
            );
        }
        assert_eq!(nearest_root(&1.into(), &power_of_ten(36)), 1e-18);
    }
}
