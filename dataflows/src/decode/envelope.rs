//! Which change events of Debezium count, and where their row is.
//!
//! A row that was inserted (`c`) or read in a snapshot (`r`) counts. What is done to it later (`u`, `d`), the truncation of a
//! table (`t`) and a message of the database (`m`) are skipped: they would count the row twice, or are no row. So are tombstones, and
//! what else a connector writes: boundaries of transactions, changes of the database's schema, heartbeats.
//!
//! A change event is an envelope (`op`, `before`, `after`, `source`, …), or flattened by the transform `ExtractNewRecordState`: the
//! row itself, with the operation in `__op` where the connector adds it (`add.fields=op`). Without `__op` an update cannot be told
//! from an insertion: such a record is rejected.

use super::assemble::rejection;
use super::json::absence;
use super::path::FieldPath;
use super::scalar::Scalar;
use super::schema::SchemaNode;
use crate::escape::shortened;
use crate::record::{Reason, Rejection};

/// Where the row of an event that counts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowPlace {
    /// In the event's `after`.
    After,
    /// The event is the row.
    Whole,
}

/// Why an event has no row that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoRow {
    /// It is no row, or one that counted before: what it is, for people.
    Skipped(&'static str),
    Rejected(Rejection),
}

impl From<Rejection> for NoRow {
    fn from(rejection: Rejection) -> Self {
        NoRow::Rejected(rejection)
    }
}

/// What a record without a payload is.
pub(super) const TOMBSTONE: &str = "a tombstone";

/// The field of an envelope that has the row.
pub(super) const AFTER: &str = "after";
/// The fields that [`place`] asks for.
pub(super) const ASKED: [&str; 6] = ["op", "__op", "__deleted", "status", "ddl", AFTER];

const OP: &str = "op";
const FLATTENED_OP: &str = "__op";

/// Where the row of an event is, which has these fields with these names.
///
/// # Errors
/// Why it has none that counts.
pub(super) fn place<'a>(
    field: impl Fn(&'static str) -> Scalar<'a>,
    names: impl Fn() -> Vec<String>,
) -> Result<RowPlace, NoRow> {
    let flattened = field(FLATTENED_OP);
    let deleted = field("__deleted");
    let is_flattened = is_there(&flattened) || is_there(&deleted);
    if matches!(&deleted, Scalar::Text(text) | Scalar::Literal(text) if text == "true") {
        return Err(NoRow::Skipped("a deletion"));
    }
    let (name, op) = if is_flattened { (FLATTENED_OP, flattened) } else { (OP, field(OP)) };
    if !is_there(&op) {
        return Err(without_op(name, &field("status"), &names()));
    }
    let text = if let Scalar::Text(text) = &op { text.as_ref() } else { "" };
    match text {
        "c" | "r" if is_flattened => Ok(RowPlace::Whole),
        "c" | "r" => Ok(RowPlace::After),
        "u" => Err(NoRow::Skipped("an update")),
        "d" => Err(NoRow::Skipped("a deletion")),
        "t" => Err(NoRow::Skipped("a truncation")),
        "m" => Err(NoRow::Skipped("a message of the database")),
        _ => {
            let found = shortened(&op.shown());
            Err(rejection(Reason::Type, Some(name.into()), "an operation: c, r, u, d, t or m", found).into())
        }
    }
}

/// Protobuf has an empty text where there is none.
fn is_there(scalar: &Scalar<'_>) -> bool {
    !matches!(scalar, Scalar::Absent | Scalar::Null) && !matches!(scalar, Scalar::Text(text) if text.is_empty())
}

/// An event without an operation, of these names.
fn without_op(name: &str, status: &Scalar<'_>, names: &[String]) -> NoRow {
    let has = |name: &str| names.iter().any(|there| there == name);
    if has("event_count") && matches!(status, Scalar::Text(text) if matches!(&**text, "BEGIN" | "END")) {
        return NoRow::Skipped("the boundary of a transaction");
    }
    if has("source") && (has("ddl") || has("tableChanges")) {
        return NoRow::Skipped("a change of the database's schema");
    }
    if names == ["ts_ms"] {
        return NoRow::Skipped("a heartbeat");
    }
    rejection(Reason::Null, Some(name.into()), AN_EVENT, absence(names)).into()
}

const AN_EVENT: &str =
    "a change event of Debezium: an envelope with op, or a row with __op (ExtractNewRecordState with add.fields=op)";

/// That an event that counts has no row.
pub(super) fn no_row(found: &Scalar<'_>) -> Rejection {
    rejection(Reason::Null, Some(AFTER.into()), "the row", found.shown())
}

/// The row of a message that a schema describes.
///
/// # Errors
/// Why it has none that counts.
pub(super) fn row_of_message<'t, 'a>(event: &SchemaNode<'t, 'a>) -> Result<SchemaNode<'t, 'a>, NoRow> {
    let path = |name: &str| FieldPath(vec![name.into()]);
    match place(|name| event.scalar(&path(name)), || event.names())? {
        RowPlace::Whole => Ok(event.clone()),
        RowPlace::After => match event.at(&path(AFTER)) {
            Ok(Some(row)) if !matches!(row.value(), Scalar::Null) => Ok(row),
            _ => Err(no_row(&event.scalar(&path(AFTER))).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of an event with these fields: texts, or null.
    fn placed(fields: &[(&'static str, Option<&'static str>)]) -> Result<RowPlace, String> {
        let names = || fields.iter().map(|(name, _)| (*name).to_owned()).collect();
        let field = |asked| match fields.iter().find(|(name, _)| *name == asked) {
            None => Scalar::Absent,
            Some((_, None)) => Scalar::Null,
            Some((_, Some(text))) => Scalar::Text((*text).into()),
        };
        place(field, names).map_err(|no_row| match no_row {
            NoRow::Skipped(what) => what.to_owned(),
            NoRow::Rejected(Rejection { reason, finding }) => format!("{}: {finding}", reason.name()),
        })
    }

    #[test]
    fn insertions_and_snapshots_count() {
        assert_eq!(placed(&[("op", Some("c")), ("after", Some(""))]), Ok(RowPlace::After));
        assert_eq!(placed(&[("op", Some("r"))]), Ok(RowPlace::After));
        assert_eq!(placed(&[("price", Some("1")), ("__op", Some("r"))]), Ok(RowPlace::Whole));
        assert_eq!(placed(&[("__op", Some("c")), ("__deleted", Some("false"))]), Ok(RowPlace::Whole));
        assert_eq!(
            placed(&[("op", Some("buy")), ("__op", Some("c"))]),
            Ok(RowPlace::Whole),
            "a column may be called op"
        );
    }

    #[test]
    fn what_would_count_twice_or_is_no_row_is_skipped() {
        for (fields, what) in [
            (&[("op", Some("u"))][..], "an update"),
            (&[("op", Some("d")), ("after", None)], "a deletion"),
            (&[("op", Some("t"))], "a truncation"),
            (&[("op", Some("m")), ("message", Some(""))], "a message of the database"),
            (&[("__op", Some("u"))], "an update"),
            (&[("__deleted", Some("true"))], "a deletion"),
            (&[("__op", Some("d")), ("__deleted", Some("true"))], "a deletion"),
            (&[("status", Some("BEGIN")), ("id", Some("5")), ("event_count", None)], "the boundary of a transaction"),
            (&[("status", Some("END")), ("event_count", Some("2"))], "the boundary of a transaction"),
            (&[("source", Some("")), ("ddl", Some("")), ("tableChanges", None)], "a change of the database's schema"),
            (&[("ts_ms", Some("1"))], "a heartbeat"),
        ] {
            assert_eq!(placed(fields), Err(what.to_owned()), "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_event_is_rejected_by_its_field() {
        for (fields, begins) in [
            (&[("price", Some("1")), ("ts_ms", Some("1"))][..], "null: op: expected a change event of Debezium: "),
            (&[("op", None)], "null: op: expected"),
            (&[("op", Some(""))], "null: op: expected"),
            (&[("__deleted", Some("false"))], "null: __op: expected"),
            (&[("op", Some("x"))], "type: op: expected an operation: c, r, u, d, t or m, found \"x\""),
            (&[("__op", Some("C"))], "type: __op: expected an operation"),
            (&[("status", Some("BEGIN")), ("price", Some("1"))], "null: op: expected"),
            (&[("status", Some("filled")), ("event_count", Some("1"))], "null: op: expected"),
        ] {
            let said = placed(fields).unwrap_err();
            assert!(said.starts_with(begins), "{fields:?}: {said}");
        }
        assert!(placed(&[("a", None), ("b", None)]).unwrap_err().ends_with("no such field (there are a, b)"));
    }
}
