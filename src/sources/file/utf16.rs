//! UTF-16 as UTF-8, piece by piece.

use encoding_rs::{Decoder, DecoderResult, Encoding};
use std::io::{self, Read};

/// UTF-16 that is converted at once, in bytes.
const PIECE: usize = 64 << 10;
/// The most bytes of UTF-8 that one call of the decoder needs to make progress.
const LEAST_ROOM: usize = 16;

/// Text in UTF-16, read as UTF-8. What is no character (half a surrogate pair, half a unit at the end) becomes the byte FF, which no
/// UTF-8 has: so its record is rejected, and never changed silently.
pub(super) struct Utf16<R> {
    text: R,
    decoder: Decoder,
    /// What was read and not converted: `from..to`.
    raw: Vec<u8>,
    from: usize,
    to: usize,
    /// Nothing more will be read.
    ended: bool,
    /// What was converted and not handed out.
    ready: Vec<u8>,
    handed_out: usize,
    /// The decoder was told of the end.
    finished: bool,
}

impl<R: Read> Utf16<R> {
    /// `text`: without its byte order mark.
    pub(super) fn new(text: R, encoding: &'static Encoding) -> Self {
        Utf16 {
            text,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; PIECE],
            from: 0,
            to: 0,
            ended: false,
            ready: Vec::new(),
            handed_out: 0,
            finished: false,
        }
    }

    /// Converts one more piece.
    fn convert(&mut self) -> io::Result<()> {
        if self.from == self.to && !self.ended {
            let read = self.text.read(&mut self.raw)?;
            (self.from, self.to, self.ended) = (0, read, read == 0);
        }
        self.ready.resize(2 * PIECE + LEAST_ROOM, 0);
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(&self.raw[self.from..self.to], &mut self.ready, self.ended);
        self.from += read;
        self.ready.truncate(written);
        self.handed_out = 0;
        match result {
            DecoderResult::Malformed(..) => self.ready.push(0xff),
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.handed_out == self.ready.len() {
            if self.finished {
                return Ok(0);
            }
            self.convert()?;
        }
        let read = room.len().min(self.ready.len() - self.handed_out);
        room[..read].copy_from_slice(&self.ready[self.handed_out..self.handed_out + read]);
        self.handed_out += read;
        Ok(read)
    }
}
