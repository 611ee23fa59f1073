//! The dice: a counter-based hash, so that any record can be drawn without drawing those before it. Changing anything
//! here changes every simulated log; `golden` in `mod.rs` notices.

/// The odd integer nearest to 2^64 / golden ratio: the stride of splitmix64.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The `n`th draw of the stream `seed`: 64 fair bits. (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", 2014; constants by Stafford, variant 13.)
pub(super) const fn draw(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(STRIDE));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The upper 32 bits of a draw, as a number below 2^32.
pub(super) const fn upper(draw: u64) -> u64 {
    draw >> 32
}

/// The lower 32 bits of a draw, as a number below 2^32.
pub(super) const fn lower(draw: u64) -> u64 {
    draw & 0xffff_ffff
}

/// A number below `n` (at most 2^32) out of 32 fair bits.
pub(super) const fn below(bits: u64, n: u64) -> u64 {
    (bits * n) >> 32
}

/// A number within ±2^31 out of the upper 32 bits of a draw.
pub(super) const fn signed(draw: u64) -> i64 {
    draw.cast_signed() >> 32
}

/// The draw for a place in time that may lie before the log began.
pub(super) const fn draw_at(seed: u64, n: i64) -> u64 {
    draw(seed, n.cast_unsigned())
}
