//! Why schemas cannot be had.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::time::Duration;

/// What is wrong with a registry, and what to do. `url`: what was asked, without user and query.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistryError {
    #[error("--schema-registry: there is no HTTP client: {0}")]
    NoClient(String),
    /// `last`: the last attempt at each address.
    #[error(
        "the schema registry gave no answer within {} s ({}); see that it runs and is reached from here, or give it more \
         time (--schema-registry-timeout), then start again",
        after.as_secs_f64(), last.join("; ")
    )]
    Unreachable { after: Duration, last: Vec<String> },
    #[error("{url}: the schema registry answers {status} ({words}): {}", access_advice(*.status, *.has_login))]
    Refused { url: String, status: u16, words: String, has_login: bool },
    #[error(
        "{url}: answers {status}, and not as a schema registry ({words}): --schema-registry takes the address of Confluent's \
         API, with its path if it has one (Apicurio: …/apis/ccompat/v7)"
    )]
    NoRegistry { url: String, status: u16, words: String },
}

fn access_advice(status: u16, has_login: bool) -> &'static str {
    match (status, has_login) {
        (401, false) => {
            "it wants a login: give --schema-registry-user with MINUTELY_SCHEMA_REGISTRY_PASSWORD, or \
             MINUTELY_SCHEMA_REGISTRY_TOKEN"
        }
        (401, true) => "it does not know this user and password, or this token",
        (_, false) => "it may need a login: --schema-registry-user, or MINUTELY_SCHEMA_REGISTRY_TOKEN",
        (_, true) => "this login may not read schemas there: give it the right to read, or use another",
    }
}

impl From<RegistryError> for Halt {
    fn from(error: RegistryError) -> Self {
        let kind = match error {
            RegistryError::NoClient(_) | RegistryError::Refused { .. } | RegistryError::NoRegistry { .. } => {
                HaltKind::Usage
            }
            RegistryError::Unreachable { .. } => HaltKind::Unreachable,
        };
        Halt::new(kind, error.to_string())
    }
}
