mod containers;
mod converted;
mod framed;

use super::text::Bounded;
use super::*;
use crate::sources::testing::options;
use minutely_dataflows::edge::HaltKind;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;

type Line = (i64, Vec<u8>);

/// The slow twin: what the standard library makes of the same bytes.
fn twin(bytes: &[u8]) -> Vec<Line> {
    let mut lines: Vec<&[u8]> = bytes.split(|c| *c == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    (0..).zip(lines.into_iter().map(<[u8]>::to_vec)).collect()
}

/// Reads all that is left, at most `max()` records a call.
fn drain(reader: &mut dyn PartitionReader, mut max: impl FnMut() -> usize) -> Result<Vec<Line>, Halt> {
    let mut lines = Vec::new();
    while !reader.ended() {
        let (max, before) = (max(), lines.len());
        let read = reader.read(max, &mut |record| {
            assert_eq!((record.append_time, record.key), (None, None));
            lines.push((record.offset, record.payload.expect("a line").to_vec()));
        })?;
        assert!(read <= max && lines.len() == before + read, "{read} of {max}");
        assert!(lines.last().is_none_or(|(offset, _)| reader.next().0 == offset + 1));
    }
    assert_eq!(reader.read(10, &mut |_| panic!("past the end"))?, 0);
    Ok(lines)
}

/// A file that comes in pieces, as a pipe or a network's disk may give it.
struct Pieces(Vec<u8>, fastrand::Rng);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.u8(0..8) == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let most = buffer.len().min(self.0.len());
        let n = if most > 0 { self.1.usize(1..=most) } else { 0 };
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0.drain(..n);
        Ok(n)
    }
}

/// A reader of the first `end` bytes of a plain text.
fn reader(bytes: impl Read + Send + 'static, start: NextOffset, end: usize, sizes: ReadSizes) -> RecordReader {
    let input = Input::Direct(Box::new(Bounded::new(bytes, end as u64, 0)));
    let buffer = TextBuffer::new(input, sizes, 0, end as u64);
    RecordReader::new("f".into(), buffer, start, PayloadKind::Json, Concerns::default())
}

fn contents(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(0..60) {
        let most = 1 << rng.u32(0..9);
        let length = rng.usize(0..most);
        bytes.extend((0..length).map(|_| b"\r {:\"\0\xff7"[rng.usize(0..8)]));
        if rng.u8(0..9) > 0 {
            bytes.push(b'\n');
        }
    }
    bytes
}

#[test]
fn lines_are_those_of_the_standard_library_however_they_are_read() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..3000 {
        let bytes = contents(&mut rng);
        let end = rng.usize(0..=bytes.len());
        let expected = twin(&bytes[..end]);
        let start = rng.usize(0..=expected.len());
        let sizes = ReadSizes { buffer: rng.usize(1..300), record: 1 << 20 };
        let pieces = Pieces(bytes.clone(), rng.fork());
        let start_at = NextOffset(i64::try_from(start).unwrap());
        let mut reader = reader(pieces, start_at, end, sizes);
        let got = drain(&mut reader, || rng.usize(1..20)).unwrap();
        assert_eq!(got, expected[start..]);
    }
}

#[test]
fn the_longest_line_is_taken_and_of_a_longer_one_its_beginning() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..500 {
        let sizes = ReadSizes { buffer: rng.usize(1..40), record: 100 };
        let lengths: Vec<usize> =
            (0..rng.usize(1..6)).map(|_| [0, 7, 99, 100, 101, 102, 250, 5000][rng.usize(..8)]).collect();
        let closed = rng.bool() || lengths.last() == Some(&0);
        let lines: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
        let mut bytes = lines.join(&b'\n');
        bytes.extend(closed.then_some(b'\n'));
        let start = rng.usize(..=lengths.len());
        let start_at = NextOffset(i64::try_from(start).unwrap());
        let end = bytes.len();
        let leaves = rng.bool();
        let mut reader = reader(Pieces(bytes, rng.fork()), start_at, end, sizes).leaving_unended(leaves);
        let (mut got, mut room) = (Vec::new(), 0);
        while !reader.ended() {
            let max = rng.usize(1..4);
            let read = reader.read(max, &mut |record| {
                let payload = record.payload.unwrap();
                let whole = record.cut_from.map_or(payload.len(), |whole| usize::try_from(whole).unwrap());
                assert_eq!(record.cut_from.is_some(), whole > 100, "{whole}, seed {seed}");
                got.push((record.offset, whole));
            });
            assert!(read.unwrap() <= max);
            room = room.max(reader.room());
        }
        assert!(room <= 101, "a long line is not in memory: {room}, seed {seed}");
        let lines = lengths.len() - usize::from(leaves && !closed);
        let want: Vec<_> = (0..).zip(lengths[..lines].iter().copied()).skip(start).collect();
        assert_eq!(got, want, "seed {seed}");
        // What is remembered is the last line that was handed out.
        let last = (start < lines).then(|| i64::try_from(lines - 1).unwrap());
        assert_eq!(reader.last().map(|last| last.offset), last, "seed {seed}");
        if let Some(last) = reader.last() {
            let before: usize = lengths[..lines - 1].iter().map(|length| length + 1).sum();
            assert_eq!(last.byte, Some(before as u64), "seed {seed}");
        }
    }
}

#[test]
fn what_is_no_text_is_refused_with_what_to_do() {
    for (start, parts) in [
        (&b"BZh9\0"[..], ["bzip2", "bunzip2"]),
        (b"PK\x03\x04\0", ["zip", "unzip"]),
        (b"PAR1\x15\x04", ["Parquet", "JSON lines"]),
        (b"\xff\xfe\0\0{\0\0\0", ["UTF-32", "iconv"]),
        (b"\x7fELF\0\0", ["no text", "leave it out"]),
    ] {
        let folder = Folder::new(&[("a.jsonl", "{}")]);
        fs::write(folder.0.path().join("b.jsonl"), start).unwrap();
        let why = refused(folder.open("*.jsonl"));
        assert!(why.contains("b.jsonl is ") && parts.iter().all(|part| why.contains(part)), "{why}");
        assert_eq!(folder.names("a*.jsonl"), ["a.jsonl"]);
    }
}

#[test]
fn a_name_that_is_not_utf8_has_a_partition_of_its_own() {
    let folder = Folder::new(&[("a%FF.jsonl", "1\n")]);
    for name in [&b"odd\xff%FF.jsonl"[..], b"odd\xff\xff.jsonl", b"\xe9/a.jsonl"] {
        let path = folder.0.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "2\n").unwrap();
    }
    assert_eq!(folder.names("**/*.jsonl"), ["%E9/a.jsonl", "a%FF.jsonl", "odd%FF%25FF.jsonl", "odd%FF%FF.jsonl"]);
    let source = folder.open("odd*.jsonl").unwrap();
    for found in source.discover().unwrap() {
        let mut reader = source.open(&found, Arc::new(|| ())).unwrap();
        assert_eq!(drain(&mut *reader, || 5).unwrap(), twin(b"2\n"));
    }
    fs::write(folder.0.path().join(OsStr::from_bytes(b"a\xff.jsonl")), "").unwrap();
    assert!(refused(folder.open("a*.jsonl")).contains("would be one partition, a%FF.jsonl"));
}

#[test]
fn a_file_that_shrank_or_was_exchanged_stops_the_run() {
    let mut shrunk = reader(&b"1\n2\n"[..], NextOffset(0), 10, ReadSizes::default());
    let halt = drain(&mut shrunk, || 5).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Data);
    assert!(halt.why.starts_with("f has 4 bytes now and had 10"), "{}", halt.why);
    let mut exchanged = reader(&b"1\n2\n"[..], NextOffset(3), 4, ReadSizes::default());
    let halt = drain(&mut exchanged, || 5).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Data);
    assert!(halt.why.starts_with("f has fewer records than the 3"), "{}", halt.why);
    let mut empty = reader(&b""[..], NextOffset(1), 0, ReadSizes::default());
    assert!(drain(&mut empty, || 5).is_err());
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self, pattern: &str) -> Result<Arc<dyn LogSource>, Halt> {
        open(&format!("{}/{pattern}", self.0.path().to_str().unwrap()), &options())
    }

    fn names(&self, pattern: &str) -> Vec<String> {
        self.open(pattern).unwrap().discover().unwrap().into_iter().map(|found| found.name.to_string()).collect()
    }
}

fn wake() -> Wake {
    Arc::new(|| ())
}

fn refused(opened: Result<Arc<dyn LogSource>, Halt>) -> String {
    let halt = opened.err().expect("refused");
    assert_eq!(halt.kind, HaltKind::Usage, "{}", halt.why);
    halt.why
}

#[test]
fn partitions_are_named_below_the_fixed_part() {
    let folder = Folder::new(&[
        ("b.jsonl", ""),
        ("a.jsonl", ""),
        ("a.txt", ""),
        (".a.jsonl", ""),
        ("x/a.jsonl", ""),
        ("x/y/z/a.jsonl", ""),
        ("x/y/b1.jsonl", ""),
        ("x/.y/a.jsonl", ""),
        ("w.jsonl/a.jsonl", ""),
        ("[1].jsonl", ""),
    ]);
    assert_eq!(folder.names("*.jsonl"), ["[1].jsonl", "a.jsonl", "b.jsonl"]);
    assert_eq!(folder.names("a.jsonl"), ["a.jsonl"]);
    assert_eq!(folder.names("x/y/b1.jsonl"), ["b1.jsonl"]);
    assert_eq!(folder.names("x/**/a.jsonl"), ["a.jsonl", "y/z/a.jsonl"]);
    assert_eq!(folder.names("**/**/a.jsonl"), ["a.jsonl", "w.jsonl/a.jsonl", "x/a.jsonl", "x/y/z/a.jsonl"]);
    assert_eq!(folder.names("x/**"), ["a.jsonl", "y/b1.jsonl", "y/z/a.jsonl"]);
    assert_eq!(folder.names("?/y/b[0-9].jsonl"), ["x/y/b1.jsonl"]);
    assert_eq!(folder.names("*/a.jsonl"), ["w.jsonl/a.jsonl", "x/a.jsonl"]);
    assert_eq!(folder.names("./x//*.jsonl"), ["a.jsonl"]);
    assert_eq!(folder.names("[[]1].jsonl"), ["[1].jsonl"]);
    // A folder is all files below it.
    let below = ["a.jsonl", "y/b1.jsonl", "y/z/a.jsonl"];
    assert!(folder.names("x") == below && folder.names("x/") == below && folder.names("w.jsonl/../x") == below);
    assert_eq!(folder.names(".*.jsonl"), [".a.jsonl"]);
    assert_eq!(folder.names("*/../a.jsonl"), ["w.jsonl/../a.jsonl", "x/../a.jsonl"]);
}

#[test]
fn what_cannot_be_read_is_refused_before_the_run() {
    let folder = Folder::new(&[("a.jsonl", ""), ("x/a.jsonl", "")]);
    assert!(refused(folder.open("*.csv")).starts_with("no file matches file:/"));
    assert!(refused(folder.open("none/a.jsonl")).starts_with("no file matches"));
    assert!(refused(folder.open("none/*/a.jsonl")).starts_with("no file matches"));
    assert!(refused(folder.open("a.jsonl/*")).starts_with("no file matches"));
    assert!(refused(folder.open("x/a**")).contains("`a**` is not a pattern"));
    assert!(refused(folder.open("[")).contains("`[` is not a pattern"));
    std::os::unix::fs::symlink("nowhere", folder.0.path().join("x/dangling.jsonl")).unwrap();
    assert!(refused(folder.open("x/*.jsonl")).contains("dangling.jsonl cannot be read"));
    assert_eq!(folder.names("a*.jsonl"), ["a.jsonl"]);
    assert!(refused(open("/dev/null", &options())).contains("is not a plain file"));
    let latest = SourceOptions { start: Start::Latest, ..options() };
    assert!(refused(open("a.jsonl", &latest)).contains("--start"));
}

#[test]
fn mistakes_are_told_without_looking() {
    for (rest, needle) in [
        ("", "takes a path or a pattern"),
        ("//host/a.jsonl", "write file:host/a.jsonl or file:/host/a.jsonl"),
        ("a/[z-", "`[z-` is not a pattern"),
    ] {
        let mistakes = validate(rest);
        assert!(mistakes.len() == 1 && mistakes[0].contains(needle), "{rest}: {mistakes:?}");
    }
    assert_eq!(validate("[/a**").len(), 2);
    assert_eq!(validate("///data/*.jsonl"), Vec::<String>::new());
    assert_eq!(identity("./a//*.jsonl"), identity("a/*.jsonl"));
    assert!(identity("a.jsonl").starts_with("file:/"));
    assert_eq!((identity("data/"), identity("/dev/stdin")), (identity("data"), identity("-")));
    assert_eq!(validate("data/").len() + validate("..").len() + validate("-").len(), 0);
}

#[test]
fn links_are_followed_but_not_below_two_stars() {
    let folder = Folder::new(&[("real/a.jsonl", "1\n")]);
    std::os::unix::fs::symlink("..", folder.0.path().join("real/up")).unwrap();
    std::os::unix::fs::symlink("a.jsonl", folder.0.path().join("real/b.jsonl")).unwrap();
    assert_eq!(folder.names("real/**/*.jsonl"), ["a.jsonl", "b.jsonl"]);
    assert_eq!(folder.names("real/*/real/a.jsonl"), ["up/real/a.jsonl"]);
}

#[test]
fn the_end_is_the_one_at_the_start_and_every_file_is_read_whole() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = Folder::new(&[]);
    let mut texts = BTreeMap::new();
    for nth in 0..20 {
        let name = format!("{}{nth}.jsonl", if rng.bool() { "sub/" } else { "" });
        let lines = rng.usize(0..20_000);
        let mut text: String = (0..lines).map(|n| format!("{{\"n\":{n},\"x\":{}}}\n", rng.u64(..))).collect();
        if rng.bool() {
            text.push_str("unfinished");
        }
        folder.write(&name, &text);
        texts.insert(name, text);
    }
    let source = folder.open("**/*.jsonl").unwrap();
    let found = source.discover().unwrap();
    assert_eq!(source.discover().unwrap(), []);
    assert!(found.iter().map(|found| &found.name.log).eq(texts.keys()), "in the order of their names");
    for name in texts.keys() {
        let path = folder.0.path().join(name);
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b" later\nlater\n").unwrap();
    }
    for partition in found {
        let mut reader = source.open(&partition, wake()).unwrap();
        let got = drain(reader.as_mut(), || rng.usize(1..5000)).unwrap();
        assert!(got == twin(texts[&partition.name.log].as_bytes()), "{}", partition.name);
        assert_eq!(reader.answer(), None);
    }
}

#[test]
fn a_file_cut_while_it_is_read_is_noticed() {
    let text = "0123456789\n".repeat(100_000);
    let folder = Folder::new(&[("a.jsonl", &text)]);
    let source = folder.open("a.jsonl").unwrap();
    let partition = source.discover().unwrap().remove(0);
    let mut reader = source.open(&partition, wake()).unwrap();
    assert_eq!(reader.read(10, &mut |_| ()).unwrap(), 10);
    let file = fs::OpenOptions::new().write(true).open(folder.0.path().join("a.jsonl")).unwrap();
    file.set_len(500_000).unwrap();
    let halt = drain(reader.as_mut(), || 1000).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Data);
    assert!(halt.why.contains("a.jsonl has 500000 bytes now and had 1100000"), "{}", halt.why);
}
