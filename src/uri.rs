//! Addresses, as logs and errors may show them.

/// The URI without what may hold a secret: user, password and options. Of an InfluxDB, the options that say where points go
/// stay, sorted: this is the name of a sink in the state.
pub(crate) fn redacted(uri: &str) -> String {
    let Some((scheme, whole)) = uri.split_once("://") else { return uri.to_owned() };
    let rest = whole.split(['?', '#']).next().unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let place = if scheme.starts_with("influxdb") { points(&whole[rest.len()..]) } else { String::new() };
    match authority.rsplit_once('@') {
        Some((secret, _)) => format!("{scheme}://…{}{place}", &rest[secret.len()..]),
        None => format!("{scheme}://{rest}{place}"),
    }
}

/// `?measurement=…&tag.NAME=…` of a query.
fn points(query: &str) -> String {
    let query = query.strip_prefix('?').unwrap_or_default().split('#').next().unwrap_or_default();
    let mut kept: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "measurement" || key.starts_with("tag."))
        .collect();
    kept.sort();
    match form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish() {
        text if text.is_empty() => text,
        text => format!("?{text}"),
    }
}

/// May the address hold a secret itself? It may name the file or the variable of one.
pub(crate) fn may_hold_secret(uri: &str) -> bool {
    let Some((_, whole)) = uri.split_once("://") else { return false };
    let authority = whole.split(['/', '?', '#']).next().unwrap_or_default();
    let query = whole.split_once('?').map_or("", |(_, query)| query);
    let is_secret = |key: &str| {
        let names_a_place = key.ends_with("_env") || key.ends_with("_file");
        !names_a_place && ["token", "password", "secret"].iter().any(|word| key.contains(word))
    };
    authority.contains('@') || form_urlencoded::parse(query.as_bytes()).any(|(key, _)| is_secret(&key))
}

/// Does this address have options? What follows the last `?` of a path is options if it has a `=`.
pub(crate) fn has_options(uri: &str) -> bool {
    uri.rsplit_once('?').is_some_and(|(_, options)| options.contains('='))
}

/// The address with one more option; `further`: it has options already.
pub(crate) fn with_option(uri: &str, further: bool, key: &str, value: &str) -> String {
    let sign = if further { '&' } else { '?' };
    // The path of a file is written as it is, and so are its options.
    let option = match uri.contains("://") {
        true => form_urlencoded::Serializer::new(String::new()).append_pair(key, value).finish(),
        false => format!("{key}={value}"),
    };
    format!("{uri}{sign}{option}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(redacted("influxdb://me:p@ss@host:8086/org/bucket?token=t"), "influxdb://…@host:8086/org/bucket");
        assert_eq!(redacted("kafka://a:9092,me:pass@b:9092/t"), "kafka://…@b:9092/t");
        assert_eq!(redacted("file:a?b/*.json"), "file:a?b/*.json");
        assert_eq!(redacted("kafka://a:1/t?measurement=x"), "kafka://a:1/t");
        let one = "influxdb://h/o/b?measurement=m&tag.a=1+2&tag.b=x";
        assert_eq!(redacted("influxdb://h/o/b?tag.b=x&token=t&tag.a=1%202&measurement=m&batch=7#x"), one);
    }

    #[test]
    fn options_are_added_to_an_address() {
        assert_eq!(with_option("csv:a b.csv", false, "rotate", "100MB"), "csv:a b.csv?rotate=100MB");
        let one = with_option("influxdb://h/o/b", false, "tag.a", "1 & 2");
        assert_eq!(with_option(&one, true, "batch", "5"), "influxdb://h/o/b?tag.a=1+%26+2&batch=5");
        assert!(has_options(&one) && !has_options("file:a?/b.csv"));
    }

    #[test]
    fn an_address_that_names_a_file_holds_no_secret() {
        for uri in [
            "influxdb://me:p@h/o/b",
            "influxdb://h/o/b?token=t",
            "influxdb://h/o/b?x=1&PASSWORD=t".to_lowercase().as_str(),
        ] {
            assert!(may_hold_secret(uri), "{uri}");
        }
        for uri in
            ["influxdb://h/o/b?token_file=t&timeout=3s", "csv:a@b.csv", "kafka://b:1/t", "influxdb1://h/b?user=me"]
        {
            assert!(!may_hold_secret(uri), "{uri}");
        }
    }
}
