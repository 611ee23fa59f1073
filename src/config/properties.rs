//! Properties of librdkafka.

use crate::cli::UsageErrors;
use crate::secret;
use std::path::Path;

/// `-X KEY=VALUE`, with secrets read from where they are.
pub(crate) fn properties(texts: &[String], errors: &mut UsageErrors) -> Vec<(String, String)> {
    const SECRET: [&str; 4] = ["password", "secret", "key.pem", "oauthbearer.config"];
    let mut properties = Vec::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            errors.push("-X: takes KEY=VALUE");
            continue;
        };
        let given = value;
        let value = match value.split_once(':') {
            Some(("env", name)) => {
                std::env::var(name).map_err(|_| format!("-X {key}: {name} is not in the environment"))
            }
            Some(("file", path)) => secret::read(Path::new(path))
                .map(|text| text.trim_end().to_owned())
                .map_err(|e| format!("-X {key}: file {path}: {e}")),
            _ if SECRET.iter().any(|word| key.ends_with(word)) => Err(format!(
                "-X {key}: holds a secret, and other users can see arguments: give it as env:NAME or file:PATH"
            )),
            _ => Ok(value.to_owned()),
        };
        let value = errors.ok(value);
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
    properties
}
