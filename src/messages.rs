//! All that is written to stderr: one line a message, as text or as JSON, each with its time. Nothing else writes there.
//!
//! ```text
//!   2026-01-05T08:00:00.123Z minutely: warning: csv out.csv: no space left on device; trying again
//!   {"time":"2026-01-05T08:00:00.123Z","level":"warn","message":"csv out.csv: no space left on device; trying again"}
//! ```
//!
//! In text the level is said of all but `info`. Control characters are escaped in both, so that a message is always one line.

use crate::bar;
use crate::clock::SystemClock;
use crate::fmt::utc_ms;
use minutely_dataflows::escape::escaped;
use std::fmt::{Debug, Write as _};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// `--log-level`: how much a message matters; the first matters most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warn,
    Info,
    Debug,
}

impl Severity {
    /// As `--log-level` and JSON have it.
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Info => "info",
            Severity::Debug => "debug",
        }
    }

    /// What stands in front of a text.
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "error: ",
            Severity::Warn => "warning: ",
            Severity::Info => "",
            Severity::Debug => "debug: ",
        }
    }
}

/// How messages are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageOptions {
    pub(crate) format: MessageFormat,
    /// Messages that matter less are left out.
    pub(crate) level: Severity,
    /// `--progress`: status lines although stderr is no terminal.
    pub(crate) progress: bool,
}

static OPTIONS: Mutex<MessageOptions> =
    Mutex::new(MessageOptions { format: MessageFormat::Text, level: Severity::Info, progress: false });

fn options() -> MessageOptions {
    *OPTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on messages are written so.
pub(crate) fn configure(options: MessageOptions) {
    *OPTIONS.lock().unwrap_or_else(PoisonError::into_inner) = options;
}

/// Are status lines written? On a terminal, or with `--progress`; not where `--log-level` leaves them out.
pub(crate) fn shows_progress() -> bool {
    let MessageOptions { level, progress, .. } = options();
    level >= Severity::Info && (progress || std::io::stderr().is_terminal())
}

/// Is a bar drawn of what has an end? On a terminal alone; not where `--log-level` leaves status lines out.
pub(crate) fn shows_bar() -> bool {
    options().level >= Severity::Info && std::io::stderr().is_terminal()
}

/// A number, or a text, of a message beside its words: a field of its JSON.
pub(crate) type MessageField = (&'static str, serde_json::Value);

/// Writes a message, unless `--log-level` leaves it out. A closed stderr is no error.
pub(crate) fn line(severity: Severity, text: &str, fields: &[MessageField]) {
    if severity <= options().level {
        write(severity, text, fields);
    }
}

fn write(severity: Severity, text: &str, fields: &[MessageField]) {
    let time = utc_ms(SystemClock::start().wall());
    let text = escaped(text);
    let line = match options().format {
        MessageFormat::Text => format!("{time} minutely: {}{text}\n", severity.word()),
        MessageFormat::Json => json(&time, severity, &text, fields),
    };
    bar::above(|| {
        // One write: lines of several threads and processes do not mix.
        let _closed = std::io::stderr().write_all(line.as_bytes());
    });
}

fn json(time: &str, severity: Severity, text: &str, fields: &[MessageField]) -> String {
    let mut line = format!(r#"{{"time":"{time}","level":"{}","message":{}"#, severity.name(), quoted(text));
    for (name, value) in fields {
        let _infallible = write!(line, ",{}:{value}", quoted(name));
    }
    line + "}\n"
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

/// Writes what the program's parts log. `filter`: which of it, as `RUST_LOG` has it.
pub(crate) fn write_events(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::new(filter);
    // The filter is of all layers: with one of its own, an event after `tracing::enabled!` on the same thread was lost.
    tracing_subscriber::registry().with(filter).with(EventLines).init();
}

/// Each event a line.
struct EventLines;

impl<S: Subscriber> Layer<S> for EventLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut read = EventFields::default();
        event.record(&mut read);
        let severity = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            _ => Severity::Debug,
        };
        if options().format == MessageFormat::Text {
            for (name, value) in &read.fields {
                let _infallible = write!(read.message, " {name}={value}");
            }
        }
        write(severity, &read.message, &read.fields);
    }
}

/// What an event has.
#[derive(Default)]
struct EventFields {
    message: String,
    fields: Vec<MessageField>,
}

impl Visit for EventFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}").into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_json_is_one_object_with_its_fields() {
        let fields = [("counted", 5.into()), ("w", serde_json::Value::Null)];
        let line = json("2026-01-05T08:00:00.123Z", Severity::Warn, "a \"b\"\\n", &fields);
        assert!(line.starts_with(r#"{"time":"2026-01-05T08:00:00.123Z","level":"warn","message":"#), "{line}");
        let read: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
        assert_eq!((&read["message"], &read["counted"]), (&quoted("a \"b\"\\n"), &5.into()));
        assert!(read["w"].is_null() && line.ends_with("}\n"), "{line}");
    }

    #[test]
    fn an_error_matters_more_than_a_warning() {
        assert!(Severity::Error < Severity::Warn && Severity::Info < Severity::Debug);
    }
}
