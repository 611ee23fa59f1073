//! A container file of Avro as a text of its data: each with its length before it, the schema's own text first.
//!
//! ```text
//!   Obj 1 │ avro.schema, avro.codec │ sync      ──>  length │ schema      record 0
//!   data of a block │ its bytes │ the block │ sync  ──>  length │ datum       records 1 and so on
//! ```
//!
//! What it promises: each datum whole, one record each; an error, and never other bytes, where the file is cut off within a block, a
//! block has another number of data than it says, or the sign behind it is not the file's. A block of more than
//! [`MOST_BLOCK`] bytes is refused, so memory is bounded; nothing of a block is handed out before its end was seen.
//!
//! Specification: <https://avro.apache.org/docs/1.12.0/specification/#object-container-files>.

use super::error::InputError;
use flate2::read::DeflateDecoder;
use minutely_dataflows::decode::schema::ContainerSchema;
use std::io::{self, ErrorKind, Read};

/// The first bytes of such a file.
pub(super) const MAGIC: &[u8] = b"Obj\x01";
/// The most bytes of a block, as it is written and decompressed. Writers end one after some kilobytes.
const MOST_BLOCK: usize = 32 << 20;
/// The most bytes of a record: a datum, or the schema.
pub(super) const MOST_RECORD: usize = MOST_BLOCK;
/// The most bytes of the schema, and of all else that the file says of itself.
const MOST_HEADER: usize = 16 << 20;
/// As many bytes of records are made ready at once, about.
const PIECE: usize = 64 << 10;
/// Bytes of a length.
pub(super) const PREFIX: usize = 4;

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockCodec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Xz,
}

impl BlockCodec {
    /// By `avro.codec`; none: it is not read here.
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"null" | b"" => Some(BlockCodec::Null),
            b"deflate" => Some(BlockCodec::Deflate),
            b"snappy" => Some(BlockCodec::Snappy),
            b"zstandard" => Some(BlockCodec::Zstandard),
            b"xz" => Some(BlockCodec::Xz),
            _ => None,
        }
    }

    /// The data of a block.
    fn data(self, block: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            BlockCodec::Null => Ok(block),
            BlockCodec::Deflate => bounded(DeflateDecoder::new(&block[..])),
            BlockCodec::Zstandard => bounded(zstd::stream::read::Decoder::with_buffer(&block[..])?),
            BlockCodec::Xz => bounded(liblzma::bufread::XzDecoder::new(&block[..])),
            BlockCodec::Snappy => snappy(&block),
        }
    }
}

/// All of it, unless it is too much.
fn bounded(data: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    data.take(MOST_BLOCK as u64 + 1).read_to_end(&mut all)?;
    if all.len() > MOST_BLOCK { Err(too_large(all.len() as u64)) } else { Ok(all) }
}

/// Snappy's raw format, and behind it the CRC-32 of what it holds.
fn snappy(block: &[u8]) -> io::Result<Vec<u8>> {
    let (packed, sum) = block.split_last_chunk::<4>().ok_or(ErrorKind::UnexpectedEof)?;
    let length = snap::raw::decompress_len(packed)?;
    if length > MOST_BLOCK {
        return Err(too_large(length as u64));
    }
    let data = snap::raw::Decoder::new().decompress_vec(packed)?;
    if crc32fast::hash(&data) == u32::from_be_bytes(*sum) {
        return Ok(data);
    }
    Err(invalid("the checksum of a block is not that of its data"))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

fn too_large(bytes: u64) -> io::Error {
    invalid(&format!("a block of {bytes} bytes or more, of which {MOST_BLOCK} are read at most"))
}

/// See the module.
pub(super) struct ContainerText<R> {
    file: Counting<R>,
    /// What the file says of itself; none before it was read.
    header: Option<ContainerFileHeader>,
    /// The data of the block that is handed out, from `from` on, and how many there are.
    block: Vec<u8>,
    from: usize,
    left: u64,
    /// What is handed out next, from `given` on.
    ready: Vec<u8>,
    given: usize,
}

/// What a file says of itself.
struct ContainerFileHeader {
    schema: ContainerSchema,
    codec: BlockCodec,
    sync: [u8; 16],
}

impl<R: Read> ContainerText<R> {
    /// `file`: from its first byte on.
    pub(super) fn new(file: R) -> Self {
        let file = Counting { file, read: 0 };
        ContainerText { file, header: None, block: Vec::new(), from: 0, left: 0, ready: Vec::new(), given: 0 }
    }

    /// Makes more ready; nothing at the end of the file.
    fn make_ready(&mut self) -> io::Result<()> {
        self.given = 0;
        self.ready.clear();
        if self.header.is_none() {
            let (header, schema) = self.file.header()?;
            self.header = Some(header);
            return push(&mut self.ready, schema.as_bytes());
        }
        let header = self.header.as_ref().expect("it was just there");
        while self.left == 0 {
            let Some((count, block)) = self.file.block(header)? else { return Ok(()) };
            (self.block, self.from, self.left) = (block, 0, count);
            if count == 0 {
                self.check_end()?;
            }
        }
        while self.left > 0 && self.ready.len() < PIECE {
            let rest = &self.block[self.from..];
            let length = header.schema.datum_length(rest).map_err(|why| invalid(&format!("a datum has {why}")))?;
            push(&mut self.ready, &rest[..length])?;
            (self.from, self.left) = (self.from + length, self.left - 1);
        }
        if self.left == 0 { self.check_end() } else { Ok(()) }
    }

    /// All data of a block were taken.
    fn check_end(&self) -> io::Result<()> {
        let rest = self.block.len() - self.from;
        if rest == 0 { Ok(()) } else { Err(invalid(&format!("a block has {rest} bytes behind its data"))) }
    }
}

/// Adds a record, with its length before it.
fn push(ready: &mut Vec<u8>, record: &[u8]) -> io::Result<()> {
    let length = u32::try_from(record.len()).map_err(|_| too_large(record.len() as u64))?;
    ready.extend(length.to_le_bytes());
    ready.extend(record);
    Ok(())
}

impl<R: Read> Read for ContainerText<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() && !room.is_empty() {
            self.make_ready().map_err(|error| {
                if InputError::is_in(&error) {
                    return error;
                }
                let byte = self.file.read;
                InputError::Corrupt { format: "Avro", test: "avro-tools count", byte, source: error }.into()
            })?;
        }
        let rest = &self.ready[self.given..];
        let length = rest.len().min(room.len());
        room[..length].copy_from_slice(&rest[..length]);
        self.given += length;
        Ok(length)
    }
}

/// A file that knows how much of it was read.
struct Counting<R> {
    file: R,
    read: u64,
}

impl<R: Read> Counting<R> {
    /// Magic, metadata and sync marker; and the schema's text.
    fn header(&mut self) -> io::Result<(ContainerFileHeader, String)> {
        if self.array::<4>()? != MAGIC {
            return Err(invalid("it does not begin as a container does"));
        }
        let (mut schema, mut codec, mut room) = (None, Vec::new(), MOST_HEADER);
        loop {
            let entries = match self.long()? {
                0 => break,
                count if count < 0 => {
                    self.long()?; // the bytes of these entries, for those who pass over them
                    count.unsigned_abs()
                }
                count => count.unsigned_abs(),
            };
            for _ in 0..entries {
                let key = self.prefixed(&mut room)?;
                let value = self.prefixed(&mut room)?;
                match &key[..] {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = value,
                    _ => {}
                }
            }
        }
        let sync = self.array()?;
        let codec = BlockCodec::of(&codec).ok_or(InputError::NotText {
            what: "compressed in a way that is not read (avro.codec is none of null, deflate, snappy, zstandard, xz)",
        })?;
        let schema = schema.ok_or_else(|| invalid("it has no avro.schema"))?;
        let text = String::from_utf8(schema).map_err(|_| invalid("its avro.schema is no UTF-8"))?;
        let schema = ContainerSchema::parse(&text).map_err(|why| {
            invalid(&format!("its schema cannot be used: {}", minutely_dataflows::escape::shortened(&why)))
        })?;
        Ok((ContainerFileHeader { schema, codec, sync }, text))
    }

    /// The next block: how many data it has, and them; none at the end of the file.
    fn block(&mut self, header: &ContainerFileHeader) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut first = [0];
        if self.some(&mut first)? == 0 {
            return Ok(None);
        }
        let count = self.long_from(first[0])?;
        let count = u64::try_from(count).map_err(|_| invalid(&format!("a block of {count} data")))?;
        let mut room = MOST_BLOCK;
        let block = self.prefixed(&mut room)?;
        if self.array::<16>()? != header.sync {
            return Err(invalid("the sign behind a block is not the file's"));
        }
        Ok(Some((count, header.codec.data(block)?)))
    }

    /// Bytes behind their number, of which there is room for so many.
    fn prefixed(&mut self, room: &mut usize) -> io::Result<Vec<u8>> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| invalid(&format!("a length of {length}")))?;
        *room = room.checked_sub(length).ok_or_else(|| too_large(length as u64))?;
        let mut bytes = Vec::new();
        // Grows with what is there: a length alone takes no memory.
        let read = (&mut self.file).take(length as u64).read_to_end(&mut bytes)?;
        self.read += read as u64;
        if read == length { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    /// Some bytes, or none at the end.
    fn some(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    self.read += read.as_ref().map_or(0, |read| *read as u64);
                    return read;
                }
            }
        }
    }

    /// An integer of Avro: seven bits a byte, the lowest first, in zigzag.
    fn long(&mut self) -> io::Result<i64> {
        let [first] = self.array()?;
        self.long_from(first)
    }

    /// The same, of which the first byte was read.
    fn long_from(&mut self, first: u8) -> io::Result<i64> {
        let (mut byte, mut value) = (first, 0_u64);
        for at in 0..10 {
            if at == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
            [byte] = self.array()?;
        }
        Err(invalid("a number that does not end in 10 bytes"))
    }
}

#[cfg(test)]
mod tests;
