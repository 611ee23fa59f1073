//! Which files: the pattern that follows `file:`, taken apart.

use glob::Pattern;
use std::path::PathBuf;

/// One component of a pattern, between two separators.
#[derive(Clone, Debug)]
pub(super) enum PatternPart {
    /// `**`: any folders, or none.
    Folders,
    /// A name without wildcards.
    Name(String),
    /// One name with wildcards.
    Pattern(Pattern),
}

impl PatternPart {
    fn any_name() -> Self {
        PatternPart::Pattern(Pattern::new("*").expect("a pattern"))
    }
}

/// What follows `file:`: a fixed folder, and a pattern for paths below it.
#[derive(Clone, Debug)]
pub(super) struct FilePattern {
    /// The folder up to the first component with a wildcard. Empty: the current folder.
    pub(super) fixed: PathBuf,
    /// At least one; the last is no `Folders`.
    pub(super) parts: Vec<PatternPart>,
}

impl FilePattern {
    /// All files below a folder.
    pub(super) fn below(folder: PathBuf) -> Self {
        FilePattern { fixed: folder, parts: vec![PatternPart::Folders, PatternPart::any_name()] }
    }

    /// Reads a pattern. No effect: no file is looked for.
    ///
    /// # Errors
    /// All mistakes, one paragraph each.
    pub(super) fn parse(rest: &str) -> Result<Self, Vec<String>> {
        if rest.is_empty() {
            return Err(vec!["file: takes a path or a pattern, as in file:data/*.jsonl".into()]);
        }
        if rest.starts_with("//") && !rest.starts_with("///") {
            let path = rest.trim_start_matches('/');
            return Err(vec![format!(
                "file:{rest} names a host, and files are read on this one only: write file:{path} or file:/{path}"
            )]);
        }
        let mut mistakes = Vec::new();
        let mut pattern =
            FilePattern { fixed: PathBuf::from(if rest.starts_with('/') { "/" } else { "" }), parts: Vec::new() };
        for part in rest.split('/').filter(|part| !part.is_empty() && *part != ".") {
            match (part, part.contains(['*', '?', '['])) {
                ("**", _) => pattern.parts.push(PatternPart::Folders),
                (_, true) => match Pattern::new(part) {
                    Ok(wildcards) => pattern.parts.push(PatternPart::Pattern(wildcards)),
                    Err(error) => mistakes.push(format!(
                        "file:{rest}: `{part}` is not a pattern: {} at its character {}",
                        error.msg, error.pos
                    )),
                },
                (_, false) if pattern.parts.is_empty() => pattern.fixed.push(part),
                (_, false) => pattern.parts.push(PatternPart::Name(part.into())),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        if pattern.parts.is_empty() {
            match pattern.fixed.file_name().and_then(|name| name.to_str()).map(str::to_owned) {
                // A plain path: what is fixed is its folder.
                Some(name) if !rest.ends_with('/') => {
                    pattern.fixed.pop();
                    pattern.parts.push(PatternPart::Name(name));
                }
                _ => pattern.parts.push(PatternPart::Folders),
            }
        }
        if matches!(pattern.parts.last(), Some(PatternPart::Folders)) {
            pattern.parts.push(PatternPart::any_name());
        }
        Ok(pattern)
    }
}
