//! Why a state cannot be opened, read or written.

use super::uri::StoreUri;
use minutely_dataflows::checkpoint::Damage;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a state, and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("--state {}: {source}; {}", path.display(), unusable_way_out(source))]
    UnusableFolder { path: PathBuf, source: io::Error },
    #[error("--state {}: has other files than a state of minutely; choose another folder", .0.display())]
    OtherFiles(PathBuf),
    #[error("--state {place}: {source}; choose another folder")]
    NotAFolder { place: StoreUri, source: object_store::Error },
    #[error("--state {place}: process 0 has no state there; give all processes the same folder or bucket")]
    NoStateToFollow { place: StoreUri },
    #[error(
        "--state {place}: {answer}, so two runs could both commit: choose another store{}",
        if place.folder().is_some() { "" } else { ", one that honours If-None-Match" }
    )]
    CreatesTwice { place: StoreUri, answer: String },
    /// `owner`: as messages name it, and how that is known.
    #[error(
        "--state {place}: {owner}: stop that run, or give this one another --job; --take-over resumes the state of a run \
         that hangs"
    )]
    Owned { place: String, owner: String },
    #[error("--state {place}: another run has taken it over ({how}), so this one ends")]
    TakenOver { place: StoreUri, how: String },
    #[error("state {place}: {source}; see to the {}, then start again", if place.folder().is_some() { "disk" } else { "server" })]
    Unreachable { place: StoreUri, source: object_store::Error },
    #[error(
        "--state {place}: {file} was written by another process of this run and is not there: give all processes the same bucket, or a \
         folder that they share"
    )]
    NotShared { place: StoreUri, file: String },
    #[error(
        "{file} is of a process that resumed from generation {theirs} of the state, and this run is at {ours}: its host sees an older \
         state; start again, and mount a shared folder so that new files are seen at once (NFS: actimeo=0)"
    )]
    Stale { file: String, theirs: u64, ours: u64 },
    #[error(transparent)]
    Damaged(#[from] StoreFault),
    #[error("objects of the state: {0}")]
    NotMerged(Damage),
    #[error("state {place}: {problem}")]
    NotMoved { place: StoreUri, problem: MoveProblem },
    #[error("state {place}: is written faster than it can be read; check a copy of it, or try again")]
    WrittenMeanwhile { place: StoreUri },
    #[error("no runtime for the state: {0}")]
    NoRuntime(#[source] io::Error),
}

/// A file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}; {} (minutely state rebuild)", if *newer { NEWER } else { DAMAGED })]
pub(super) struct StoreFault {
    /// The file, as messages name it.
    pub(super) file: String,
    pub(super) what: String,
    /// A newer version of minutely wrote it.
    pub(super) newer: bool,
}

const NEWER: &str = "use the version that wrote it, or start over from the log";
const DAMAGED: &str = "restore the state from a whole copy, or start over from the log";

/// Why a state cannot be moved aside.
#[derive(Debug, thiserror::Error)]
pub(super) enum MoveProblem {
    #[error("there is none, so nothing is moved")]
    NoState,
    #[error("has no name")]
    NoName,
    #[error("{0}")]
    NoPath(#[source] io::Error),
    #[error("cannot be moved to {}: {source}", to.display())]
    Refused { to: PathBuf, source: io::Error },
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn unusable_way_out(e: &io::Error) -> &'static str {
    if is_full(e) { "see to the disk, then start again" } else { "make it writable or choose another folder" }
}

impl StoreError {
    /// The folder cannot be used.
    pub(super) fn unusable(path: &Path, source: io::Error) -> Self {
        StoreError::UnusableFolder { path: path.to_owned(), source }
    }

    /// Which exit code it is.
    pub(super) fn kind(&self) -> HaltKind {
        use StoreError as E;
        match self {
            E::UnusableFolder { source, .. } if is_full(source) => HaltKind::Unreachable,
            E::UnusableFolder { .. }
            | E::OtherFiles(_)
            | E::NotAFolder { .. }
            | E::NoStateToFollow { .. }
            | E::CreatesTwice { .. }
            | E::NotShared { .. }
            | E::NotMoved { .. } => HaltKind::Usage,
            E::Owned { .. } | E::TakenOver { .. } => HaltKind::Fenced,
            E::Damaged(_) | E::NotMerged(_) => HaltKind::Data,
            E::Unreachable { .. } | E::Stale { .. } | E::WrittenMeanwhile { .. } => HaltKind::Unreachable,
            E::NoRuntime(_) => HaltKind::Internal,
        }
    }
}

impl From<StoreError> for Halt {
    fn from(e: StoreError) -> Self {
        Halt::new(e.kind(), e.to_string())
    }
}
