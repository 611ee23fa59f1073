//! Finds the files that match a pattern, when a run starts, and refuses those that hold no text.

use super::error::FileError;
use super::pattern::{FilePattern, PatternPart};
use super::text::{self, Kind};
use crate::sources::PayloadKind;
use glob::MatchOptions;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A shell's rules: no wildcard matches a separator or a leading dot.
const RULES: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files of a run, by the names of their partitions.
pub(super) type Files = BTreeMap<String, FoundFile>;

/// A file, as it was when the run started.
#[derive(Clone, Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    /// Bytes.
    pub(super) length: u64,
    pub(super) is_compressed: bool,
    /// A container of Avro, and not compressed as a whole.
    pub(super) is_container: bool,
}

impl FoundFile {
    /// Fails where it is told from its first bytes that no such payloads are in it.
    pub(super) fn check(&self, payloads: PayloadKind) -> Result<(), FileError> {
        let (what, remedy) = match (self.is_container, payloads) {
            (true, PayloadKind::Json | PayloadKind::Text) => (
                "a container (Avro)",
                "a run reads it with --format avro; or write it as JSON lines first (avro-tools tojson)",
            ),
            (false, PayloadKind::Avro) if !self.is_compressed && self.length > 0 => (
                "no container (Avro), as which --format avro reads files",
                "leave it out of the pattern, or give its own --format",
            ),
            _ => return Ok(()),
        };
        Err(FileError::NotText { path: self.path.clone(), what, remedy })
    }
}

/// The files that match, by name relative to the fixed part; all below a path that is a folder.
///
/// # Errors
/// When a match cannot be read, holds no text, or has the name of another.
pub(super) fn discover(pattern: &FilePattern) -> Result<Files, FileError> {
    let mut files = BTreeMap::new();
    if let [PatternPart::Name(name)] = pattern.parts.as_slice() {
        let path = pattern.fixed.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                let below = FilePattern::below(path);
                walk(&below.fixed, "", &below.parts, &mut files)?;
                return Ok(files);
            }
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(files),
            Err(error) => return Err(FileError::unreadable(&path, error)),
        }
    }
    walk(&pattern.fixed, "", &pattern.parts, &mut files)?;
    Ok(files)
}

/// Adds the files below `folder`, which is called `name`, that match what is left of the pattern.
fn walk(folder: &Path, name: &str, parts: &[PatternPart], files: &mut Files) -> Result<(), FileError> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match part {
        PatternPart::Name(wanted) => {
            let path = folder.join(wanted);
            match path.symlink_metadata() {
                Err(error) if is_absent(&error) => {}
                _ => step(&path, &below(name, wanted), rest, files)?, // and tells what is wrong with it
            }
        }
        PatternPart::Pattern(pattern) => {
            for path in entries(folder)? {
                let entry = path.file_name().unwrap_or_default();
                if pattern.matches_with(&entry.to_string_lossy(), RULES) {
                    step(&path, &below(name, &entry_name(entry)), rest, files)?;
                }
            }
        }
        PatternPart::Folders => {
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
fn step(path: &Path, name: &str, rest: &[PatternPart], files: &mut Files) -> Result<(), FileError> {
    let found = fs::metadata(path).map_err(|error| FileError::unreadable(path, error))?;
    if found.is_dir() {
        return walk(path, name, rest, files);
    }
    if !rest.is_empty() {
        return Ok(());
    }
    if !found.is_file() {
        return Err(FileError::NotPlain { path: path.to_owned() });
    }
    let read = || -> io::Result<_> {
        let mut file = File::open(path)?;
        let start = text::look(&mut file)?;
        Ok((file.metadata()?.len(), start))
    };
    let (length, start) = read().map_err(|error| FileError::unreadable(path, error))?;
    let (is_compressed, is_container) = match Kind::of(&start) {
        Kind::NotText { what, remedy } => return Err(FileError::NotText { path: path.to_owned(), what, remedy }),
        kind => (matches!(kind, Kind::Compressed(_)), kind == Kind::Container),
    };
    match files.insert(name.to_owned(), FoundFile { path: path.to_owned(), length, is_compressed, is_container }) {
        Some(other) if other.path != *path => {
            Err(FileError::SameName { first: other.path, second: path.to_owned(), name: name.to_owned() })
        }
        _ => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn below(name: &str, entry: &str) -> String {
    if name.is_empty() { entry.to_owned() } else { format!("{name}/{entry}") }
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let listed = match fs::read_dir(shown) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|entry| Ok(folder.join(entry?.file_name()))).collect()),
    };
    listed.map_err(|error| FileError::unreadable(shown, error))
}

/// A file's or folder's name as part of a partition's name. One that is not UTF-8 has `%FF` for each byte that is not, and `%25`
/// for `%`, so that two names never become the same.
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
