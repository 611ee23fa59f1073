//! Compressed files, known by their first bytes and never by their name: gzip (any number of members), zstd (any number of
//! frames), xz (any number of streams) and lz4 (any number of frames), read whole.
//!
//! What it promises: the text of all parts, one after the other; an error, and never fewer bytes, where data is cut off,
//! damaged, or followed by what is no further part. Memory is bounded, whatever the data asks for.

use super::counted::Counted;
use super::error::InputError;
use super::lz4::Lz4Text;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use std::io::{self, ErrorKind, Read};
use zstd::stream::read::Decoder as ZstdDecoder;

/// The most memory for one xz file, in bytes; its highest preset needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

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
        let file = Counted::new(file);
        let decoder = match self {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(file))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(file)?)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::other)?;
                Decoder::Xz(Box::new(XzDecoder::new_stream(file, stream)))
            }
            Compression::Lz4 => Decoder::Lz4(Box::new(Lz4Text::new(file))),
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
    Lz4(Box<Lz4Text>),
}

impl Decoder {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(room),
            Decoder::Zstd(decoder) => decoder.read(room),
            Decoder::Xz(decoder) => decoder.read(room),
            Decoder::Lz4(decoder) => decoder.read(room),
        }
    }

    /// Compressed bytes that were decompressed.
    fn consumed(&self) -> u64 {
        match self {
            Decoder::Gzip(decoder) => decoder.get_ref().consumed(),
            Decoder::Zstd(decoder) => decoder.get_ref().consumed(),
            Decoder::Xz(decoder) => decoder.get_ref().consumed(),
            Decoder::Lz4(decoder) => decoder.consumed(),
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
