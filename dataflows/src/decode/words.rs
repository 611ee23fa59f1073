//! Eight bytes of a text at once, as a little-endian word.

/// A byte of 1 in each place.
pub(super) const ONES: u64 = u64::MAX / 0xff;
/// The highest bit of each byte.
pub(super) const HIGHS: u64 = ONES << 7;

/// Marks the bytes of a word that are this one, by their highest bits; above the lowest mark there may be wrong ones.
#[inline]
pub(super) fn marks_of(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (u64::from(byte) * ONES);
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// Are the first bytes of a word, 1 to 8, printable ASCII?
#[inline]
pub(super) fn is_printable(word: u64, count: usize) -> bool {
    let mask = u64::MAX >> (64 - 8 * count);
    let padded = (word & mask) | ((0x20 * ONES) & !mask);
    let controls = padded.wrapping_sub(0x20 * ONES) & HIGHS;
    (padded | controls | marks_of(padded, 0x7f)) & HIGHS == 0
}

/// How many of a word's bytes stand before this delimiter, or before the `left` bytes end that are left of the text; none if one
/// of them is no printable ASCII, or the quote.
#[inline]
pub(super) fn printable_before(word: u64, left: usize, delimiter: u8, quote: u8) -> Option<usize> {
    let count = ((marks_of(word, delimiter).trailing_zeros() / 8) as usize).min(left);
    if count == 0 {
        return Some(0);
    }
    let mask = u64::MAX >> (64 - 8 * count);
    let padded = (word & mask) | ((0x21 * ONES) & !mask);
    let is_quoted = quote != delimiter && marks_of(padded, quote) != 0;
    (is_printable(padded, 8) && !is_quoted).then_some(count)
}

/// Is it text? ASCII first: as nearly all records are, and for less.
#[inline]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// The number that eight digits make, by their values, the first one lowest.
#[inline]
pub(super) fn eight_digits(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul((10_000 << 32) + 1) >> 32
}

/// The values of a word's digits, and a mark for each byte that is none.
#[inline]
pub(super) fn digits_of(word: u64) -> (u64, u64) {
    let values = word ^ (0x30 * ONES);
    (values, (((values & !HIGHS) + 0x76 * ONES) | values) & HIGHS)
}
