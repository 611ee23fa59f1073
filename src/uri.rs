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

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(redacted("influxdb://me:p@ss@host:8086/org/bucket?token=t"), "influxdb://…@host:8086/org/bucket");
        assert_eq!(redacted("kafka://a:9092,me:pass@b:9092/t"), "kafka://…@b:9092/t");
        assert_eq!(redacted("file:a?b/*.json"), "file:a?b/*.json");
        assert_eq!(redacted("kafka://a:1/t?measurement=x"), "kafka://a:1/t");
        let one = "influxdb://h/o/b?measurement=m&tag.a=1+2&tag.b=x";
        assert_eq!(redacted("influxdb://h/o/b?tag.b=x&token=t&tag.a=1%202&measurement=m&batch=7#x"), one);
    }
}
