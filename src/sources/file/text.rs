//! A file's text in UTF-8, whatever it is written in: plain, compressed, with a byte order mark, in UTF-16.

use super::compression::Compression;
use super::container::{self, ContainerText};
use super::error::InputError;
use super::utf16::Utf16;
use crate::sources::PayloadKind;
use encoding_rs::{UTF_16BE, UTF_16LE};
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first bytes of a file or of a text, by which its kind is told.
pub(super) const LOOK_BYTES: usize = 1024;
/// As many of what is read once: its records are not to wait for more of them.
const STREAM_LOOK_BYTES: usize = 8;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes as they come: a file, or what is made of it.
pub(super) type Bytes = Box<dyn Read + Send>;

/// What the first bytes of a file say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text in UTF-8. `from`: its first byte, behind a byte order mark.
    Plain {
        from: u64,
    },
    Utf16,
    Compressed(Compression),
    /// Data of Avro, with their schema.
    Container,
    /// What it is, and what to do with it.
    NotText {
        what: &'static str,
        remedy: &'static str,
    },
}

impl Kind {
    /// `start`: [`LOOK_BYTES`], or the whole if it has fewer.
    pub(super) fn of(start: &[u8]) -> Self {
        const OTHERS: [(&[u8], &str, &str); 6] = [
            (
                b"BZh",
                "compressed (bzip2)",
                "decompress it first (bunzip2 -k), or compress it with gzip, zstd, xz or lz4",
            ),
            (b"PK\x03\x04", "an archive (zip)", "unpack it first (unzip)"),
            (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", "unpack it first (7z x)"),
            (b"PAR1", "a table (Parquet)", "write it as JSON lines first (duckdb: COPY … TO … (FORMAT json))"),
            (b"\xff\xfe\0\0", "UTF-32", "convert it first (iconv -f UTF-32 -t UTF-8)"),
            (b"\0\0\xfe\xff", "UTF-32", "convert it first (iconv -f UTF-32 -t UTF-8)"),
        ];
        if let Some(compression) = Compression::of(start) {
            return Kind::Compressed(compression);
        }
        if start.starts_with(container::MAGIC) {
            return Kind::Container;
        }
        if let Some((_, what, remedy)) = OTHERS.iter().find(|(magic, ..)| start.starts_with(magic)) {
            return Kind::NotText { what, remedy };
        }
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Kind::Utf16;
        }
        if start.contains(&0) {
            return Kind::NotText {
                what: "no text (it has zero bytes)",
                remedy: "leave it out, or write its records as text",
            };
        }
        Kind::Plain { from: if start.starts_with(MARK) { MARK.len() as u64 } else { 0 } }
    }
}

/// The first `length` bytes of a file, and no more of it.
///
/// An end before that is an error: the file got shorter.
pub(super) struct Bounded<R> {
    file: R,
    length: u64,
    read: u64,
    /// Of all files: what was read of them.
    total: ReadBytes,
}

/// Bytes that were read of all files.
pub(super) type ReadBytes = Arc<AtomicU64>;

impl<R> Bounded<R> {
    /// `read`: bytes before the place where `file` stands.
    pub(super) fn new(file: R, length: u64, read: u64) -> Self {
        Bounded { file, length, read, total: ReadBytes::default() }
    }

    /// Adds what is read to this sum.
    fn counting(self, total: ReadBytes) -> Self {
        total.fetch_add(self.read, Ordering::Relaxed);
        Bounded { total, ..self }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.read)).unwrap_or(usize::MAX);
        let room_length = room.len().min(left);
        if room_length == 0 {
            return Ok(0);
        }
        loop {
            match self.file.read(&mut room[..room_length]) {
                Ok(0) => return Err(InputError::Shorter { had: self.length, has: self.read }.into()),
                Ok(read) => {
                    self.read += read as u64;
                    self.total.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(InputError::Disk(error).into()),
            }
        }
    }
}

/// Bytes that are there before the rest is: at most `most`, fewer at the end alone.
fn first_bytes(bytes: &mut dyn Read, most: usize) -> io::Result<Vec<u8>> {
    let mut start = vec![0; most];
    let mut length = 0;
    while length < most {
        match bytes.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    start.truncate(length);
    Ok(start)
}

/// The first bytes of a file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn look(file: &mut File) -> io::Result<Vec<u8>> {
    first_bytes(file, LOOK_BYTES)
}

/// Text, and the byte of it that is read next: that of the file where it is plain.
pub(super) struct Text {
    pub(super) bytes: Bytes,
    pub(super) position: u64,
    /// It takes time to make.
    pub(super) is_converted: bool,
}

/// The text of a file's first `length` bytes. What is read is added to `total`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn of_file(mut file: File, length: u64, payloads: PayloadKind, total: &ReadBytes) -> io::Result<Text> {
    let start = first_bytes(&mut (&mut file).take(length), LOOK_BYTES)?;
    if let Kind::Plain { from } = Kind::of(&start)
        && payloads != PayloadKind::Avro
    {
        file.seek(SeekFrom::Start(from))?;
        let bytes = Box::new(Bounded::new(file, length, from).counting(Arc::clone(total)));
        return Ok(Text { bytes, position: from, is_converted: false });
    }
    file.rewind()?;
    let file = Bounded::new(file, length, 0).counting(Arc::clone(total));
    Ok(Text { bytes: of_bytes(Box::new(file), LOOK_BYTES, payloads)?, position: 0, is_converted: true })
}

/// The text of what can be read once.
///
/// # Errors
/// When it cannot be read, or is no text.
pub(super) fn of_stream(bytes: Bytes, payloads: PayloadKind) -> io::Result<Bytes> {
    of_bytes(bytes, STREAM_LOOK_BYTES, payloads)
}

/// The text of `bytes`, of which the first `look` tell what they are.
fn of_bytes(mut bytes: Bytes, look: usize, payloads: PayloadKind) -> io::Result<Bytes> {
    let start = first_bytes(&mut bytes, look)?;
    match Kind::of(&start) {
        Kind::Compressed(compression) => {
            let mut text: Bytes = Box::new(compression.text(Box::new(Cursor::new(start).chain(bytes)))?);
            let start = first_bytes(&mut text, look)?;
            converted(start, text, payloads)
        }
        _ => converted(start, bytes, payloads),
    }
}

/// The text of `start` and what follows it, in UTF-8; the data of a container.
fn converted(start: Vec<u8>, rest: Bytes, payloads: PayloadKind) -> io::Result<Bytes> {
    let (kind, little_endian) = (Kind::of(&start), start.starts_with(b"\xff\xfe"));
    let is_container = payloads == PayloadKind::Avro && !start.is_empty();
    let mut text = Cursor::new(start);
    let what = match kind {
        Kind::Container if is_container => return Ok(Box::new(ContainerText::new(text.chain(rest)))),
        Kind::Container => "a container of Avro, which --format avro reads",
        Kind::Plain { .. } | Kind::Utf16 if is_container => "no container of Avro, as which --format avro reads files",
        Kind::Plain { from } => {
            text.set_position(from);
            return Ok(Box::new(text.chain(rest)));
        }
        Kind::Utf16 => {
            text.set_position(2);
            let encoding = if little_endian { UTF_16LE } else { UTF_16BE };
            return Ok(Box::new(Utf16::new(text.chain(rest), encoding)));
        }
        Kind::NotText { what, .. } => what,
        Kind::Compressed(_) => "compressed twice",
    };
    Err(InputError::NotText { what }.into())
}
