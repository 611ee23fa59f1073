//! Why a run cannot resume from a checkpoint.

use super::damage::Damage;
use crate::halt::{Halt, HaltKind, HaltRemedy};
use crate::time::NextOffset;

/// Why a run may not have these sinks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinksError {
    /// Sinks that lack rows are left out: the rows would be forgotten without them.
    #[error(
        "the state holds {} that it has to give yet to {}, which this run leaves out",
        holds(*records, closing.as_deref()),
        sinks.join(" and ")
    )]
    LeftOut {
        /// What they are called; at least one.
        sinks: Vec<String>,
        /// Records in windows that are held.
        records: i64,
        /// The last minute of coarser windows with records, for people; `None` where none are made.
        closing: Option<String>,
    },
    /// A sink is given, and to be forgotten.
    #[error("sink {sink} is to be forgotten and is a sink of this run")]
    GivenAndForgotten {
        /// What it is called.
        sink: String,
    },
}

/// What a state holds, for people.
fn holds(records: i64, closing: Option<&str>) -> String {
    let minutes = format!("{records} records in windows");
    match closing {
        None => minutes,
        Some(time) if records == 0 => format!("coarser windows up to {time}"),
        Some(time) => format!("{minutes}, and coarser windows up to {time},"),
    }
}

impl From<SinksError> for Halt {
    fn from(e: SinksError) -> Self {
        let remedy = match &e {
            // Numbered ones of the same name are forgotten together.
            SinksError::LeftOut { sinks, .. } => {
                let first = sinks.first().and_then(|name| name.split('#').next());
                HaltRemedy::GiveSinkAgain(first.unwrap_or_default().to_owned())
            }
            SinksError::GivenAndForgotten { sink } => HaltRemedy::GiveOrForgetSink(sink.clone()),
        };
        Halt::new(HaltKind::Usage, e.to_string()).with(remedy)
    }
}

/// The log is not the one that a state was made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is not what it was when the state was written: {}", .changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ChangedLogError {
    /// At least one.
    pub changes: Vec<ChangedPartition>,
}

/// How the log of one partition differs from the one that was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {partition}: {change}")]
pub struct ChangedPartition {
    /// The partition's name.
    pub partition: String,
    /// How it differs.
    #[source]
    pub change: LogChange,
}

/// How a log differs from the one that was read. Manifests keep its text for a change that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogChange {
    /// It has another id.
    #[error("its topic was deleted and made anew (its id was {was}, now it is {is})")]
    Replaced {
        /// In the state.
        was: String,
        /// Now.
        is: String,
    },
    /// It ends before the next offset.
    #[error(
        "offset {} is wanted next, and the log ends at {}: {}",
        next.0,
        end.0,
        if *same_id { "it was cut off, by an unclean election or a broker that lost its files" } else { "it was cut off, or made anew" }
    )]
    CutOff {
        /// The next offset to read.
        next: NextOffset,
        /// The log's end.
        end: NextOffset,
        /// It has an id, which is the same.
        same_id: bool,
    },
    /// It begins after the next offset.
    #[error(
        "offset {} is wanted next, and the log begins at {}: {} records or fewer were deleted before they were read (give \
         the topic a longer retention)",
        next.0,
        first.0,
        first.0 - next.0
    )]
    Deleted {
        /// The next offset to read.
        next: NextOffset,
        /// The first that there is.
        first: NextOffset,
    },
    /// It has another record where the last one read was.
    #[error(
        "the log's records before offset {} are not those that were read: the one at {offset} is another{}{}",
        next.0,
        epochs.map_or(String::new(), |(was, is)| format!(" (of leader epoch {was}, now {is})")),
        if *same_id { ": it was cut off and has been written anew since" } else { "" }
    )]
    OtherRecord {
        /// The next offset to read.
        next: NextOffset,
        /// The last record read.
        offset: i64,
        /// The leader epochs of the two, where they are known and differ.
        epochs: Option<(i32, i32)>,
        /// The log has an id, which is the same.
        same_id: bool,
    },
}

impl From<ChangedLogError> for Halt {
    fn from(e: ChangedLogError) -> Self {
        Halt::new(HaltKind::Data, e.to_string()).with(HaltRemedy::RestoreLog)
    }
}

/// An object of the state that cannot be resumed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state's object {name} {problem}")]
pub struct ObjectError {
    /// The object's name in the store.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub problem: ObjectProblem,
}

/// What is wrong with an object of the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectProblem {
    /// It is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It is whole, and a window in it is not of this job's kind.
    #[error("has a window that cannot be read ({0})")]
    Window(#[source] postcard::Error),
}

impl ObjectProblem {
    /// Of this object.
    pub fn of(self, name: &str) -> ObjectError {
        ObjectError { name: name.to_owned(), problem: self }
    }
}

impl From<ObjectError> for Halt {
    fn from(e: ObjectError) -> Self {
        Halt::new(HaltKind::Data, e.to_string()).with(HaltRemedy::RestoreObject)
    }
}
