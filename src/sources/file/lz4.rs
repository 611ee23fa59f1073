//! lz4 frames, one after the other. The decoder takes a frame that is cut off between two of its blocks, or within its first bytes, for
//! one that has ended: that is found here, by the bytes that it took.

use super::counted::Counted;
use lz4_flex::frame::FrameDecoder;
use std::io::{self, ErrorKind, Read};

/// What a frame begins with, and its flags behind it.
const MAGIC: [u8; 4] = *b"\x04\x22\x4d\x18";
const HAS_SIZE: u8 = 0x08;
const HAS_CHECKSUM: u8 = 0x04;

/// The text of all frames of a file.
pub(super) struct Lz4Text {
    /// Of one frame: what it keeps of one does not always suit the next. Absent within `next_frame` alone.
    decoder: Option<FrameDecoder<FrameBytes>>,
    /// Where the frame that is read begins, in compressed bytes.
    frame: u64,
}

impl Lz4Text {
    pub(super) fn new(file: Counted) -> Self {
        Lz4Text { decoder: Some(FrameDecoder::new(FrameBytes { file, head: [0; 5], known: 0 })), frame: 0 }
    }

    fn decoder(&mut self) -> &mut FrameDecoder<FrameBytes> {
        self.decoder.as_mut().expect("absent within `next_frame` alone")
    }

    /// A frame has ended where the file was read to.
    fn next_frame(&mut self) {
        self.frame = self.consumed();
        let bytes = self.decoder.take().map(FrameDecoder::into_inner);
        self.decoder = bytes.map(|bytes| FrameDecoder::new(FrameBytes { known: 0, ..bytes }));
    }

    /// Compressed bytes that were decompressed.
    pub(super) fn consumed(&self) -> u64 {
        self.decoder.as_ref().map_or(self.frame, |decoder| decoder.get_ref().file.consumed())
    }
}

impl Read for Lz4Text {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = self.consumed();
            let read = self.decoder().read(room)?;
            let (consumed, frame) = (self.consumed(), self.frame);
            if consumed == frame {
                return Ok(0);
            }
            let bytes = self.decoder().get_ref();
            if bytes.known >= MAGIC.len() && !bytes.head.starts_with(&MAGIC) {
                return Err(io::Error::new(ErrorKind::InvalidData, "what follows is no lz4 frame"));
            }
            if read > 0 {
                return Ok(read);
            }
            // Its last call has read the mark of the frame's end, and the checksum behind it.
            let flags = bytes.head[MAGIC.len()];
            let end = if flags & HAS_CHECKSUM > 0 { 8 } else { 4 };
            let head = if flags & HAS_SIZE > 0 { 15 } else { 7 };
            if consumed - frame < head + end || consumed - before < end {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.next_frame();
        }
    }
}

/// A file's bytes, and the first of the frame that is read.
struct FrameBytes {
    file: Counted,
    head: [u8; 5],
    /// So many bytes of the head are known.
    known: usize,
}

impl Read for FrameBytes {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(room)?;
        let head = &mut self.head[self.known..];
        let more = head.len().min(read);
        head[..more].copy_from_slice(&room[..more]);
        self.known += more;
        Ok(read)
    }
}
