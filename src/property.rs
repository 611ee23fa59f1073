//! `KEY=VALUE`, as `-X` takes properties of librdkafka.

/// In front of a value that was not an argument: no argument and no variable can hold it, so a secret may follow it. Other users
/// can see arguments.
pub(crate) const NOT_AN_ARGUMENT: char = '\0';

/// Does a property of this name hold a secret?
pub(crate) fn is_secret(key: &str) -> bool {
    ["password", "secret", "key.pem", "oauthbearer.config"].iter().any(|word| key.ends_with(word))
}

/// Does the value say where the secret is, instead of being it?
pub(crate) fn names_a_place(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

/// The property, with its value marked as one that was not an argument.
pub(crate) fn marked(property: &str) -> String {
    match property.split_once('=') {
        Some((key, value)) if !names_a_place(value) => format!("{key}={NOT_AN_ARGUMENT}{value}"),
        _ => property.to_owned(),
    }
}
