//! Confluent's wire format: which schema a message is written by.
//!
//! ```text
//!   0 │ schema id: 4 bytes, the most significant first │ Protobuf alone: which message of the schema │ the message
//! ```
//!
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>
//!
//! Not built: the framings of Apicurio (ids of 8 bytes) and of AWS Glue (ids of 16 bytes after a 3), and Confluent's newer one
//! with the schema's GUID in a header of the record. Each is told by name where it is found.

use super::varint;
use crate::escape::shortened;

/// Messages within messages that a path of them leads through at most.
const MOST_INDEXES: i64 = 64;

/// A payload without its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framed<'a> {
    /// The schema's id in its registry.
    pub(crate) id: u32,
    /// What follows: for Protobuf, the message's path and the message.
    pub(crate) rest: &'a [u8],
}

/// What a frame should be, for findings.
pub(super) const FRAME: &str = "Confluent's wire format (magic byte 0, schema id, message)";

/// Takes the frame off.
///
/// # Errors
/// What is there instead, for people.
pub(crate) fn unframe(payload: &[u8]) -> Result<Framed<'_>, String> {
    match payload {
        [] => Err("nothing (an empty record)".into()),
        [0, 0, 0, 0, 0, _, _, _, _, ..] => {
            Err("schema id 0, which no registry gives (ids of 8 bytes, as Apicurio's?)".into())
        }
        [0, id @ ..] => match id.split_first_chunk() {
            Some((id, rest)) => Ok(Framed { id: u32::from_be_bytes(*id), rest }),
            None => Err(format!("{} bytes, too few for a schema id", payload.len())),
        },
        [1, ..] if payload.len() >= 17 => Err("magic byte 1 (a schema's GUID, which is not read)".into()),
        [3, 0 | 5, ..] if payload.len() >= 18 => Err("byte 3 (the framing of AWS Glue, which is not read)".into()),
        [b'{' | b'[' | b'"', ..] => {
            let text = String::from_utf8_lossy(&payload[..payload.len().min(400)]);
            Err(format!("JSON without a frame: {}", shortened(&text)))
        }
        [first, ..] => Err(format!("a first byte of {first}")),
    }
}

/// Which message of a Protobuf schema it is, as indexes from the file inwards, and the message.
///
/// # Errors
/// What is there instead, for people.
pub(super) fn message_indexes(rest: &[u8]) -> Result<(Vec<usize>, &[u8]), String> {
    let signed = |rest| {
        let (zigzag, rest) = varint::read(rest).ok_or("no indexes of a message")?;
        Ok::<_, String>((varint::unzigzag(zigzag), rest))
    };
    let (count, mut rest) = signed(rest)?;
    if count == 0 {
        return Ok((vec![0], rest)); // the short form of [0]
    }
    if !(1..=MOST_INDEXES).contains(&count) {
        return Err(format!("{count} indexes of a message"));
    }
    let mut indexes = Vec::new();
    for _ in 0..count {
        let (index, after) = signed(rest)?;
        indexes.push(usize::try_from(index).map_err(|_| format!("index {index} of a message"))?);
        rest = after;
    }
    Ok((indexes, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_the_id() {
        assert_eq!(unframe(&[0, 0, 0, 1, 2, 9, 8]), Ok(Framed { id: 258, rest: &[9, 8] }));
        assert_eq!(unframe(&[0, 0, 0, 0, 7]), Ok(Framed { id: 7, rest: &[] }));
        assert_eq!(unframe(&[0, 0xff, 0xff, 0xff, 0xff, 1]), Ok(Framed { id: u32::MAX, rest: &[1] }));
    }

    #[test]
    fn other_framings_are_told_by_name() {
        let glue = [&[3, 0][..], &[7; 16], b"x"].concat();
        let guid = [&[1][..], &[7; 16], b"x"].concat();
        for (payload, want) in [
            (&b""[..], "nothing"),
            (&[0, 0, 0], "3 bytes, too few"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 7, 1], "Apicurio"),
            (&glue, "AWS Glue"),
            (&guid, "GUID"),
            (br#"{"symbol":"A"}"#, r#"JSON without a frame: {"symbol":"A"}"#),
            (&[0x10, 1], "a first byte of 16"),
        ] {
            let found = unframe(payload).unwrap_err();
            assert!(found.contains(want), "{found}");
        }
    }

    #[test]
    fn the_message_of_a_protobuf_schema() {
        // Confluent's own example: [1, 0] is 0x04 0x02 0x00 in zigzag; [0] is one 0.
        assert_eq!(message_indexes(&[0, 9]), Ok((vec![0], &[9][..])));
        assert_eq!(message_indexes(&[4, 2, 0, 9]), Ok((vec![1, 0], &[9][..])));
        assert_eq!(message_indexes(&[2, 4]), Ok((vec![2], &[][..])));
        for wrong in [&[][..], &[4, 2], &[1], &[2, 1], &[0xfe, 0xff, 3], &[0xff; 12]] {
            assert!(message_indexes(wrong).is_err(), "{wrong:?}");
        }
    }
}
