//! `minutely letters`: dead letters as people read them, one at a time, however long the file is.

mod line;
mod show;

pub(crate) use line::judged_by;
pub(crate) use show::foreign;

use crate::cli::{LettersArgs, UsageErrors};
use crate::console::say;
use line::LetterLine;
use minutely_dataflows::edge::{Halt, HaltKind};
use show::Summary;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

/// The longest line that is taken, in bytes: a payload of 64 MiB, written as base64, with its reason.
const MOST_LINE: u64 = 96 << 20;
/// Lines that are no dead letters of which each is named.
const MOST_NAMED: u64 = 10;

/// What is to be shown.
pub(crate) struct LettersPlan {
    files: Vec<String>,
    /// Of these reasons; empty: of all.
    reasons: Vec<String>,
    /// Of these partitions; empty: of all.
    partitions: Vec<String>,
    limit: u64,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Blocks,
    Json,
    Summary,
}

impl LettersPlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn of(args: &LettersArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let reasons: Vec<_> = args.reasons.iter().filter_map(|reason| errors.value(reason)).collect();
        let limit = args.limit.as_ref().map_or(Some(u64::MAX), |limit| errors.value(limit));
        if args.json && args.summary {
            errors.push("--json and --summary exclude each other");
        }
        let form = match (args.json, args.summary) {
            (true, _) => Form::Json,
            (_, true) => Form::Summary,
            _ => Form::Blocks,
        };
        let (files, partitions) = (args.files.clone(), args.partitions.clone());
        let plan = limit.map(|limit| LettersPlan { files, reasons, partitions, limit, form });
        errors.unless_any(plan)
    }

    fn wants(&self, letter: &LetterLine) -> bool {
        (self.reasons.is_empty() || self.reasons.iter().any(|reason| *reason == letter.0.place.reason))
            && (self.partitions.is_empty() || self.partitions.iter().any(|name| letter.is_of(name)))
    }
}

/// Why dead letters cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LettersError {
    #[error("{file}: {error}; name a file of dead letters, or - for standard input")]
    NotOpened { file: String, error: std::io::Error },
    #[error("{file}, line {line}: {error}")]
    NotRead { file: String, line: u64, error: std::io::Error },
    #[error("standard output: {0}")]
    NotWritten(std::io::Error),
    #[error("{lines} of {all} lines are no dead letters: was another file meant?")]
    NoLetters { lines: u64, all: u64 },
}

impl From<LettersError> for Halt {
    fn from(e: LettersError) -> Self {
        let kind = match e {
            LettersError::NotOpened { .. } => HaltKind::Usage,
            LettersError::NotRead { .. } | LettersError::NotWritten(_) => HaltKind::Internal,
            LettersError::NoLetters { .. } => HaltKind::Data,
        };
        Halt::new(kind, e.to_string())
    }
}

/// Shows them on stdout. Lines that are no dead letters are named on stderr, and the rest is shown.
///
/// # Errors
/// 64: a file cannot be opened. 65: some lines are no dead letters. 70: reading or writing failed.
pub(crate) fn run(plan: &LettersPlan) -> Result<(), Halt> {
    let out = BufWriter::new(std::io::stdout().lock());
    let mut reading = Reading { plan, out, summary: Summary::default(), lines: 0, shown: 0, bad: 0 };
    for file in &plan.files {
        match reading.file(file) {
            Ok(()) => {}
            Err(LettersError::NotWritten(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let Reading { summary, out, lines, bad, .. } = reading;
    match end(plan, summary, out) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(LettersError::NotWritten(error).into()),
        _ => {}
    }
    if bad > 0 {
        return Err(LettersError::NoLetters { lines: bad, all: lines }.into());
    }
    Ok(())
}

fn end(plan: &LettersPlan, summary: Summary, mut out: impl Write) -> std::io::Result<()> {
    if plan.form == Form::Summary {
        out.write_all(summary.text().as_bytes())?;
    }
    out.flush()
}

struct Reading<'a, W> {
    plan: &'a LettersPlan,
    out: W,
    summary: Summary,
    /// Lines that were read and are not empty.
    lines: u64,
    shown: u64,
    /// Those that are no dead letters.
    bad: u64,
}

impl<W: Write> Reading<'_, W> {
    fn file(&mut self, file: &str) -> Result<(), LettersError> {
        if file == "-" {
            return self.all("standard input", std::io::stdin().lock());
        }
        let opened = File::open(file).and_then(|opened| match opened.metadata()?.is_dir() {
            true => Err(ErrorKind::IsADirectory.into()),
            false => Ok(opened),
        });
        let opened = opened.map_err(|error| LettersError::NotOpened { file: file.to_owned(), error })?;
        self.all(file, BufReader::with_capacity(1 << 20, opened))
    }

    fn all(&mut self, file: &str, mut from: impl BufRead) -> Result<(), LettersError> {
        let mut bytes = Vec::new();
        for line in 1.. {
            if self.shown >= self.plan.limit {
                break;
            }
            let failed = |error| LettersError::NotRead { file: file.to_owned(), line, error };
            bytes.clear();
            if from.by_ref().take(MOST_LINE).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                break;
            }
            let whole = bytes.ends_with(b"\n");
            if !whole && bytes.len() as u64 >= MOST_LINE {
                skip_line(&mut from).map_err(failed)?;
                self.reject(file, line, "it is longer than any that minutely writes");
                continue;
            }
            // Lines that are empty take the place of letters that were given up.
            let text = bytes.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match LetterLine::parse(text) {
                Ok(letter) => self.letter(&letter).map_err(LettersError::NotWritten)?,
                Err(_) if !whole => self.reject(file, line, "it does not end: a run may be writing it, or was killed"),
                Err(why) => self.reject(file, line, &why),
            }
        }
        Ok(())
    }

    fn letter(&mut self, letter: &LetterLine) -> std::io::Result<()> {
        self.lines += 1;
        if !self.plan.wants(letter) {
            return Ok(());
        }
        self.shown += 1;
        match self.plan.form {
            Form::Blocks => self.out.write_all(show::block(letter).as_bytes()),
            Form::Json => self.out.write_all(show::json(letter).as_bytes()),
            Form::Summary => {
                self.summary.add(letter);
                Ok(())
            }
        }
    }

    fn reject(&mut self, file: &str, line: u64, why: &str) {
        self.lines += 1;
        self.bad += 1;
        if self.bad <= MOST_NAMED {
            say(&format!("{file}, line {line}: no dead letter: {why}"));
        }
    }
}

/// Passes the rest of a line, holding none of it.
fn skip_line(from: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        let (length, end) = (buffer.len(), buffer.iter().position(|byte| *byte == b'\n'));
        from.consume(end.map_or(length, |end| end + 1));
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}
