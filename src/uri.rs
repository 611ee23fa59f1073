//! Addresses, as logs and errors may show them.

/// Without what may hold a secret: user and password, and options.
pub(crate) fn shown(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((secret, _)) => format!("{scheme}://…{}", &rest[secret.len()..]),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(shown("influxdb://me:p@ss@host:8086/org/bucket?token=t"), "influxdb://…@host:8086/org/bucket");
        assert_eq!(shown("kafka://a:9092,me:pass@b:9092/t"), "kafka://…@b:9092/t");
        assert_eq!(shown("file:a?b/*.json"), "file:a?b/*.json");
    }
}
