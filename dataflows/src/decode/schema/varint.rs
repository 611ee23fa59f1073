//! Variable-length integers (LEB128) and zigzag encoding, as Avro and Protobuf write them.

/// An unsigned integer of at most 64 bits, and what comes after it. None where the bytes end within it, or it is longer.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        let low = u64::from(byte & 0x7f);
        if at == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// The signed integer that zigzag encoding writes so: 0, -1, 1, -2, …
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_all_lengths() {
        // The examples of Avro's specification.
        for (value, bytes) in
            [(0, &[0_u8][..]), (-1, &[1]), (1, &[2]), (-2, &[3]), (2, &[4]), (-64, &[0x7f]), (64, &[0x80, 1])]
        {
            let (zigzag, rest) = read(bytes).unwrap();
            assert_eq!((unzigzag(zigzag), rest), (value, &[][..]));
        }
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(read(&most), Some((u64::MAX, &[][..])));
        assert_eq!(unzigzag(u64::MAX), i64::MIN);
        assert_eq!(unzigzag(u64::MAX - 1), i64::MAX);
        let mut longer = most;
        longer[9] = 2;
        assert_eq!((read(&longer), read(&most[..9]), read(&[]), read(&[0xff; 11])), (None, None, None, None));
    }
}
