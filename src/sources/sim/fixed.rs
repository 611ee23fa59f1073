//! The little arithmetic that a price needs, in integers: whatever a log holds must not depend on how a platform rounds
//! or computes a logarithm.

/// The Taylor coefficients of 2^f for 0 <= f < 1, scaled by 2^32, the highest power first. Off by less than 2·10^-6.
const COEFFICIENTS: [u64; 8] =
    [65_510, 661_577, 5_726_720, 41_309_551, 238_388_333, 1_031_764_991, 2_977_044_471, 4_294_967_296];

/// `amount` x 2^(exponent / 2^32), rounded down. The exponent is within ±20 and the amount below 2^40.
pub(super) fn scale(amount: u64, exponent: i64) -> u64 {
    let fraction = (exponent & 0xffff_ffff).cast_unsigned();
    let factor = COEFFICIENTS.iter().fold(0, |sum, coefficient| ((sum * fraction) >> 32) + coefficient);
    let exact = u128::from(amount) * u128::from(factor);
    let shift = 32 - (exponent >> 32);
    u64::try_from(exact >> shift).expect("an amount below 2^40 times 2^20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_by_powers_of_two() {
        assert_eq!(scale(1_000_000, 0), 1_000_000);
        assert_eq!(scale(1_000_000, 3 << 32), 8_000_000);
        assert_eq!(scale(1_000_000, -(2 << 32)), 250_000);
        for step in -4000..4000_i32 {
            let exponent = f64::from(step) / 1000.0;
            let exact = 1e9 * exponent.exp2();
            #[expect(clippy::cast_possible_truncation, reason = "small")]
            let got = scale(1_000_000_000, (exponent * 4_294_967_296.0) as i64);
            let off = got as f64 / exact - 1.0;
            assert!(off.abs() < 2e-6, "2^{exponent}: off by {off}");
        }
    }
}
