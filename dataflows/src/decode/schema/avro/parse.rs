//! The JSON text of a schema to its types. As lenient as Java's parser of a registry's schemas must be: names are not checked,
//! defaults and aliases are not looked at, and a logical type that is unknown, or not of its type, is none.

use super::types::{AvroSchema, AvroType, RecordType, TypeId};
use crate::escape::shortened;
use crate::time::SECOND;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Types of a schema at most, references included.
const MOST_TYPES: usize = 100_000;
/// Digits after the point that a decimal's scale may ask for at most; a number with more is no value (R2).
const MOST_SCALE: u64 = 1_000_000;

type Object = Map<String, Value>;

/// What is read of a schema so far.
#[derive(Default)]
struct Parser {
    types: Vec<AvroType>,
    /// Full names.
    named: BTreeMap<String, TypeId>,
}

impl AvroSchema {
    /// A schema, and those that it refers to: these first, each after what it refers to itself.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn parse<'t>(text: &str, references: impl Iterator<Item = &'t str>) -> Result<Self, String> {
        let mut parser = Parser::default();
        for reference in references {
            parser.text(reference).map_err(|why| format!("a schema that it refers to: {why}"))?;
        }
        let root = parser.text(text)?;
        Ok(AvroSchema { types: parser.types, root })
    }
}

impl Parser {
    fn text(&mut self, text: &str) -> Result<TypeId, String> {
        // Deeper than 128 levels is an error of serde_json's: so the recursion here has a bound.
        let json: Value = match serde_json::from_str(text) {
            Ok(json) => json,
            // `"long"` is sometimes registered without its quotes.
            Err(_) if !text.contains(['{', '[', '"']) => Value::String(text.trim().to_owned()),
            Err(error) => return Err(format!("no JSON: {error}")),
        };
        self.any(&json, "")
    }

    fn add(&mut self, of: AvroType) -> Result<TypeId, String> {
        if self.types.len() >= MOST_TYPES {
            return Err(format!("more than {MOST_TYPES} types"));
        }
        self.types.push(of);
        Ok(self.types.len() - 1)
    }

    /// The type that a JSON value says, within this namespace.
    fn any(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        match json {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.any(branch, namespace));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                if branches.iter().any(|branch| matches!(self.types[*branch], AvroType::Union(_))) {
                    return Err("a union in a union".into());
                }
                self.add(AvroType::Union(branches))
            }
            Value::Object(object) => self.object(object, namespace),
            other => Err(format!("a type is a string, an object or an array, found {}", shortened(&other.to_string()))),
        }
    }

    /// A primitive type, or one that was defined before.
    fn by_name(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        if let Some(primitive) = primitive(name) {
            return self.add(primitive);
        }
        let full = full_name(name, namespace);
        let known = self.named.get(&full).or_else(|| self.named.get(name)).copied();
        known.ok_or_else(|| format!("type {:?} is not defined in it, nor in what it refers to", shortened(&full)))
    }

    fn object(&mut self, object: &Object, namespace: &str) -> Result<TypeId, String> {
        let of = object.get("type").ok_or("a type without \"type\"")?;
        let Value::String(of) = of else {
            return self.any(of, namespace); // {"type": {"type": …}}
        };
        match of.as_str() {
            "record" | "error" => self.record(object, namespace),
            "enum" => {
                let symbols = list(object, "symbols")?;
                let symbols = symbols.iter().map(|symbol| symbol.as_str().map(Arc::from));
                let symbols: Option<Vec<Arc<str>>> = symbols.collect();
                let symbols = symbols.ok_or("\"symbols\" has something that is no string")?;
                self.define(object, namespace, AvroType::Enum(symbols.into()))
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("a fixed without its \"size\"")?;
                self.define(object, namespace, logical(object, AvroType::Fixed(size)))
            }
            "array" => {
                let items = self.any(object.get("items").ok_or("an array without \"items\"")?, namespace)?;
                self.add(AvroType::Array(items))
            }
            "map" => {
                let values = self.any(object.get("values").ok_or("a map without \"values\"")?, namespace)?;
                self.add(AvroType::Map(values))
            }
            name => match primitive(name) {
                Some(primitive) => self.add(logical(object, primitive)),
                None => self.by_name(name, namespace),
            },
        }
    }

    fn record(&mut self, object: &Object, namespace: &str) -> Result<TypeId, String> {
        let (name, namespace) = name_of(object, namespace)?;
        let id = self.define_as(&name, AvroType::Named)?;
        let mut fields = Vec::new();
        for field in list(object, "fields")? {
            let field = field.as_object().ok_or("a field is an object")?;
            let field_name = field.get("name").and_then(Value::as_str).ok_or("a field without its \"name\"")?;
            let within = |why| format!("field {field_name:?} of {name}: {why}");
            let of = field.get("type").ok_or_else(|| within("it has no \"type\"".to_owned()))?;
            fields.push((field_name.to_owned(), self.any(of, &namespace).map_err(within)?));
        }
        self.types[id] = AvroType::Record(Arc::new(RecordType { name, fields }));
        Ok(id)
    }

    fn define(&mut self, object: &Object, namespace: &str, of: AvroType) -> Result<TypeId, String> {
        let (name, _) = name_of(object, namespace)?;
        self.define_as(&name, of)
    }

    fn define_as(&mut self, name: &str, of: AvroType) -> Result<TypeId, String> {
        let id = self.add(of)?;
        self.named.insert(name.to_owned(), id);
        Ok(id)
    }
}

fn list<'o>(object: &'o Object, name: &str) -> Result<&'o Vec<Value>, String> {
    object.get(name).and_then(Value::as_array).ok_or_else(|| format!("{name:?} is missing, or no array"))
}

/// The full name of what an object defines, and the namespace that it is in.
fn name_of(object: &Object, namespace: &str) -> Result<(String, String), String> {
    let name = object.get("name").and_then(Value::as_str).ok_or("a type without its \"name\"")?;
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let full = full_name(name, namespace);
    let within = full.rfind('.').map_or("", |dot| &full[..dot]).to_owned();
    Ok((full, within))
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.strip_prefix('.') {
        Some(name) => name.to_owned(),
        None if name.contains('.') || namespace.is_empty() => name.to_owned(),
        None => format!("{namespace}.{name}"),
    }
}

fn primitive(name: &str) -> Option<AvroType> {
    Some(match name {
        "null" => AvroType::Null,
        "boolean" => AvroType::Boolean,
        "int" => AvroType::Int,
        "long" => AvroType::Long,
        "float" => AvroType::Float,
        "double" => AvroType::Double,
        "bytes" => AvroType::Bytes,
        "string" => AvroType::Text,
        _ => return None,
    })
}

/// The type with its logical type. `local-timestamp-…` says a time of day and no zone: it is read as UTC. Debezium names its
/// instants by `connect.name` alone.
fn logical(object: &Object, of: AvroType) -> AvroType {
    let text = |name| object.get(name).and_then(Value::as_str);
    let number = |name| object.get(name).and_then(Value::as_u64);
    let instant = |unit| AvroType::Instant { unit, is_int: of == AvroType::Int };
    let decimal = |size| {
        let scale = number("scale").unwrap_or(0).min(MOST_SCALE);
        AvroType::Decimal { scale: i64::try_from(scale).expect("at most 10^6"), size }
    };
    let named = text("logicalType").or_else(|| text("connect.name"));
    match (named, &of) {
        (Some("decimal"), AvroType::Bytes) => decimal(None),
        (Some("decimal"), AvroType::Fixed(size)) => decimal(Some(*size)),
        (Some("big-decimal"), AvroType::Bytes) => AvroType::BigDecimal,
        (Some("uuid"), AvroType::Fixed(16)) => AvroType::Uuid,
        (Some("date" | "io.debezium.time.Date"), AvroType::Int) => instant(86_400 * SECOND),
        (Some("timestamp-millis" | "local-timestamp-millis" | "io.debezium.time.Timestamp"), AvroType::Long) => {
            instant(1_000_000)
        }
        (Some("timestamp-micros" | "local-timestamp-micros" | "io.debezium.time.MicroTimestamp"), AvroType::Long) => {
            instant(1_000)
        }
        (Some("timestamp-nanos" | "local-timestamp-nanos" | "io.debezium.time.NanoTimestamp"), AvroType::Long) => {
            instant(1)
        }
        _ => of,
    }
}
