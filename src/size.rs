//! Sizes as people write them.

/// `64MB`, `1GB`, `512KiB`, in bytes: units are powers of 1000 or, with an i, of 1024. Absent for any other text.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let unit: u64 = match unit {
        "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn a_number_and_a_unit() {
        for (text, bytes) in [("64MB", 64_000_000), ("1GiB", 1 << 30), ("512KiB", 512 << 10), ("7B", 7), ("2kB", 2000)]
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "5", "MB", "-1MB", "1.5MB", "1 MB", "1mb", "99999999999999999999MB", "99999999999999GB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
