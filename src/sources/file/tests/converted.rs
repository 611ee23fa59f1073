//! Compressed files, byte order marks, UTF-16.

use super::*;
use crate::sources::file::text;
use std::io::Cursor;

/// A whole file of each kind with this text, as the usual tools write it.
fn compressed(text: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text).unwrap();
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(text).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 3);
    xz.write_all(text).unwrap();
    let checked = lz4_flex::frame::FrameInfo::new().content_checksum(true);
    let mut lz4 = lz4_flex::frame::FrameEncoder::with_frame_info(checked, Vec::new());
    lz4.write_all(text).unwrap();
    [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("lz4", lz4.finish().unwrap()),
    ]
}

#[test]
fn an_lz4_frame_that_is_cut_off_between_its_blocks_is_found() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let text = lines(0..12_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [None, Some(text.len() as u64)] {
            let info = FrameInfo::new().block_mode(mode).block_size(BlockSize::Max64KB).content_size(size);
            let mut lz4 = FrameEncoder::with_frame_info(info, Vec::new());
            lz4.write_all(&text).unwrap();
            let whole = lz4.finish().unwrap();
            let empty = FrameEncoder::new(Vec::new()).finish().unwrap();
            assert!(text_of(&[&whole[..], &empty, &whole].concat()).unwrap() == text.repeat(2), "{mode:?}");
            let (mut at, mut cuts) = (if size.is_some() { 15 } else { 7 }, 0);
            while at + 4 < whole.len() {
                assert!(text_of(&whole[..at]).is_err(), "{mode:?}: cut off at {at} of {}", whole.len());
                let block = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
                (at, cuts) = (at + 4 + usize::try_from(block).unwrap(), cuts + 1);
            }
            assert!(cuts > 3, "{cuts} blocks");
        }
    }
}

/// So many lines, which are no two alike.
fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|n| format!("{{\"n\":{n},\"x\":{}}}\n", n * n % 7919).into_bytes()).collect()
}

/// The text of these bytes of a file.
fn text_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    let mut text = Vec::new();
    text::of_file(file, bytes.len() as u64, PayloadKind::Json, &text::ReadBytes::default())?
        .bytes
        .read_to_end(&mut text)?;
    Ok(text)
}

#[test]
fn compressed_files_of_several_parts_are_read_whole_or_not_at_all() {
    let (first, second) = (lines(0..40), lines(40..60));
    for ((kind, one), (_, two)) in compressed(&first).into_iter().zip(compressed(&second)) {
        let all = [one.as_slice(), &two].concat();
        assert_eq!(text_of(&all).unwrap(), [first.as_slice(), &second].concat(), "{kind}");
        // A file that was cut off where a part ends cannot be told from a whole one.
        assert_eq!(text_of(&one).unwrap(), first, "{kind}");
        for length in (6..all.len()).filter(|length| *length != one.len()) {
            let error = text_of(&all[..length]).err().unwrap_or_else(|| panic!("{kind} {length} of {}", all.len()));
            let halt = Halt::from(FileError::reading("a.gz".as_ref(), 7, error));
            assert_eq!(halt.kind, HaltKind::Data, "{kind} {length}");
            for part in ["a.gz: its ", kind, "cut off at byte", "record 7", " -t checks it"] {
                assert!(halt.why.contains(part), "{part} is not in {}", halt.why);
            }
        }
        assert!(text_of(&[one.as_slice(), b"something else"].concat()).is_err(), "{kind}");
    }
}

#[test]
fn damage_is_found_or_does_none() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let text = lines(0..300);
    for (kind, whole) in compressed(&text) {
        for _ in 0..300 {
            let mut damaged = whole.clone();
            let at = rng.usize(6..damaged.len());
            damaged[at] ^= 1 << rng.u8(..8);
            assert!(text_of(&damaged).is_err() || text_of(&damaged).unwrap() == text, "{kind} at {at}, seed {seed}");
        }
    }
}

#[test]
fn utf_16_is_read_as_utf_8() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let text: String = (0..200_000).map(|_| rng.char('\0'..='\u{10ffff}')).collect();
    for little in [true, false] {
        let units = |units: &[u16]| -> Vec<u8> {
            let bytes = |unit: &u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
            units.iter().flat_map(bytes).collect()
        };
        let mark = units(&[0xfeff]);
        let file = [mark.as_slice(), &units(&text.encode_utf16().collect::<Vec<_>>())].concat();
        assert!(text_of(&file).unwrap() == text.as_bytes(), "{little}, seed {seed}");
        let gzipped = &compressed(&file)[0].1;
        assert!(text_of(gzipped).unwrap() == text.as_bytes(), "{little}, compressed, seed {seed}");
        // Half a pair, and half a unit at the end: a byte that is not UTF-8, so its record is rejected.
        let broken = [mark.as_slice(), &units(&[0x41, 0xd800, 0x0a, 0x42]), b"7"].concat();
        assert_eq!(text_of(&broken).unwrap(), b"A\xff\nB\xff");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_record() {
    let folder =
        Folder::new(&[("a.jsonl", "\u{feff}{\"a\":1}\r\n{\"a\":2}\r\n"), ("b.jsonl", "\u{feff}"), ("c.jsonl", "")]);
    let source = folder.open("*.jsonl").unwrap();
    let found = source.discover().unwrap();
    let mut reader = source.open(&found[0], wake()).unwrap();
    assert_eq!(drain(&mut *reader, || 1).unwrap(), twin(b"{\"a\":1}\r\n{\"a\":2}\r\n"));
    assert_eq!(reader.last().unwrap().byte, Some(3 + 9), "the byte of the file");
    for empty in &found[1..] {
        assert_eq!(drain(&mut *source.open(empty, wake()).unwrap(), || 1).unwrap(), []);
    }
    // No JSON: the line end is the whole of `\r\n`.
    let text = SourceOptions { payloads: PayloadKind::Text, ..options() };
    let source = open(&format!("{}/a.jsonl", folder.0.path().display()), &text).unwrap();
    let mut reader = source.open(&source.discover().unwrap()[0], wake()).unwrap();
    assert_eq!(drain(&mut *reader, || 5).unwrap(), twin(b"{\"a\":1}\n{\"a\":2}\n"));
}

/// The same records in every kind of file, with the place of the end of a whole part.
fn every_kind(records: usize) -> Vec<(String, Vec<u8>)> {
    let text = lines(0..records);
    let string = String::from_utf8(text.clone()).unwrap();
    let rows: Vec<&str> = string.lines().collect();
    let utf_16: Vec<u8> = [0xfeff].into_iter().chain(string.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let mut kinds = vec![
        ("plain".to_owned(), text.clone()),
        ("marked".to_owned(), [b"\xef\xbb\xbf", text.as_slice()].concat()),
        ("utf-16".to_owned(), utf_16),
        ("array".to_owned(), format!("[{}]", rows.join(", ")).into_bytes()),
        ("lines of an array".to_owned(), format!("[\n  {}\n]\n", rows.join(",\n  ")).into_bytes()),
        ("no line ends".to_owned(), rows.concat().into_bytes()),
    ];
    let packed = compressed(&text).map(|(kind, bytes)| (kind.to_owned(), bytes));
    kinds.extend(packed);
    kinds.push(("array.gz".to_owned(), compressed(rows.concat().as_bytes())[0].1.clone()));
    kinds
}

#[test]
fn a_run_resumes_at_its_record_in_every_kind_of_file() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let records = 20_000;
    let wanted = twin(&lines(0..records));
    let folder = Folder::new(&[]);
    for (name, bytes) in every_kind(records) {
        fs::write(folder.0.path().join(&name), bytes).unwrap();
    }
    let source = folder.open("*").unwrap();
    for found in source.discover().unwrap() {
        let name = found.name.clone();
        let mut reader = source.open(&found, wake()).unwrap();
        let (mut read, until) = (Vec::new(), rng.usize(1..records));
        while read.len() < until {
            let most = (until - read.len()).min(rng.usize(1..3000));
            reader.read(most, &mut |record| read.push((record.offset, record.payload.unwrap().to_vec()))).unwrap();
        }
        assert!(read == wanted[..until], "{name}, seed {seed}");
        let (last, next) = (reader.last().unwrap(), reader.next());
        drop(reader);
        let there = source.probe(&[(name.clone(), Some(last))]).unwrap().remove(0).unwrap().last;
        assert_eq!(there, LastRecordCheck::Holds(last), "{name}, seed {seed}");
        let later = LastRecord { byte: last.byte.map(|byte| byte + 1), ..last };
        let there = source.probe(&[(name.clone(), Some(later))]).unwrap().remove(0).unwrap().last;
        assert!(matches!(there, LastRecordCheck::Holds(found) if !found.is(&last)), "{name}, seed {seed}");
        let nowhere = LastRecord { byte: Some(1 << 40), ..last };
        let halt = source.probe(&[(name.clone(), Some(nowhere))]).unwrap_err();
        assert!(halt.why.contains("fewer records than the"), "{name}, seed {seed}: {halt}");
        let resumed = Discovered { start: next, ..found };
        let rest = drain(&mut *source.open(&resumed, wake()).unwrap(), || rng.usize(1..3000)).unwrap();
        assert!(rest == wanted[until..], "{name}, seed {seed}");
    }
}

#[test]
fn a_compressed_file_may_grow_by_whole_parts() {
    let wanted = twin(&lines(0..60));
    for ((kind, one), (_, two)) in compressed(&lines(0..40)).into_iter().zip(compressed(&lines(40..60))) {
        let folder = Folder::new(&[]);
        let path = folder.0.path().join("a");
        fs::write(&path, &one).unwrap();
        let source = folder.open("a").unwrap();
        let found = source.discover().unwrap().remove(0);
        fs::write(&path, [one.as_slice(), &two].concat()).unwrap();
        let mut reader = source.open(&found, wake()).unwrap();
        assert_eq!(drain(&mut *reader, || 7).unwrap(), wanted[..40], "{kind}: to the end at the start");
        let grown = folder.open("a").unwrap();
        let found = grown.discover().unwrap().remove(0);
        let resumed = Discovered { start: reader.next(), ..found };
        assert_eq!(drain(&mut *grown.open(&resumed, wake()).unwrap(), || 7).unwrap(), wanted[40..], "{kind}");
        let missing = Discovered { start: NextOffset(61), ..resumed };
        let halt = drain(&mut *grown.open(&missing, wake()).unwrap(), || 7).unwrap_err();
        assert!(halt.why.contains("fewer records than the 61"), "{}", halt.why);
    }
}

#[test]
fn more_compressed_files_than_threads_are_read_side_by_side() {
    let gzip = compressed(&lines(0..5000))[0].1.clone();
    let folder = Folder::new(&[]);
    (0..40).for_each(|n| fs::write(folder.0.path().join(n.to_string()), &gzip).unwrap());
    let source = folder.open("*").unwrap();
    let found = source.discover().unwrap();
    let mut readers: Vec<_> = found.iter().map(|found| source.open(found, wake()).unwrap()).collect();
    let mut read = vec![0; readers.len()];
    while readers.iter().any(|reader| !reader.ended()) {
        for (reader, read) in readers.iter_mut().zip(&mut read) {
            *read += reader.read(100, &mut |_| ()).unwrap();
        }
    }
    assert_eq!(read, [5000; 40]);
}

#[test]
fn what_a_compressed_file_holds_is_looked_at() {
    for (inner, what) in [(compressed(b"{}\n")[1].1.clone(), "compressed twice"), (b"tar\0\0".to_vec(), "no text")] {
        let error = text_of(&compressed(&inner)[0].1).unwrap_err();
        let halt = Halt::from(FileError::reading("a.gz".as_ref(), 0, error));
        assert!(halt.kind == HaltKind::Data && halt.why.contains(what), "{}", halt.why);
    }
    let (kind, bytes) =
        (text::of_stream(Box::new(Cursor::new(b"7".to_vec())), PayloadKind::Json).unwrap(), &mut Vec::new());
    assert_eq!({ kind }.read_to_end(bytes).unwrap(), 1, "a stream shorter than what is looked at");
}
