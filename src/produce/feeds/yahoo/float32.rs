//! Prices that are floats of 32 bits: 232.35 is sent as 232.35000610351562. The decimal meant is the shortest one that is
//! nearest to no other float of 32 bits.

/// The shortest decimal of such a float.
pub(super) fn shortest(price: f32) -> String {
    price.to_string()
}

/// The decimal of a number that may be a float of 32 bits, widened: then that one's, else its own shortest.
pub(super) fn of_widened(price: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "what does not come back is no float of 32 bits")]
    let narrow = price as f32;
    if f64::from(narrow) == price { shortest(narrow) } else { price.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decimal_that_was_meant() {
        for (bits, want) in [(232.35_f32, "232.35"), (0.000_012_34, "0.00001234"), (79_982.98, "79982.98"), (5.0, "5")]
        {
            assert_eq!(shortest(bits), want);
            assert_eq!(of_widened(f64::from(bits)), want);
        }
        assert_eq!(of_widened(229.3000030517578), "229.3");
        assert_eq!(of_widened(68_123.456_789), "68123.456789", "a number of 64 bits stays");
        assert_eq!(of_widened(1e-9), "0.000000001");
    }
}
