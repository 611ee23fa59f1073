//! `file:GLOB`: JSON lines in plain files, a partition each, read once from the beginning to the end they had at the start.
//!
//! ```text
//!   file:data/2026/**/*.jsonl        fixed part: data/2026
//!        └─ data/2026/nyse/a.jsonl   partition: nyse/a.jsonl, offsets: line numbers from 0
//! ```
//!
//! A pattern is that of a shell: `*`, `?`, `[a-z]`, and `**` for any folders; names that begin with a dot and symbolic
//! links to folders below `**` are left out. `[[]` is a bracket. A path without a wildcard is one file, and the partition is
//! its name.
//!
//! A name that is not UTF-8 names its partition with `%FF` for each byte that is none (and `%25` for `%`).
//!
//! What it promises: each line is a record, blank ones too, and so is a last line that no line end closes. One of more than
//! 64 MiB is a record that cannot be decoded, and is never in memory as a whole. Compressed files and UTF-16 are refused. Line ends are
//! `\n`; a `\r` before it is white space to JSON. What is appended after the start is left for a later run; so a line that
//! was half written then is a record as it stood. What it does not promise: to notice a file that is rewritten in place
//! while it is read. A file that got shorter stops the run, and so does, when a state is gone on with, another line where the
//! last one was that was read.

use super::{SourceOptions, Start};
use glob::{MatchOptions, Pattern};
use memchr::{memchr, memchr_iter};
use minutely_dataflows::edge::{
    Discovered, EndAnswer, Halt, HaltKind, LastRecordCheck, LogProbe, LogSource, PartitionReader, Wake,
};
use minutely_dataflows::record::{LastRecord, PartitionName, Record};
use minutely_dataflows::time::NextOffset;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes asked of the system at once. Larger ones are no faster; there is a buffer per open file, and hundreds of them.
const BUFFER_BYTES: usize = 256 << 10;
/// The longest line, in bytes, its end left aside. A longer one is one record that cannot be decoded, of which the beginning is
/// kept.
const LINE_BYTES: usize = 64 << 20;
/// So much of it, in bytes.
const BEGINNING: usize = 64 << 10;
/// The error number of "too many open files" on every Unix.
const TOO_MANY_OPEN: i32 = 24;

/// A shell's rules: no wildcard matches a separator or a leading dot.
const RULES: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// All mistakes in what follows `file:`.
pub(super) fn validate(rest: &str) -> Vec<String> {
    Glob::parse(rest).err().unwrap_or_default()
}

/// The pattern as an absolute one: which files, from wherever the run is started.
pub(super) fn identity(rest: &str) -> String {
    std::path::absolute(rest).map_or_else(|_| format!("file:{rest}"), |path| format!("file:{}", path.display()))
}

/// Finds the files and records their ends.
///
/// # Errors
/// 64: a wrong pattern or start, no match, or a match that cannot be read.
pub(super) fn open(rest: &str, run: &SourceOptions) -> Result<Arc<dyn LogSource>, Halt> {
    let glob = Glob::parse(rest).map_err(|mistakes| usage(mistakes.join("; ")))?;
    if run.start != Start::Earliest {
        return Err(usage("files are read from their beginning: leave out --start, or give it as earliest"));
    }
    let files = glob.files()?;
    if files.is_empty() {
        return Err(usage(format!(
            "no file matches file:{rest}: check the pattern, which is read from the current folder unless it begins with \
             a slash; a bracket in a name is written [[], and names with a leading dot are left out"
        )));
    }
    Ok(Arc::new(FileSource { files, told: AtomicBool::new(false) }))
}

fn usage(why: impl Into<String>) -> Halt {
    Halt::new(HaltKind::Usage, why)
}

fn unreadable(path: &Path, error: &io::Error) -> Halt {
    let way_out = match (error.raw_os_error(), error.kind()) {
        (Some(TOO_MANY_OPEN), _) => "every file is open while it is read: raise the limit with ulimit -n",
        (_, ErrorKind::PermissionDenied) => "give this user the right to read it",
        _ => "leave it out of the pattern, or make it readable",
    };
    usage(format!("{} cannot be read ({error}): {way_out}", path.display()))
}

/// One component of a pattern.
#[derive(Clone, Debug)]
enum Part {
    /// `**`: any folders, or none.
    Folders,
    /// A name without wildcards.
    Name(String),
    /// One name with wildcards.
    Pattern(Pattern),
}

/// A pattern: a fixed part, and what is below it.
#[derive(Clone, Debug)]
struct Glob {
    fixed: PathBuf,
    parts: Vec<Part>,
}

impl Glob {
    fn parse(rest: &str) -> Result<Self, Vec<String>> {
        if rest.is_empty() {
            return Err(vec!["file: takes a path or a pattern, as in file:data/*.jsonl".into()]);
        }
        if rest.starts_with("//") && !rest.starts_with("///") {
            let path = rest.trim_start_matches('/');
            return Err(vec![format!(
                "file:{rest} names a host, and files are read on this one only: write file:{path} or file:/{path}"
            )]);
        }
        if rest.ends_with('/') {
            return Err(vec![format!("file:{rest} is a folder: write file:{rest}*.jsonl, or file:{rest}**/*.jsonl")]);
        }
        let mut mistakes = Vec::new();
        let mut glob = Glob { fixed: PathBuf::from(if rest.starts_with('/') { "/" } else { "" }), parts: Vec::new() };
        for part in rest.split('/').filter(|part| !part.is_empty() && *part != ".") {
            match (part, part.contains(['*', '?', '['])) {
                ("**", _) => glob.parts.push(Part::Folders),
                (_, true) => match Pattern::new(part) {
                    Ok(pattern) => glob.parts.push(Part::Pattern(pattern)),
                    Err(error) => mistakes.push(format!(
                        "file:{rest}: `{part}` is no pattern: {} at its character {}",
                        error.msg, error.pos
                    )),
                },
                (_, false) if glob.parts.is_empty() => glob.fixed.push(part),
                (_, false) => glob.parts.push(Part::Name(part.into())),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        if glob.parts.is_empty() {
            // A plain path: what is fixed is its folder.
            let Some(name) = glob.fixed.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
                return Err(vec![format!("file:{rest} is a folder: add a pattern, as in file:{rest}/*.jsonl")]);
            };
            glob.fixed.pop();
            glob.parts.push(Part::Name(name));
        }
        if matches!(glob.parts.last(), Some(Part::Folders)) {
            glob.parts.push(Part::Pattern(Pattern::new("*").expect("a pattern")));
        }
        Ok(glob)
    }

    /// The files that match, by name relative to the fixed part, each with its length in bytes.
    fn files(&self) -> Result<Files, Halt> {
        let mut files = BTreeMap::new();
        if let [Part::Name(name)] = self.parts.as_slice() {
            let path = self.fixed.join(name);
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => {
                    let path = path.display();
                    return Err(usage(format!("{path} is a folder: add a pattern, as in file:{path}/*.jsonl")));
                }
                Ok(_) => {}
                Err(error) if is_absent(&error) => return Ok(files),
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        walk(&self.fixed, "", &self.parts, &mut files)?;
        Ok(files)
    }
}

/// Adds the files below `folder`, which is called `name`, that match what is left of the pattern.
fn walk(folder: &Path, name: &str, parts: &[Part], files: &mut Files) -> Result<(), Halt> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match part {
        Part::Name(wanted) => {
            let path = folder.join(wanted);
            match path.symlink_metadata() {
                Err(error) if is_absent(&error) => {}
                _ => step(&path, &below(name, wanted), rest, files)?, // and tells what is wrong with it
            }
        }
        Part::Pattern(pattern) => {
            for path in entries(folder)? {
                let entry = path.file_name().unwrap_or_default();
                if pattern.matches_with(&entry.to_string_lossy(), RULES) {
                    step(&path, &below(name, &entry_name(entry)), rest, files)?;
                }
            }
        }
        Part::Folders => {
            walk(folder, name, rest, files)?;
            for path in entries(folder)? {
                // A link to a folder may lead upwards: it is not followed here.
                if !path.is_symlink() && path.is_dir() {
                    let entry = entry_name(path.file_name().unwrap_or_default());
                    if !entry.starts_with('.') {
                        walk(&path, &below(name, &entry), parts, files)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// A path whose name matches: a file if nothing is left of the pattern, else a folder to go into.
fn step(path: &Path, name: &str, rest: &[Part], files: &mut Files) -> Result<(), Halt> {
    let found = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if found.is_dir() {
        return walk(path, name, rest, files);
    }
    if !rest.is_empty() {
        return Ok(());
    }
    if !found.is_file() {
        return Err(usage(format!("{} is not a plain file, and has no end to read to: leave it out", path.display())));
    }
    let look = || -> io::Result<_> {
        let file = File::open(path)?;
        let mut start = Vec::new();
        (&file).take(8).read_to_end(&mut start)?;
        Ok((file.metadata()?.len(), start))
    };
    let (length, start) = look().map_err(|error| unreadable(path, &error))?;
    if let Some((what, way_out)) = no_lines(&start) {
        return Err(usage(format!("{} is {what}, and files are read as they are: {way_out}", path.display())));
    }
    match files.insert(name.to_owned(), (path.to_owned(), length)) {
        Some((other, _)) if other != *path => Err(usage(format!(
            "{} and {} would be one partition, {name}: rename one of them, or leave it out of the pattern",
            other.display(),
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// What a file that begins so is, if it is none of lines in UTF-8, and what to do with it.
fn no_lines(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const COMPRESSED: [(&[u8], &str, &str); 6] = [
        (b"\x1f\x8b", "compressed (gzip)", "decompress it first (gunzip -k)"),
        (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "decompress it first (zstd -d)"),
        (b"\xfd7zXZ\0", "compressed (xz)", "decompress it first (unxz -k)"),
        (b"\x04\x22\x4d\x18", "compressed (lz4)", "decompress it first (lz4 -d)"),
        (b"BZh", "compressed (bzip2)", "decompress it first (bunzip2 -k)"),
        (b"PK\x03\x04", "an archive (zip)", "unpack it first (unzip)"),
    ];
    const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
    let compressed = COMPRESSED.iter().find(|(magic, ..)| start.starts_with(magic));
    compressed.map(|(_, what, way_out)| (*what, *way_out)).or_else(|| {
        let utf_16 = UTF_16.iter().any(|mark| start.starts_with(mark));
        utf_16.then_some(("UTF-16", "convert it first (iconv -f UTF-16 -t UTF-8)"))
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn below(name: &str, entry: &str) -> String {
    if name.is_empty() { entry.to_owned() } else { format!("{name}/{entry}") }
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Halt> {
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let listed = match fs::read_dir(shown) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|entry| Ok(folder.join(entry?.file_name()))).collect()),
    };
    listed.map_err(|error| unreadable(shown, &error))
}

/// What a name is called as part of a partition's. Of one that is not UTF-8, each byte that is none is `%FF`, and `%` is `%25`,
/// so that two of them are never called the same.
fn entry_name(name: &OsStr) -> Cow<'_, str> {
    if let Some(name) = name.to_str() {
        return Cow::Borrowed(name);
    }
    let mut called = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        called += &chunk.valid().replace('%', "%25");
        chunk.invalid().iter().for_each(|byte| called += &format!("%{byte:02X}"));
    }
    Cow::Owned(called)
}

/// Each file's path and its length in bytes at the start, by the name of its partition.
type Files = BTreeMap<String, (PathBuf, u64)>;

/// The files of a run. One per process.
#[derive(Debug)]
struct FileSource {
    files: Files,
    told: AtomicBool,
}

impl LogSource for FileSource {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.told.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = |(name, (_, length)): (&String, &(PathBuf, u64))| {
            let end = i64::try_from(*length)
                .map_err(|_| usage(format!("{name} is {length} bytes long, which no file is: leave it out")))?;
            let name = PartitionName { log: name.clone(), number: None };
            Ok(Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: Some(end), log_id: None })
        };
        self.files.iter().map(found).collect()
    }

    fn probe(&self, left: &[(PartitionName, Option<LastRecord>)]) -> Result<Vec<Option<LogProbe>>, Halt> {
        let probe = |(name, last): &(PartitionName, Option<LastRecord>)| {
            let (path, _) = self.files.get(&name.log)?;
            let last = last.as_ref().map_or(LastRecordCheck::Unknown, |last| line_at(path, last));
            Some(LogProbe { last, ..LogProbe::default() })
        };
        Ok(left.iter().map(probe).collect())
    }

    fn open(&self, partition: &Discovered, _wake: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let Some((path, length)) = self.files.get(&partition.name.log) else {
            return Err(usage(format!("{} was not there when the run started: start again", partition.name)));
        };
        let end = partition.end.and_then(|end| u64::try_from(end).ok()).unwrap_or(*length);
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Box::new(Lines::new(file, path.clone(), partition.start, end, Sizes::default())))
    }
}

fn record(offset: i64, line: &[u8]) -> Record<'_> {
    Record { offset, append_time: None, key: None, payload: Some(line), cut_from: None }
}

fn last_record(offset: i64, line: &[u8], byte: u64) -> LastRecord {
    LastRecord { byte: Some(byte), ..LastRecord::of(&record(offset, line)) }
}

/// The line that was read last, as it is now.
fn line_at(path: &Path, was: &LastRecord) -> LastRecordCheck {
    let read = |byte: u64| -> std::io::Result<LastRecordCheck> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(byte))?;
        let mut line = Vec::new();
        let read = BufReader::new(file).take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = if line.len() > LINE_BYTES { &line[..BEGINNING] } else { line };
        Ok(if read == 0 { LastRecordCheck::Gone } else { LastRecordCheck::Holds(last_record(was.offset, line, byte)) })
    };
    // One that cannot be read is told of when it is opened.
    was.byte.map_or(LastRecordCheck::Unknown, |byte| read(byte).unwrap_or_default())
}

/// How much is read at once, and how long a line may be, in bytes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    buffer: usize,
    line: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { buffer: BUFFER_BYTES, line: LINE_BYTES }
    }
}

/// Reads one file, line by line, up to its recorded end.
#[derive(Debug)]
struct Lines<R> {
    file: R,
    path: PathBuf,
    sizes: Sizes,
    /// Nothing is read from here on, in bytes.
    end: u64,
    /// How many bytes were taken from the file.
    taken: u64,
    /// What was taken and not handed out: `from..to`. No line ends within `from..seen`.
    buffer: Vec<u8>,
    from: usize,
    seen: usize,
    to: usize,
    /// How many lines are still to be passed before the first to hand out.
    skip: i64,
    next: NextOffset,
    last: Option<LastRecord>,
    /// The line that is too long, as far as it was read: it is not in the buffer.
    long: Option<LongLine>,
}

/// A line that is longer than lines may be.
#[derive(Debug)]
struct LongLine {
    /// What is kept of it.
    beginning: Vec<u8>,
    /// How long it is, as far as it was read.
    bytes: u64,
    /// Where it begins in the file.
    from: u64,
}

impl<R: Read> Lines<R> {
    fn new(file: R, path: PathBuf, start: NextOffset, end: u64, sizes: Sizes) -> Self {
        let (from, seen, to) = (0, 0, 0);
        Lines {
            file,
            path,
            sizes,
            end,
            taken: 0,
            buffer: Vec::new(),
            from,
            seen,
            to,
            skip: start.0,
            next: start,
            last: None,
            long: None,
        }
    }

    /// RowFilter more from the file, once.
    fn fill(&mut self) -> Result<(), Halt> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.seen, self.to) = (0, self.seen - self.from, self.to - self.from);
        if self.to == self.buffer.len() {
            self.grow();
        }
        let left = usize::try_from(self.end - self.taken).unwrap_or(usize::MAX);
        let room = self.to..self.buffer.len().min(self.to.saturating_add(left));
        let taken = loop {
            match self.file.read(&mut self.buffer[room.clone()]) {
                Ok(0) => return Err(self.shorter()),
                Ok(taken) => break taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let why = format!("{} cannot be read on at line {}", self.path.display(), self.next.0);
                    return Err(Halt::new(
                        HaltKind::Unreachable,
                        format!("{why} ({error}): see to the disk or the network, then run again"),
                    ));
                }
            }
        };
        self.to += taken;
        self.taken += u64::try_from(taken).expect("a buffer is shorter than 2^64");
        Ok(())
    }

    /// A line fills the buffer: doubles it.
    fn grow(&mut self) {
        let whole = usize::try_from(self.end).unwrap_or(usize::MAX);
        let size = if self.to == 0 { self.sizes.buffer } else { 2 * self.to };
        let longest = self.sizes.line + 1; // with its end
        self.buffer.resize(size.min(longest).min(whole).max(1), 0);
    }

    /// Has no line ended in more bytes than a line may have?
    fn too_long(&self) -> bool {
        self.seen == self.to && self.to - self.from > self.sizes.line
    }

    /// Keeps the beginning of the line that fills the buffer, and gives the buffer back.
    fn begin_long_line(&mut self) {
        let line = &self.buffer[self.from..self.to];
        let (bytes, beginning) = (line.len() as u64, line[..line.len().min(BEGINNING)].to_vec());
        self.long = Some(LongLine { beginning, bytes, from: self.taken - bytes });
        self.buffer = Vec::new();
        (self.from, self.seen, self.to) = (0, 0, 0);
    }

    /// Passes what is in the buffer of a line that is too long. Hands it out where it ends.
    fn pass_long_line(&mut self, each: &mut dyn FnMut(Record<'_>)) -> usize {
        let Some(mut long) = self.long.take() else { return 0 };
        let rest = &self.buffer[self.from..self.to];
        let end = memchr(b'\n', rest);
        long.bytes += end.unwrap_or(rest.len()) as u64;
        self.from += end.map_or(rest.len(), |end| end + 1);
        self.seen = self.from;
        if end.is_none() && self.taken < self.end {
            self.long = Some(long);
            return 0;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return 0;
        }
        let LongLine { beginning, bytes, from } = long;
        each(Record { cut_from: Some(bytes), ..record(self.next.0, &beginning) });
        // As with any other, one that no line end closes may grow.
        if end.is_some() {
            self.last = Some(last_record(self.next.0, &beginning, from));
        }
        self.next.0 += 1;
        1
    }

    fn shorter(&self) -> Halt {
        let (path, end, taken) = (self.path.display(), self.end, self.taken);
        Halt::new(
            HaltKind::Data,
            format!(
                "{path} has {taken} bytes now and had {end} when the run started: files may grow but not shrink while they \
                 are read; restore it, or start a run anew with the file as it is"
            ),
        )
    }

    /// Hands out lines that are in the buffer.
    fn hand_out(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> usize {
        let (mut read, mut last) = (self.pass_long_line(each), None);
        if read == max || self.long.is_some() {
            return read;
        }
        let mut hand_out = |line: &[u8], from: usize| {
            if self.skip > 0 {
                self.skip -= 1;
                return 0;
            }
            each(record(self.next.0, line));
            last = Some((self.next.0, from..from + line.len()));
            self.next.0 += 1;
            1
        };
        let ends = memchr_iter(b'\n', &self.buffer[self.seen..self.to]);
        let base = self.seen;
        self.seen = self.to;
        for end in ends {
            read += hand_out(&self.buffer[self.from..base + end], self.from);
            self.from = base + end + 1;
            if read == max {
                self.seen = self.from;
                break;
            }
        }
        if let Some((offset, line)) = last {
            let byte = self.taken.saturating_sub(self.to as u64) + line.start as u64;
            self.last = Some(last_record(offset, &self.buffer[line], byte));
        }
        // One that no line end closes is not remembered: it may grow.
        if read < max && self.taken == self.end && self.from < self.to && self.to - self.from <= self.sizes.line {
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                each(record(self.next.0, &self.buffer[self.from..self.to]));
                self.next.0 += 1;
                read += 1;
            }
            self.from = self.to;
        }
        read
    }
}

impl<R: Read> PartitionReader for Lines<R> {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if max == 0 || self.ended() {
            return Ok(0);
        }
        let mut read = self.hand_out(max, each);
        if read == 0 && self.taken < self.end {
            self.fill()?;
            read = self.hand_out(max, each);
        }
        if self.too_long() {
            self.begin_long_line();
        }
        if self.taken == self.end && self.from == self.to && self.long.is_none() {
            if self.skip > 0 {
                let why = format!(
                    "{} has fewer lines than the {} that were read before: it is not the file it was; restore it, or start \
                     a run anew",
                    self.path.display(),
                    self.next.0
                );
                return Err(Halt::new(HaltKind::Data, why));
            }
            self.buffer = Vec::new();
            (self.from, self.seen, self.to) = (0, 0, 0);
        }
        Ok(read)
    }

    fn next(&self) -> NextOffset {
        self.next
    }

    fn ended(&self) -> bool {
        self.taken == self.end && self.from == self.to && self.skip == 0 && self.long.is_none()
    }

    fn last(&self) -> Option<LastRecord> {
        self.last
    }

    /// A file has its recorded end; nobody needs another.
    fn ask_end(&mut self, _urgent: bool) {}

    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }

    fn idle_wait(&self) -> Duration {
        if self.ended() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests;
