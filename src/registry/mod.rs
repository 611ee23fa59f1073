//! Schemas of a schema registry with Confluent's API, and of files.
//!
//! ```text
//!   a worker that meets a schema id ─> Registry::schema ─ known? ──────────────────────────> RegisteredSchema
//!                                            └─ GET /schemas/ids/ID, then what it refers to ─┘
//! ```
//!
//! One request at a time, on the thread of the worker that asks; the others wait for the same answer, which is kept for the whole
//! run. A topic has a few schemas, so a run asks a few times.
//!
//! **Failure.** No connection, a time-out, 429 and 5xx are asked again, at the next address first, with growing waits, until
//! `--schema-registry-timeout` is over: then the run ends with 69, and the next one resumes. A registry that refuses this client
//! (401, 403), or is none, ends it with 64. Asking again is safe: nothing is written.
//!
//! **An id without a schema** is asked for twice, for a registry of several nodes may answer from one that is behind; not more than
//! 16 times a run, since bytes that have no frame have many such ids.
//!
//! **Does not promise.** Certificates of clients are not built. What proxies there are the environment says (`https_proxy`).

mod access;
mod client;
mod error;
mod file;
#[cfg(test)]
mod tests;

pub(crate) use file::schema_file;

use crate::cli::{SchemaArgs, UsageErrors};
use access::RegistryAccess;
use client::{RegistryClient, RegistryWaits};
use error::RegistryError;
use minutely_dataflows::decode::schema::{RegisteredSchema, SchemaKind};
use minutely_dataflows::edge::{Halt, SchemaRegistry};
use reqwest::{Certificate, Url};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Schemas that a schema may refer to, by way of others, too.
const MOST_REFERENCES: usize = 1000;
/// Answers that are kept at most, of which most would be that there is no such schema.
const MOST_ANSWERS: usize = 10_000;
/// Ids without a schema that are asked for twice.
const MOST_DOUBTS: u32 = 16;

/// A schema registry. One per process; shared by its workers.
pub(crate) struct Registry {
    warning: Option<String>,
    inner: Mutex<Inner>,
}

struct Inner {
    client: RegistryClient,
    /// By id, as the registry answered.
    answers: BTreeMap<u32, Option<RegisteredSchema>>,
    /// Ids without a schema that were asked for twice.
    doubts: u32,
    /// Between two questions for an id that has no schema.
    doubt: Duration,
}

/// A schema as the API gives it, of both paths.
#[derive(Deserialize)]
struct SchemaBody {
    schema: String,
    /// Left out for Avro.
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry") // with nothing of its addresses and secrets
    }
}

impl Registry {
    /// The registry that the options name; none where they name none, or are wrong, which is collected. Connects to nothing.
    pub(crate) fn of(args: &SchemaArgs, errors: &mut UsageErrors) -> Option<Self> {
        let Some(urls) = &args.registry else {
            errors.extend(orphans(args));
            return None;
        };
        let urls = errors.all_ok(client::addresses(urls));
        let access = errors.ok(RegistryAccess::of(args, &|name| std::env::var(name).ok()));
        let timeout = errors.value(&args.schema_timeout);
        let ca = errors.ok(args.ca.as_deref().map_or(Ok(Vec::new()), access::certificates));
        let (access, ca) = (access?, ca?);
        let wait = RegistryWaits { all: Duration::from_nanos(timeout?.unsigned_abs()), ..RegistryWaits::default() };
        Some(errors.ok(Registry::new(urls, access, ca, wait))?).filter(|_| errors.iter().next().is_none())
    }

    fn new(urls: Vec<Url>, access: RegistryAccess, ca: Vec<Certificate>, wait: RegistryWaits) -> Result<Self, String> {
        let warning = access.warning();
        let client = RegistryClient::new(urls, access, ca, wait).map_err(|error| error.to_string())?;
        let inner = Inner { client, answers: BTreeMap::new(), doubts: 0, doubt: wait.doubt };
        Ok(Registry { warning, inner: Mutex::new(inner) })
    }

    /// Other users can read the file that has the secret.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Does it answer, and let this client in? Before the run begins, so that a wrong address changes nothing.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn probe(&self) -> Result<(), Halt> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // No schema has this id; whether there is one is not the question.
        inner.client.get::<SchemaBody>(&["schemas", "ids", "0"])?;
        Ok(())
    }
}

/// The mistakes: options of a registry without one.
fn orphans(args: &SchemaArgs) -> Vec<String> {
    let given = [
        ("--schema-registry-user", args.user.is_some()),
        ("--schema-registry-password-file", args.password_file.is_some()),
        ("--schema-registry-token-file", args.schema_token_file.is_some()),
        ("--schema-registry-ca", args.ca.is_some()),
    ];
    let mistake =
        |(option, _): &(&str, bool)| format!("{option} is of a schema registry, and there is no --schema-registry");
    given.iter().filter(|(_, given)| *given).map(mistake).collect()
}

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Option<RegisteredSchema>, Halt> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.answers.get(&id) {
            return Ok(known.clone());
        }
        let schema = inner.ask(id)?;
        if inner.answers.len() >= MOST_ANSWERS {
            inner.answers.clear();
        }
        inner.answers.insert(id, schema.clone());
        Ok(schema)
    }
}

impl Inner {
    fn ask(&mut self, id: u32) -> Result<Option<RegisteredSchema>, RegistryError> {
        let number = id.to_string();
        let path = ["schemas", "ids", &number];
        let mut body = self.client.get::<SchemaBody>(&path)?;
        if body.is_none() && self.doubts < MOST_DOUBTS {
            self.doubts += 1;
            self.client.pause(self.doubt);
            self.client.turn();
            body = self.client.get(&path)?;
        }
        let Some(SchemaBody { schema: text, kind, references }) = body else { return Ok(None) };
        let mut all = Vec::new();
        self.follow(references.unwrap_or_default(), &mut BTreeSet::new(), &mut all)?;
        let kind = match kind.as_deref() {
            None | Some("AVRO") => SchemaKind::Avro,
            Some("PROTOBUF") => SchemaKind::Protobuf,
            Some("JSON") => SchemaKind::Json,
            Some(_) => SchemaKind::Other,
        };
        Ok(Some(RegisteredSchema { kind, text, references: all }))
    }

    /// Adds what is referred to, each after what it refers to itself. One that is not there is left out: the schema that refers to
    /// it says then that it cannot be used, and why.
    fn follow(
        &mut self,
        references: Vec<Reference>,
        seen: &mut BTreeSet<(String, i64)>,
        all: &mut Vec<(String, String)>,
    ) -> Result<(), RegistryError> {
        for Reference { name, subject, version } in references {
            if seen.len() >= MOST_REFERENCES || !seen.insert((subject.clone(), version)) {
                continue;
            }
            let number = version.to_string();
            let body = self.client.get::<SchemaBody>(&["subjects", &subject, "versions", &number])?;
            if let Some(SchemaBody { schema, references, .. }) = body {
                self.follow(references.unwrap_or_default(), seen, all)?;
                all.push((name, schema));
            }
        }
        Ok(())
    }
}
