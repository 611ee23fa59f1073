//! Durations as people write them.

/// `500ms`, `2s`, `30m`, `24h`, `7d` or `0`, in milliseconds.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn a_number_and_a_unit() {
        for (text, ms) in
            [("500ms", 500), ("2s", 2000), ("1m", 60_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0", 0)]
        {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
        for text in ["", "5", "m", "-1s", "+1s", "1.5s", "1 s", "1h30m", "99999999999999999999d", "9999999999999999d"] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
