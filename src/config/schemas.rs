//! What decodes records, with the schemas that it needs.

use super::decoding;
use crate::cli::{RunArgs, UsageErrors};
use crate::registry::{Registry, schema_file};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::checkpoint::hash;
use minutely_dataflows::decode::schema::{SchemaDecoder, SchemaKind};
use minutely_dataflows::decode::{Decoder, FieldNames, Format};
use std::sync::Arc;

/// What decodes records.
#[derive(Default)]
pub(super) struct Decoding {
    /// None where the options are wrong.
    pub(super) decoder: Option<Decoder>,
    /// Of schemas, where one is asked.
    pub(super) registry: Option<Arc<Registry>>,
    /// Of the file of `--schema`: another schema reads other events.
    pub(super) file_hash: Option<String>,
}

impl Decoding {
    /// Of a run with these fields. What is wrong is collected. Connects to nothing.
    pub(super) fn of(args: &RunArgs, fields: Option<&FieldNames>, errors: &mut UsageErrors) -> Self {
        let Some(fields) = fields else { return Decoding::default() };
        let Some(Schemas { registry, decoder, file_hash }) = Schemas::of(args, &fields.format, errors) else {
            return Decoding::default();
        };
        let decoder = decoding::decoder(fields, decoder, &args.log.source, errors);
        Decoding { decoder, registry, file_hash }
    }
}

/// Why no messages of this format are in such a log.
fn misplaced(format: &Format, source: &str) -> Option<String> {
    let name = match format {
        Format::Json | Format::Csv(_) => return None,
        Format::Avro if sources::has_lines(source) => return None,
        Format::Avro => "avro",
        Format::Protobuf => "protobuf",
        Format::JsonSchema => "json-schema",
    };
    (!sources::has_messages(source)).then(|| {
        format!(
            "--format {name}: `{}` has no such messages: avro is read of topics and of container files, protobuf and json-schema of \
             topics alone, for nothing in a file says where a message ends",
            redacted(source)
        )
    })
}

/// What tells how messages are read.
#[derive(Default)]
struct Schemas {
    /// None where no registry is asked.
    registry: Option<Arc<Registry>>,
    /// None for a format without schemas.
    decoder: Option<SchemaDecoder>,
    /// Of the file of `--schema`: another schema reads other events.
    file_hash: Option<String>,
}

impl Schemas {
    /// Of a run with this format; none where the options are wrong, which is collected. Connects to nothing.
    fn of(run: &RunArgs, format: &Format, errors: &mut UsageErrors) -> Option<Self> {
        let (args, source) = (&run.schemas, &run.log.source);
        let registry = Registry::of(args, errors);
        if let Some(why) = misplaced(format, source) {
            errors.push(why);
            return None;
        }
        if *format == Format::Avro && sources::has_lines(source) {
            if args.registry.is_some() || args.file.is_some() {
                errors.push(format!(
                    "--schema-registry, --schema: files of `{}` are containers of Avro, which have their schema: leave it out",
                    redacted(source)
                ));
            }
            return Some(Schemas { decoder: Some(SchemaDecoder::of_container()), ..Schemas::default() });
        }
        let kind = match format {
            Format::Avro => SchemaKind::Avro,
            Format::Protobuf => SchemaKind::Protobuf,
            Format::Json | Format::JsonSchema | Format::Csv(_) => {
                if registry.is_some() && *format != Format::JsonSchema {
                    errors.push("--schema-registry: is for --format avro, protobuf and json-schema");
                }
                if args.file.is_some() {
                    errors.push("--schema: is for --format avro and protobuf");
                }
                return Some(Schemas::default());
            }
        };
        let file = errors.ok(schema_file(args, kind))?;
        match (registry, file) {
            (Some(_), Some(_)) => errors.push("--schema-registry and --schema: contradict each other; give one"),
            (None, None) if args.registry.is_none() => {
                errors.push(
                    "--format: messages of Avro and Protobuf are read by --schema-registry URL, or by --schema FILE",
                );
            }
            (None, None) => {} // what is wrong with the registry is collected
            (Some(registry), None) => {
                let registry = Arc::new(registry);
                let decoder = Some(SchemaDecoder::of_registry(kind, registry.clone()));
                return Some(Schemas { registry: Some(registry), decoder, file_hash: None });
            }
            (None, Some(file)) => {
                let bytes = args.file.as_ref().map(std::fs::read).transpose();
                let bytes = errors.ok(bytes.map_err(|error| format!("--schema: cannot be read: {error}")))?;
                return Some(Schemas {
                    registry: None,
                    decoder: Some(SchemaDecoder::of_file(file)),
                    file_hash: bytes.map(|bytes| hash(&bytes)),
                });
            }
        }
        None
    }
}
