//! `PricingData`, a protobuf message, as far as a record needs it. Four fields by hand: no schema of Yahoo's is published,
//! and a decoder made from one would bring a compiler of schemas into the build.

/// A quote. What is 0 or empty is absent, as proto3 has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pricing {
    /// Field 1.
    pub(super) symbol: String,
    /// Field 2, a float of 32 bits.
    pub(super) price: Option<f32>,
    /// Field 3: its event time, in milliseconds since 1970.
    pub(super) time_ms: Option<i64>,
    /// Field 9: what was traded since the day began.
    pub(super) day_volume: Option<i64>,
}

impl Pricing {
    /// The message of these bytes. Fields that are not read are skipped by their wire types.
    ///
    /// # Errors
    /// It is cut off, or no protobuf message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut quote = Pricing::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            match (tag >> 3, tag & 7) {
                (1, 2) => {
                    let text = take_lengthy(&mut rest)?;
                    quote.symbol = std::str::from_utf8(text).map_err(|_| "a symbol that is not UTF-8")?.to_owned();
                }
                (2, 5) => {
                    let four = take(&mut rest, 4)?;
                    let price = f32::from_le_bytes(four.try_into().expect("four bytes were taken"));
                    quote.price = (price != 0.0).then_some(price);
                }
                (3, 0) => quote.time_ms = Some(zigzag(varint(&mut rest)?)).filter(|time| *time != 0),
                (9, 0) => quote.day_volume = Some(zigzag(varint(&mut rest)?)).filter(|volume| *volume != 0),
                (1.., 0) => drop(varint(&mut rest)?),
                (1.., 1) => drop(take(&mut rest, 8)?),
                (1.., 2) => drop(take_lengthy(&mut rest)?),
                (1.., 5) => drop(take(&mut rest, 4)?),
                _ => return Err("no protobuf message"),
            }
        }
        Ok(quote)
    }
}

/// Seven bits a byte, the least first; at most ten bytes.
fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than ten bytes")
}

/// 0, -1, 1, -2, … of 0, 1, 2, 3, …
fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn take<'b>(rest: &mut &'b [u8], many: usize) -> Result<&'b [u8], &'static str> {
    let (head, tail) = rest.split_at_checked(many).ok_or("a message that is cut off")?;
    *rest = tail;
    Ok(head)
}

fn take_lengthy<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], &'static str> {
    let many = usize::try_from(varint(rest)?).map_err(|_| "a message that is cut off")?;
    take(rest, many)
}

/// What Yahoo would send, with fields that are not read among it.
#[cfg(test)]
pub(in crate::produce::feeds) fn encoded(symbol: &str, price: f32, time_ms: i64, day_volume: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let push_varint = |bytes: &mut Vec<u8>, mut value: u64| {
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
    };
    let zigzagged = |value: i64| ((value << 1) ^ (value >> 63)).cast_unsigned();
    bytes.push(0x0a);
    push_varint(&mut bytes, symbol.len() as u64);
    bytes.extend(symbol.as_bytes());
    bytes.push(0x15);
    bytes.extend(price.to_le_bytes());
    bytes.push(0x18);
    push_varint(&mut bytes, zigzagged(time_ms));
    bytes.extend(b"\x22\x03USD\x2a\x03NMS\x30\x08\x38\x01\x45\x00\x00\x80\x3f"); // currency to change_percent
    bytes.push(0x48);
    push_varint(&mut bytes, zigzagged(day_volume));
    bytes.extend(b"\x81\x02\x00\x00\x00\x00\x00\x00\xf0\x3f"); // circulating_supply: a double
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn fields_are_found_among_others() {
        let frame = STANDARD.decode("CgdCVEMtVVNEFX03nEcYwLDW6o5oIgNVU0Q=").unwrap();
        let quote = Pricing::decode(&frame).unwrap();
        assert_eq!(quote.symbol, "BTC-USD");
        assert_eq!((quote.price, quote.time_ms, quote.day_volume), (Some(79_982.98), Some(1_788_697_300_000), None));
        let quote = Pricing::decode(&encoded("NOK", 3.5, -7, 1 << 40)).unwrap();
        let want = Pricing { symbol: "NOK".into(), price: Some(3.5), time_ms: Some(-7), day_volume: Some(1 << 40) };
        assert_eq!(quote, want);
        assert_eq!(Pricing::decode(b""), Ok(Pricing::default()));
    }

    #[test]
    fn any_bytes_give_a_message_or_a_reason() {
        let whole = encoded("NOK", 3.5, 1_772_462_401_000, 99);
        let mut cut_off = 0;
        for length in 0..whole.len() {
            cut_off += usize::from(Pricing::decode(&whole[..length]).is_err());
        }
        assert!(cut_off > whole.len() / 2);
        assert!(Pricing::decode(b"\x0b").is_err(), "a group");
        assert!(Pricing::decode(b"\x00\x00").is_err(), "field 0");
        assert!(Pricing::decode(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err(), "eleven bytes");
        assert!(Pricing::decode(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f").is_err(), "longer than memory");
        assert!(Pricing::decode(b"\x0a\x02\xc3\x28").is_err(), "no UTF-8");
        for seed in 0..20_000_u64 {
            let bytes: Vec<u8> = (0..seed % 40)
                .map(|at| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at.try_into().unwrap()).to_le_bytes()[0])
                .collect();
            drop(Pricing::decode(&bytes));
        }
    }
}
