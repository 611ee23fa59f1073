//! Coarser windows: which of them a minute is in, for each length that `--windows` names.
//!
//! ```text
//!   minutes   10:00 10:01 … 10:04 │ 10:05 … 10:59 │ 11:00
//!   5m        └── 10:00, closed by 10:04 ──┘
//!   1h        └────────── 10:00, closed by 10:59 ─┘
//! ```
//!
//! A coarser window is a run of minutes, never a piece of one. It is named by the start of its first minute, and its **closing
//! minute** is the last: once that is final, all of it is, for all others end before it.

mod level;
mod name;
mod spans;

pub use level::{WindowLevel, WindowList, WindowListError};
pub(crate) use name::{split_name, stored_name};
pub use spans::{CoarseSpan, CoarseWindows, LastSpans, WindowsError};
