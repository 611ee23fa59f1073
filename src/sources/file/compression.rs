//! Compressed files, known by their first bytes and never by their name: gzip (any number of members), zstd (any number of
//! frames), xz (any number of streams) and lz4 (any number of frames), read whole.
//!
//! What it promises: the text of all parts, one after the other; an error, and never fewer bytes, where data is cut off,
//! damaged, or followed by what is no further part. Memory is bounded, whatever the data asks for.

use super::error::InputError;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use lz4_flex::frame::FrameDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use zstd::stream::read::Decoder as ZstdDecoder;

/// Compressed bytes that are asked of the system at once.
const COMPRESSED_BYTES: usize = 64 << 10;
/// The most memory for one xz file, in bytes; its highest preset needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// The fewest bytes of a whole lz4 frame: its descriptor and its end.
const LEAST_LZ4_FRAME: u64 = 11;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
    Lz4,
}

impl Compression {
    /// By the first bytes of a file; none: it is not compressed in one of these ways.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 5] = [
            (b"\x1f\x8b", Compression::Gzip),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"\x50\x2a\x4d\x18", Compression::Zstd), // a frame without text, as pzstd begins with
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\x04\x22\x4d\x18", Compression::Lz4),
        ];
        MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, compression)| *compression)
    }

    fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
            Compression::Lz4 => "lz4",
        }
    }

    /// The command that checks such a file.
    pub(super) fn test_command(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip -t",
            Compression::Zstd => "zstd -t",
            Compression::Xz => "xz -t",
            Compression::Lz4 => "lz4 -t",
        }
    }

    /// The text of this file.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn text(self, file: Box<dyn Read + Send>) -> io::Result<Decompressed> {
        let file = Counted { file: BufReader::with_capacity(COMPRESSED_BYTES, file), consumed: 0 };
        let decoder = match self {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(file))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(file)?)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::other)?;
                Decoder::Xz(Box::new(XzDecoder::new_stream(file, stream)))
            }
            Compression::Lz4 => Decoder::Lz4 { decoder: Box::new(FrameDecoder::new(file)), frame: 0 },
        };
        Ok(Decompressed { compression: self, decoder })
    }
}

/// The text of a compressed file.
pub(super) struct Decompressed {
    compression: Compression,
    decoder: Decoder,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Counted>>),
    Zstd(Box<ZstdDecoder<'static, Counted>>),
    Xz(Box<XzDecoder<Counted>>),
    /// `frame`: where the frame that is read begins, in compressed bytes.
    Lz4 {
        decoder: Box<FrameDecoder<Counted>>,
        frame: u64,
    },
}

impl Decoder {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(room),
            Decoder::Zstd(decoder) => decoder.read(room),
            Decoder::Xz(decoder) => decoder.read(room),
            Decoder::Lz4 { decoder, frame } => loop {
                // The decoder ends with each frame, and takes a frame that is cut off behind its first four bytes for the end.
                let read = decoder.read(room)?;
                let consumed = decoder.get_ref().consumed;
                match consumed - *frame {
                    _ if read > 0 => return Ok(read),
                    0 => return Ok(0),
                    1..LEAST_LZ4_FRAME => return Err(ErrorKind::UnexpectedEof.into()),
                    _ => *frame = consumed,
                }
            },
        }
    }

    /// Compressed bytes that were decompressed.
    fn consumed(&self) -> u64 {
        match self {
            Decoder::Gzip(decoder) => decoder.get_ref().consumed,
            Decoder::Zstd(decoder) => decoder.get_ref().consumed,
            Decoder::Xz(decoder) => decoder.get_ref().consumed,
            Decoder::Lz4 { decoder, .. } => decoder.get_ref().consumed,
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoder.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if InputError::is_in(&error) => return Err(error),
                Err(source) => {
                    let (format, test) = (self.compression.name(), self.compression.test_command());
                    let byte = self.decoder.consumed();
                    return Err(InputError::Corrupt { format, test, byte, source }.into());
                }
                Ok(read) => return Ok(read),
            }
        }
    }
}

/// A compressed file that knows how much of it was taken.
struct Counted {
    file: BufReader<Box<dyn Read + Send>>,
    consumed: u64,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(room)?;
        self.consumed += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, taken: usize) {
        self.consumed += taken as u64;
        self.file.consume(taken);
    }
}
