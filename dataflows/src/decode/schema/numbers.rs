//! Numbers of schemas to the text that a decimal is read from (R2): the exact digits, in JSON's grammar.

use super::super::scalar::Scalar;
use std::borrow::Cow;

/// Bytes of an integer at most; it has up to 154 digits, and no value more than 30.
const MOST_BYTES: usize = 64;
/// Digits after the point, or zeros before it, that are written out.
const MOST_ZEROS: u64 = 64;

/// An integer in two's complement, most significant byte first, times 10^-scale.
pub(crate) fn decimal<'a>(bytes: &[u8], scale: i64) -> Scalar<'a> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let filler = if negative { 0xff } else { 0 };
    let significant = bytes.iter().position(|byte| *byte != filler).map_or(&[][..], |at| &bytes[at..]);
    if bytes.is_empty() || significant.len() > MOST_BYTES {
        return Scalar::Other(format!("a decimal of {} bytes", bytes.len()).into());
    }
    Scalar::Literal(scaled(negative, digits(significant, negative), scale).into())
}

/// The digits of the magnitude. `bytes` may lack leading bytes that say the sign alone.
fn digits(bytes: &[u8], negative: bool) -> Vec<u8> {
    // The magnitude of a negative one is its complement and 1. In limbs of 32 bits, the most significant first.
    let mut limbs = vec![0_u64; bytes.len().div_ceil(4) + 1];
    let last = limbs.len() * 4;
    for (at, byte) in bytes.iter().enumerate() {
        let place = last - bytes.len() + at;
        let byte = if negative { !byte } else { *byte };
        limbs[place / 4] |= u64::from(byte) << (8 * (3 - place % 4));
    }
    if negative {
        for limb in limbs.iter_mut().rev() {
            *limb = (*limb + 1) & 0xffff_ffff;
            if *limb != 0 {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut remainder = 0;
        for limb in &mut limbs {
            let dividend = (remainder << 32) | *limb;
            (*limb, remainder) = (dividend / 10, dividend % 10);
        }
        digits.push(b'0' + u8::try_from(remainder).expect("below 10"));
    }
    digits.reverse();
    if digits.is_empty() {
        digits.push(b'0');
    }
    digits
}

/// These digits times 10^-scale, written out where that is short.
fn scaled(negative: bool, digits: Vec<u8>, scale: i64) -> String {
    let mut text = String::from(if negative { "-" } else { "" });
    let digits = String::from_utf8(digits).expect("digits are ASCII");
    match usize::try_from(scale) {
        _ if scale.unsigned_abs() > MOST_ZEROS => {
            text.push_str(&digits);
            text.push_str(&format!("e{}", -i128::from(scale)));
        }
        Ok(0) => text.push_str(&digits),
        Ok(places) => {
            let digits = format!("{digits:0>width$}", width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            text.push_str(whole);
            text.push('.');
            text.push_str(fraction);
        }
        Err(_) if digits == "0" => text.push('0'),
        Err(_) => {
            text.push_str(&digits);
            text.extend(std::iter::repeat_n('0', usize::try_from(scale.unsigned_abs()).expect("at most 64")));
        }
    }
    text
}

/// The shortest decimal that reads back as this 64-bit float.
pub(super) fn double<'a>(value: f64) -> Scalar<'a> {
    finite(value.is_finite(), value == 0.0 || (1e-20..1e30).contains(&value.abs()), value, value)
}

/// The shortest decimal that reads back as this 32-bit float: 0.1, and not the 0.10000000149011612 that it is as a wider one.
pub(super) fn float<'a>(value: f32) -> Scalar<'a> {
    finite(value.is_finite(), value == 0.0 || (1e-20..1e30).contains(&value.abs()), value, value)
}

fn finite<'a>(
    is_finite: bool,
    is_short: bool,
    plain: impl std::fmt::Display,
    exp: impl std::fmt::LowerExp,
) -> Scalar<'a> {
    match (is_finite, is_short) {
        (false, _) => Scalar::Other(plain.to_string().into()),
        (true, true) => Scalar::Literal(plain.to_string().into()),
        (true, false) => Scalar::Literal(format!("{exp:e}").into()),
    }
}

/// An integer.
pub(super) fn integer<'a>(value: impl std::fmt::Display) -> Scalar<'a> {
    Scalar::Literal(value.to_string().into())
}

/// `true` or `false`.
pub(super) fn boolean<'a>(value: bool) -> Scalar<'a> {
    Scalar::Literal(Cow::Borrowed(if value { "true" } else { "false" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(scalar: Scalar<'_>) -> String {
        match scalar {
            Scalar::Literal(text) => text.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decimals_by_hand() {
        for (bytes, scale, want) in [
            (&[0_u8][..], 0, "0"),
            (&[0], 2, "0.00"),
            (&[0x30, 0x39], 2, "123.45"),  // 12345
            (&[0xcf, 0xc7], 2, "-123.45"), // -12345
            (&[0xff], 0, "-1"),
            (&[0x80], 0, "-128"),
            (&[0xff, 0x00], 1, "-25.6"), // -256
            (&[0, 0, 0, 0, 0x80], 0, "128"),
            (&[0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0], 0, "-2147483648"),
            (&[5], 3, "0.005"),
            (&[5], -3, "5000"),
            (&[0], -3, "0"),
            (&[5], 100, "5e-100"),
            (&[5], -100, "5e100"),
            (&[5], i64::MIN, "5e9223372036854775808"),
            // 10^29: 0x01431e0fae6d7217caa0000000
            (
                &[0x01, 0x43, 0x1e, 0x0f, 0xae, 0x6d, 0x72, 0x17, 0xca, 0xa0, 0, 0, 0],
                18,
                "100000000000.000000000000000000",
            ),
        ] {
            assert_eq!(literal(decimal(bytes, scale)), want);
        }
        assert_eq!(decimal(&[], 2), Scalar::Other("a decimal of 0 bytes".into()));
        assert_eq!(decimal(&[1; 65], 2), Scalar::Other("a decimal of 65 bytes".into()));
        let long = literal(decimal(&[&[0; 1000][..], &[7]].concat(), 0));
        assert_eq!(long, "7");
    }

    #[test]
    fn decimals_of_any_integer() {
        let mut random = fastrand::Rng::new();
        println!("seed {}", random.get_seed());
        for _ in 0..100_000 {
            let integer = random.i128(..) >> random.u32(0..127);
            let bytes = &integer.to_be_bytes()[..];
            // Without some of the bytes that say the sign alone.
            let sign = if integer < 0 { 0xff } else { 0 };
            let spare = bytes.iter().take_while(|byte| **byte == sign).count().min(15);
            let fits = spare > 0 && (bytes[spare] & 0x80 == sign & 0x80);
            let bytes = &bytes[random.usize(0..=if fits { spare } else { spare.saturating_sub(1) })..];
            assert_eq!(literal(decimal(bytes, 0)), integer.to_string());
        }
    }

    #[test]
    fn floats_as_their_own_digits() {
        assert_eq!(literal(float(0.1)), "0.1");
        assert_eq!(literal(double(f64::from(0.1_f32))), "0.10000000149011612");
        assert_eq!(literal(double(100.25)), "100.25");
        assert_eq!(literal(double(-0.0)), "-0");
        assert_eq!(literal(double(1e300)), "1e300");
        assert_eq!(literal(float(1.5e-42)), "1.5e-42");
        assert_eq!(literal(double(1e-7)), "0.0000001");
        assert_eq!(float(f32::NAN), Scalar::Other("NaN".into()));
        assert_eq!(double(f64::NEG_INFINITY), Scalar::Other("-inf".into()));
        let mut random = fastrand::Rng::new();
        println!("seed {}", random.get_seed());
        for _ in 0..100_000 {
            let (wide, narrow) = (f64::from_bits(random.u64(..)), f32::from_bits(random.u32(..)));
            if wide.is_finite() && narrow.is_finite() {
                assert_eq!(literal(double(wide)).parse::<f64>().map(f64::to_bits), Ok(wide.to_bits()));
                assert_eq!(literal(float(narrow)).parse::<f32>().map(f32::to_bits), Ok(narrow.to_bits()));
                serde_json::from_str::<serde_json::Number>(&literal(float(narrow))).unwrap();
            }
        }
    }
}
