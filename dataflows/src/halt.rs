//! Why a run cannot continue. Each room has errors of its own, with their fields; one `impl From<…> for Halt` beside them says
//! what kind of trouble they are and what helps. What follows is said at the top: `src/main.rs` makes an exit code of the kind
//! (`docs/cli.md` lists them), `src/advice.rs` says by which options of the command line a remedy is taken.

/// Why a run cannot continue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Halt {
    /// What kind of trouble.
    pub kind: HaltKind,
    /// One paragraph: where, what, and what to do if `remedy` does not say it. Lower case, no full stop.
    pub why: String,
    /// What its user can do, where that depends on how the run is asked for.
    pub remedy: Option<HaltRemedy>,
}

/// What kind of trouble ends a run; an exit code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltKind {
    /// The run cannot be as it was asked for.
    Usage,
    /// Bad data where it is fatal, a log or a state that is not what it was, or a bounded run of which a database refused
    /// every row.
    Data,
    /// A service does not answer.
    Unreachable,
    /// A limit or an invariant of the program does not hold.
    Internal,
    /// Another run owns the state.
    Fenced,
}

/// What the user of a run can do about a halt. The core does not know which option does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltRemedy {
    /// Restore an object of the state, or start without this state.
    RestoreObject,
    /// Restore a partition and keep it, or start without this state.
    RestorePartition,
    /// Restore the log, start without this state, or accept the log as it is now.
    RestoreLog,
    /// Start without this state, to read the log that is there now.
    ReadNewLog,
    /// Start without this state.
    StartAfresh,
    /// Allow more windows, let them be final sooner, or find what holds W back.
    AllowMoreWindows,
    /// Find why nothing is stored, or wait for longer.
    WaitLonger,
    /// Give the sinks again that were left out, or have this one forgotten.
    GiveSinkAgain(String),
    /// Either give this sink or have it forgotten.
    GiveOrForgetSink(String),
    /// Correct the record, or set such records aside.
    SetRecordsAside,
}

impl Halt {
    /// A halt of this kind.
    pub fn new(kind: HaltKind, why: impl Into<String>) -> Self {
        Halt { kind, why: why.into(), remedy: None }
    }

    /// And what helps.
    #[must_use]
    pub fn with(self, remedy: HaltRemedy) -> Self {
        Halt { remedy: Some(remedy), ..self }
    }
}
