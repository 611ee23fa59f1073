//! librdkafka's words, as this program's messages have them.

use rdkafka::error::KafkaError;

/// librdkafka's reason for refusing to make a client; it holds no values of properties that are secret.
pub(crate) fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientCreation(what) => lower(what),
        KafkaError::ClientConfig(_, what, name, _) => format!("{name}: {}", lower(what)),
        other => lower(&other.to_string()),
    }
}

/// Lower case at the front, no full stop.
pub(crate) fn lower(text: &str) -> String {
    let text = text.trim_end_matches(['.', ' ', '\n']);
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned(); // an abbreviation
    }
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
