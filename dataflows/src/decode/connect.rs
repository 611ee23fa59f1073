//! Values of Kafka Connect in JSON: what the schema beside them says of their types.
//!
//! JSON has no bytes and no instants: a decimal is base64 of an integer in two's complement, most significant byte first, whose
//! scale is in the schema alone; an instant is a number whose unit is.

use super::scalar::Scalar;
use super::schema::decimal;
use super::shape::{FieldInput, Origin, Shape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// What a schema says of a field, beyond what JSON says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ConnectType {
    /// Nothing.
    #[default]
    Plain,
    /// A decimal in bytes, times 10^-scale.
    Decimal(i64),
    /// Units since 1970; a unit in nanoseconds.
    Instant(i64),
}

/// A schema of Kafka Connect, as its `JsonConverter` writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConnectSchema {
    /// Of a logical type.
    name: Option<String>,
    /// Which member of its struct it is.
    field: Option<String>,
    parameters: Option<Parameters>,
    /// Of a struct.
    fields: Option<Vec<ConnectSchema>>,
    /// Of an array.
    items: Option<Box<ConnectSchema>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    scale: Option<String>,
}

impl ConnectSchema {
    /// `None`: it is no schema.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The schema of what these steps lead to.
    pub(super) fn at<'s>(&self, steps: impl Iterator<Item = &'s str>) -> Option<&ConnectSchema> {
        let mut schema = self;
        for step in steps {
            schema = match (&schema.fields, &schema.items) {
                (Some(fields), _) => fields.iter().find(|inner| inner.field.as_deref() == Some(step))?,
                (None, Some(items)) => items,
                (None, None) => return None,
            };
        }
        Some(schema)
    }

    /// Of an array the elements, of anything else itself.
    fn elements(&self) -> &ConnectSchema {
        self.items.as_deref().unwrap_or(self)
    }

    fn kind(&self) -> ConnectType {
        let scale = || self.parameters.as_ref().and_then(|of| of.scale.as_deref()?.parse().ok());
        match self.name.as_deref() {
            Some("org.apache.kafka.connect.data.Decimal") => scale().map_or(ConnectType::Plain, ConnectType::Decimal),
            Some("org.apache.kafka.connect.data.Timestamp" | "io.debezium.time.Timestamp") => {
                ConnectType::Instant(1_000_000)
            }
            Some("io.debezium.time.MicroTimestamp") => ConnectType::Instant(1_000),
            Some("io.debezium.time.NanoTimestamp") => ConnectType::Instant(1),
            Some("org.apache.kafka.connect.data.Date" | "io.debezium.time.Date") => {
                ConnectType::Instant(86_400_000_000_000)
            }
            _ => ConnectType::Plain,
        }
    }
}

/// What is known of each slot's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotTypes {
    /// By slot; where nothing is known of any, empty.
    types: Vec<ConnectType>,
    /// The slots that hold a value or a weight: what is there in bytes is one.
    numbers: Vec<usize>,
}

impl SlotTypes {
    /// Of an event, and of its row; of the fields with these names their scale, where the schema says no type.
    pub(super) fn of(
        shape: &Shape,
        event: Option<&ConnectSchema>,
        row: Option<&ConnectSchema>,
        scales: &[(String, i16)],
    ) -> Self {
        let each = shape.each.as_ref().map(|path| path.0.iter().map(AsRef::as_ref));
        let element = each.and_then(|steps| row?.at(steps)).map(ConnectSchema::elements);
        let kind = |(slot, ((name, origin), path)): (usize, (&(String, Origin), &super::path::FieldPath))| {
            let schema = match origin {
                Origin::Message => row,
                Origin::Element => element,
                Origin::Envelope => event,
                Origin::Key => None,
            };
            let kind = schema.and_then(|schema| schema.at(path.0.iter().map(AsRef::as_ref)));
            let scale = scales.iter().find(|(field, _)| field == name).map(|(_, scale)| i64::from(*scale));
            match (kind.map(ConnectSchema::kind).unwrap_or_default(), scale) {
                (ConnectType::Plain, Some(scale)) => ConnectType::Decimal(scale),
                (ConnectType::Instant(_), _) if !shape.time.contains(&FieldInput::Slot(slot)) => ConnectType::Plain,
                (kind, _) => kind,
            }
        };
        let types: Vec<_> = shape.slots.iter().zip(&shape.paths).enumerate().map(kind).collect();
        let types = if types.iter().all(|kind| *kind == ConnectType::Plain) { Vec::new() } else { types };
        let number = |input: &FieldInput| if let FieldInput::Slot(slot) = input { Some(*slot) } else { None };
        let numbers = [Some(&shape.value), shape.weight.as_ref()].into_iter().flatten().filter_map(number).collect();
        SlotTypes { types, numbers }
    }

    /// Is everything as JSON says it?
    pub(super) fn are_plain(&self) -> bool {
        self.types.is_empty()
    }

    /// Makes of what stands in JSON what it is by its type.
    pub(super) fn apply(&self, scalars: &mut [Scalar<'_>]) {
        for (scalar, kind) in scalars.iter_mut().zip(&self.types) {
            *scalar = typed(std::mem::take(scalar), *kind);
        }
        for slot in &self.numbers {
            let scalar = &mut scalars[*slot];
            *scalar = number(std::mem::take(scalar));
        }
    }
}

fn typed(scalar: Scalar<'_>, kind: ConnectType) -> Scalar<'_> {
    match (kind, &scalar) {
        (ConnectType::Decimal(scale), Scalar::Text(text)) => match BASE64_STANDARD.decode(&**text) {
            Ok(bytes) => decimal(&bytes, scale),
            Err(_) => Scalar::Other(format!("\"{text}\", which is no base64 of a decimal").into()),
        },
        (ConnectType::Instant(unit), Scalar::Literal(digits)) => match digits.parse::<i64>() {
            Ok(units) => Scalar::Instant(i128::from(units) * i128::from(unit)),
            Err(_) => scalar,
        },
        _ => scalar,
    }
}

/// Debezium's `VariableScaleDecimal`: it says its own scale.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableScaleDecimal {
    scale: i32,
    value: String,
}

/// What is no number as it stands, and may be one in bytes.
fn number(scalar: Scalar<'_>) -> Scalar<'_> {
    match &scalar {
        Scalar::Other(raw) if raw.starts_with('{') => {
            let own = serde_json::from_str::<VariableScaleDecimal>(raw).ok();
            let bytes = own.and_then(|own| Some((BASE64_STANDARD.decode(own.value).ok()?, own.scale)));
            bytes.map_or(scalar, |(bytes, scale)| decimal(&bytes, i64::from(scale)))
        }
        // It names an option, for states and dead letters keep this text.
        Scalar::Text(text) if is_bytes(text) => {
            Scalar::Other(format!("\"{text}\" (decimal in base64? --decimal-scale says its scale)").into())
        }
        _ => scalar,
    }
}

/// Base64 of some bytes that is no number.
fn is_bytes(text: &str) -> bool {
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'));
    (has_letter || text.contains(['/', '='])) && BASE64_STANDARD.decode(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Scalar<'_> {
        Scalar::Literal(text.into())
    }

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(text.into())
    }

    #[test]
    fn decimals_by_hand() {
        // 12345, -12345, 0 and 10^18 in two's complement.
        for (base64, scale, want) in [
            ("MDk=", 2, "123.45"),
            ("z8c=", 2, "-123.45"),
            ("AA==", 4, "0.0000"),
            ("DeC2s6dkAAA=", 18, "1.000000000000000000"),
            ("MDk=", -3, "12345000"),
        ] {
            assert_eq!(typed(text(base64), ConnectType::Decimal(scale)), literal(want));
        }
        // `decimal.format=NUMERIC`: it is a number already.
        assert_eq!(typed(literal("1.50"), ConnectType::Decimal(2)), literal("1.50"));
        assert_eq!(typed(Scalar::Null, ConnectType::Decimal(2)), Scalar::Null);
        assert!(matches!(typed(text("1.5"), ConnectType::Decimal(2)), Scalar::Other(why) if why.contains("no base64")));
        assert!(matches!(typed(text(""), ConnectType::Decimal(2)), Scalar::Other(_)));
    }

    #[test]
    fn bytes_of_which_nothing_is_known() {
        assert_eq!(number(Scalar::Other(r#"{"scale":3,"value":"MDk="}"#.into())), literal("12.345"));
        for other in [r#"{"scale":3}"#, r#"{"scale":3,"value":"M","x":1}"#, r#"{"scale":3,"value":"M"}"#, "[1]"] {
            assert_eq!(number(Scalar::Other(other.into())), Scalar::Other(other.into()));
        }
        assert!(matches!(number(text("MDk=")), Scalar::Other(why) if why.contains("--decimal-scale")));
        for plain in ["1234", "1e23", "12.50", "-", "", "1e"] {
            assert_eq!(number(text(plain)), text(plain));
        }
    }

    #[test]
    fn instants_of_all_units() {
        let schema = |name: &str| ConnectSchema { name: Some(name.to_owned()), ..ConnectSchema::default() }.kind();
        for (name, units, ns) in [
            ("io.debezium.time.Timestamp", "-1", -1_000_000),
            ("org.apache.kafka.connect.data.Timestamp", "1767225600000", 1_767_225_600_000_000_000),
            ("io.debezium.time.MicroTimestamp", "1767225600000001", 1_767_225_600_000_001_000),
            ("io.debezium.time.NanoTimestamp", "1767225600000000001", 1_767_225_600_000_000_001),
            ("io.debezium.time.Date", "20454", 1_767_225_600_000_000_000),
        ] {
            assert_eq!(typed(literal(units), schema(name)), Scalar::Instant(ns), "{name}");
        }
        assert_eq!(schema("io.debezium.time.ZonedTimestamp"), ConnectType::Plain);
        assert_eq!(schema("org.apache.kafka.connect.data.Decimal"), ConnectType::Plain, "a decimal without a scale");
        assert_eq!(typed(literal("1.5"), ConnectType::Instant(1)), literal("1.5"));
    }

    #[test]
    fn a_schema_leads_to_its_fields() {
        let schema = ConnectSchema::parse(
            r#"{"type":"struct","version":1,"fields":[
                {"type":"int64","field":"a","name":"io.debezium.time.MicroTimestamp"},
                {"type":"array","field":"legs","items":{"type":"struct","fields":[{"type":"bytes","field":"p",
                 "name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"4","connect.decimal.precision":"9"}}]}}]}"#,
        )
        .unwrap();
        let kind = |steps: &[&'static str]| schema.at(steps.iter().copied()).map(ConnectSchema::kind);
        assert_eq!(kind(&["a"]), Some(ConnectType::Instant(1_000)));
        assert_eq!(kind(&["legs", "0", "p"]), Some(ConnectType::Decimal(4)));
        assert_eq!((kind(&["b"]), kind(&["a", "b"])), (None, None));
        assert!(ConnectSchema::parse("[").is_none() && ConnectSchema::parse("{\"fields\":3}").is_none());
    }
}
