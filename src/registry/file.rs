//! The schema of a file, for messages that have no schema id.

use crate::cli::SchemaArgs;
use minutely_dataflows::decode::schema::{FileSchema, RegisteredSchema, SchemaKind};
use minutely_dataflows::escape::shortened;
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of a file at most.
const MOST_BYTES: u64 = 16 << 20;

/// The schema of `--schema`, of this kind; none where none is given.
///
/// # Errors
/// What is wrong with the file, or with what it has: one paragraph.
pub(crate) fn schema_file(args: &SchemaArgs, kind: SchemaKind) -> Result<Option<FileSchema>, String> {
    let Some(path) = &args.file else {
        return match &args.message {
            Some(message) => Err(format!("--schema-type {message}: says a message of --schema, which is not given")),
            None => Ok(None),
        };
    };
    let wrong = |why: String| format!("--schema {}: {why}", path.display());
    let message = args.message.as_deref();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let schema = match (extension, kind) {
        ("avsc" | "json", SchemaKind::Avro) => {
            let text = text(path).map_err(wrong)?;
            FileSchema::of(&RegisteredSchema { kind, text, references: Vec::new() }, message)
        }
        ("proto", SchemaKind::Protobuf) => {
            let text = text(path).map_err(wrong)?;
            let folder = path.parent().unwrap_or(Path::new(""));
            let mut references = Vec::new();
            imports(folder, &text, &mut BTreeSet::new(), &mut references).map_err(wrong)?;
            FileSchema::of(&RegisteredSchema { kind, text, references }, message)
        }
        ("desc" | "pb" | "protoset" | "binpb", SchemaKind::Protobuf) => {
            FileSchema::of_descriptors(&bytes(path).map_err(wrong)?, message)
        }
        (_, SchemaKind::Avro) => Err("a schema of Avro is a file .avsc".to_owned()),
        (_, SchemaKind::Protobuf) => {
            Err("a schema of Protobuf is a file .proto, or a set of descriptors .desc".to_owned())
        }
        (_, SchemaKind::Json | SchemaKind::Other) => Err(format!("messages of {kind} are read without their schema")),
    };
    schema.map(Some).map_err(wrong)
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MOST_BYTES {
        return Err(format!("has {length} bytes, and a schema at most {MOST_BYTES}"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| "is no UTF-8".to_owned())
}

/// Adds the files that a .proto imports and that are below its folder; others are known to the compiler, or told by it.
fn imports(
    folder: &Path,
    text: &str,
    seen: &mut BTreeSet<String>,
    all: &mut Vec<(String, String)>,
) -> Result<(), String> {
    for name in imported(text) {
        let is_inside = !name.starts_with('/') && !name.split('/').any(|part| part == "..");
        let path = folder.join(&name);
        if !is_inside || !path.is_file() || !seen.insert(name.clone()) {
            continue;
        }
        let text = self::text(&path).map_err(|why| format!("imports {}: {why}", shortened(&name)))?;
        imports(folder, &text, seen, all)?;
        all.push((name, text));
    }
    Ok(())
}

/// The paths of `import "…";`, `import public "…";`, also of some that stand in comments: then a file is read for nothing.
fn imported(text: &str) -> Vec<String> {
    let statement = |rest: &str| {
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("public").or(rest.strip_prefix("weak")).unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        Some(rest[1..].split_once(quote)?.0.to_owned())
    };
    text.split("import").skip(1).filter_map(statement).collect()
}
