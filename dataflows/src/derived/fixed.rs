//! Fixed-point numbers of derived values: averages and what is folded of them.
//!
//! They have the scale of values (`--decimals`), or where that is less than 18, up to 6 digits more: so at least 18 of them with
//! the default. Each step is rounded half to even. An average is at most 10^29 as a scaled integer (R2), so a fixed-point number
//! is at most 10^35, and a thousand of them are below 2^127. What may be larger is added up in 256 bits.

use crate::decimal::nearest;
use crate::wide::{I256, U256};

/// Digits after the point; `decimals`: the scale of values.
pub(super) fn digits(decimals: u8) -> u8 {
    decimals.max((decimals + 6).min(18))
}

/// `numerator / denominator`, half to even. The denominator is above 0.
pub(super) fn quotient(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    whole + i128::from(up)
}

/// An average of values of this scale.
pub(super) fn average(sum: i128, count: i64, decimals: u8) -> i128 {
    let (count, more) = (i128::from(count), 10_i128.pow(u32::from(digits(decimals) - decimals)));
    if more == 1 {
        return quotient(sum, count);
    }
    // The sum times 10^6 may not fit; whole part and rest do. The whole part times 10 is even: the rest alone decides a tie.
    let (whole, rest) = (sum.div_euclid(count), sum.rem_euclid(count));
    whole * more + quotient(rest * more, count)
}

/// The nearest f64 of a sum of fixed-point numbers over a divisor.
pub(super) fn nearest_over(sum: I256, divisor: u128, decimals: u8) -> f64 {
    let one = 10_u128.pow(u32::from(digits(decimals)));
    let (negative, sum) = sum.split();
    nearest(negative, sum, U256::product(divisor, one))
}

/// The nearest f64.
pub(super) fn to_f64(fixed: i128, decimals: u8) -> f64 {
    nearest_over(I256::product(fixed, 1), 1, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_half_to_even_on_both_sides_of_0() {
        for (n, d, want) in
            [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (-8, 3, -3), (7, 3, 2), (0, 9, 0), (-1, 3, 0)]
        {
            assert_eq!(quotient(n, d), want, "{n}/{d}");
        }
    }

    #[test]
    fn averages_have_the_digits_of_values_and_up_to_six_more() {
        assert_eq!([0, 2, 12, 17, 18, 24, 28].map(digits), [6, 8, 18, 18, 18, 24, 28]);
        assert_eq!(average(10, 3, 0), 3_333_333);
        assert_eq!(average(-10, 3, 0), -3_333_333);
        assert_eq!(average(-20, 3, 0), -6_666_667);
        assert_eq!(average(5, 2, 18), 2);
        assert_eq!(average(7, 2, 18), 4);
        assert_eq!([average(-5, 2, 18), average(-7, 2, 28)], [-2, -4]);
        assert_eq!([average(1, 2_000_000, 0), average(3, 2_000_000, 0)], [0, 2]);
        let largest = 10_i128.pow(29);
        assert_eq!(average(largest * 1_000_000_000, 1_000_000_000, 0), largest * 1_000_000);
        assert!((to_f64(3_333_333, 0) - 3.333_333).abs() < f64::EPSILON);
    }
}
