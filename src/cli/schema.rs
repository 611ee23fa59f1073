//! Where schemas are: a registry, or a file.

use super::values::{Given, duration};
use clap::Args;
use std::path::PathBuf;

/// Schemas of the formats avro, protobuf and json-schema.
#[derive(Args, Debug)]
#[command(next_help_heading = "Schemas")]
pub(crate) struct SchemaArgs {
    /// Schema registry with Confluent's API, for --format avro, protobuf and json-schema; several addresses by commas
    ///
    /// Such as https://registry:8081. The addresses are tried in turn.
    #[arg(long = "schema-registry", value_name = "URL", env = "MINUTELY_SCHEMA_REGISTRY")]
    pub(crate) registry: Option<String>,

    /// User of the registry
    #[arg(long = "schema-registry-user", value_name = "NAME", env = "MINUTELY_SCHEMA_REGISTRY_USER")]
    pub(crate) user: Option<String>,

    /// File of the user's password [default: MINUTELY_SCHEMA_REGISTRY_PASSWORD in the environment]
    #[arg(long = "schema-registry-password-file", value_name = "PATH", env = "MINUTELY_SCHEMA_REGISTRY_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// File of a bearer token for the registry [default: MINUTELY_SCHEMA_REGISTRY_TOKEN in the environment]
    #[arg(long = "schema-registry-token-file", value_name = "PATH", env = "MINUTELY_SCHEMA_REGISTRY_TOKEN_FILE")]
    pub(crate) schema_token_file: Option<PathBuf>,

    /// File of certificates (PEM) that the registry's may be signed by, beside those of the system
    #[arg(long = "schema-registry-ca", value_name = "PATH", env = "MINUTELY_SCHEMA_REGISTRY_CA")]
    pub(crate) ca: Option<PathBuf>,

    /// Time that the registry may take to give a schema, attempts included, before the run ends
    #[arg(
        long = "schema-registry-timeout",
        value_name = "TIME",
        env = "MINUTELY_SCHEMA_REGISTRY_TIMEOUT",
        default_value = "30s",
        value_parser = duration(100)
    )]
    pub(crate) schema_timeout: Given<i64>,

    /// Schema of messages that have no schema id: a file .avsc (Avro), .proto (Protobuf), or .desc, .pb or .protoset (descriptors)
    ///
    /// What a .proto imports is looked for beside it.
    #[arg(long = "schema", value_name = "FILE", env = "MINUTELY_SCHEMA")]
    pub(crate) file: Option<PathBuf>,

    /// Message of the schema in --schema, where a Protobuf schema has several
    #[arg(long = "schema-type", value_name = "NAME", env = "MINUTELY_SCHEMA_TYPE")]
    pub(crate) message: Option<String>,
}
