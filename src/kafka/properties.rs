//! `-X KEY=VALUE`: properties of librdkafka as they are given.

use crate::property::{self, NOT_AN_ARGUMENT};
use crate::secret::{self, SecretText};
use std::path::Path;

/// The properties of a command line, with secrets read from where they are.
#[derive(Default)]
pub(crate) struct GivenProperties {
    pub(crate) properties: Vec<(String, String)>,
    /// One paragraph for each `-X` that cannot be used.
    pub(crate) mistakes: Vec<String>,
    /// Files of secrets that other users can read.
    pub(crate) warnings: Vec<String>,
}

/// The text of a file. One that is to hold a secret is not empty: librdkafka would say that the property is missing.
fn secret_of(key: &str, path: &Path) -> std::io::Result<SecretText> {
    if property::is_secret(key) { secret::read_one(path) } else { secret::read(path) }
}

/// What each `-X` of a command line says.
pub(crate) fn properties(texts: &[String]) -> GivenProperties {
    let GivenProperties { mut properties, mut mistakes, mut warnings } = GivenProperties::default();
    for text in texts {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            mistakes.push("-X: takes KEY=VALUE".to_owned());
            continue;
        };
        let given = value.trim_start_matches(NOT_AN_ARGUMENT);
        let value = match value.split_once(':') {
            Some(("env", name)) => match std::env::var(name) {
                Ok(text) if text.trim().is_empty() && property::is_secret(key) => {
                    Err(format!("-X {key}: the variable {name} is empty"))
                }
                found => found.map_err(|_| format!("-X {key}: {name} is not in the environment")),
            },
            Some(("file", path)) => secret_of(key, Path::new(path))
                .map(|read| {
                    warnings.extend(read.warning);
                    read.text.trim_end().to_owned()
                })
                .map_err(|e| format!("-X {key}: file {path}: {e}")),
            _ if given != value => Ok(given.to_owned()),
            _ if property::is_secret(key) => Err(format!(
                "-X {key}: holds a secret, and other users can see arguments: give it as env:NAME or file:PATH"
            )),
            _ => Ok(value.to_owned()),
        };
        let value = value.map_err(|mistake| mistakes.push(mistake)).ok();
        // What was given in a wrong way was given: no second error says that the password is missing.
        let value = value.or_else(|| key.starts_with("sasl.").then(|| given.to_owned()));
        properties.extend(value.map(|value| (key.to_owned(), value)));
    }
    let password = std::env::var("MINUTELY_KAFKA_PASSWORD").ok().filter(|p| !p.is_empty());
    if let Some(password) = password
        && properties.iter().any(|(key, _)| key == "sasl.username")
        && !properties.iter().any(|(key, _)| key == "sasl.password")
    {
        properties.push(("sasl.password".into(), password));
    }
    GivenProperties { properties, mistakes, warnings }
}
