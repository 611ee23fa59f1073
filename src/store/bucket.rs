//! A bucket of an object store, by its usual address and the usual names in the environment.

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, Error, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How long the client library retries by itself; after that the state retries, and says what is wrong.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// The kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BucketKind {
    S3,
    Google,
    Azure,
}

/// Each kind with its scheme, its shape, and how the names in the environment begin that say what opens it.
const KINDS: [(BucketKind, &str, &str, &str); 3] = [
    (BucketKind::S3, "s3", "s3://bucket/prefix", "AWS_"),
    (BucketKind::Google, "gs", "gs://bucket/prefix", "GOOGLE_"),
    (BucketKind::Azure, "az", "az://container/prefix", "AZURE_"),
];

impl BucketKind {
    /// The kind of this scheme, if it is one of a bucket.
    pub(super) fn of(scheme: &str) -> Option<Self> {
        KINDS.into_iter().find(|(_, known, ..)| *known == scheme).map(|(kind, ..)| kind)
    }

    fn scheme(self) -> &'static str {
        self.known().1
    }

    /// What an address of it looks like.
    pub(super) fn shape(self) -> &'static str {
        self.known().2
    }

    /// How the names in the environment begin that say what opens it.
    pub(super) fn variables(self) -> &'static str {
        self.known().3
    }

    fn known(self) -> (BucketKind, &'static str, &'static str, &'static str) {
        KINDS.into_iter().find(|(kind, ..)| *kind == self).expect("each kind is in the table")
    }
}

/// Variables that name a server, each of the kind that its name begins with; of one kind the first that is given.
const SERVERS: [&str; 6] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "GOOGLE_BASE_URL",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
];

/// What is missing to speak to the server that `variable` looks up, if it is one without TLS: the client library says of it that it cannot build a request.
fn lacks_leave(kind: BucketKind, variable: impl Fn(&str) -> Option<String>) -> Option<Error> {
    let mut servers = SERVERS.into_iter().filter(|name| name.starts_with(kind.variables()));
    let (plain, _) =
        servers.find_map(|name| Some((name, variable(name)?))).filter(|(_, url)| url.starts_with("http://"))?;
    let leave = format!("{}ALLOW_HTTP", kind.variables());
    let given = variable(&leave).is_some_and(|text| ["1", "true", "on", "yes", "y"].contains(&&*text.to_lowercase()));
    let source = format!("{plain} begins with http://, which only {leave}=true allows").into();
    (!given).then_some(Error::Generic { store: kind.scheme(), source })
}

/// A prefix in a bucket, and its address, as messages name it.
#[derive(Clone, Debug)]
pub(crate) struct BucketPrefix {
    /// The whole bucket.
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    pub(super) url: String,
}

impl BucketPrefix {
    /// `rest`: what follows the scheme. Reads nothing but the environment.
    ///
    /// # Errors
    /// What is wrong with the address or the environment; none: it has not the shape of one.
    pub(super) fn parse(kind: BucketKind, rest: &str, url: &str) -> Result<Self, Option<Error>> {
        let (bucket, prefix) = rest.strip_prefix("//").map_or(("", ""), |at| at.split_once('/').unwrap_or((at, "")));
        if bucket.is_empty() || bucket.contains(['@', '?', ':']) {
            return Err(None);
        }
        if let Some(error) = lacks_leave(kind, |name| std::env::var(name).ok()) {
            return Err(Some(error));
        }
        // Retries are the state's own, which say what is wrong and can be stopped.
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: SERVER_TIMEOUT };
        let store: Result<Arc<dyn ObjectStore>, Error> = match kind {
            BucketKind::S3 => {
                // One file at a time is deleted, by the request that every server knows.
                let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
                let built = builder.with_disable_bulk_delete(true).build();
                built.map(|store| Arc::new(store) as _)
            }
            BucketKind::Google => {
                let built = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry).build();
                built.map(|store| Arc::new(store) as _)
            }
            BucketKind::Azure => {
                let built = MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry).build();
                built.map(|store| Arc::new(store) as _)
            }
        };
        let prefix = Key::parse(prefix).map_err(|e| Some(e.into()))?;
        Ok(BucketPrefix { store: store.map_err(Some)?, prefix, url: url.trim_end_matches('/').to_owned() })
    }

    /// A store in memory, or one that fails.
    #[cfg(test)]
    pub(super) fn of(store: Arc<dyn ObjectStore>) -> Self {
        BucketPrefix { store, prefix: Key::default(), url: "memory://".into() }
    }

    /// What is below the prefix.
    pub(super) fn opened(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.store), self.prefix.clone()))
    }

    /// The prefix beside this one whose name has this more at its end.
    pub(super) fn beside(&self, more: &str) -> Self {
        let (prefix, url) = match self.prefix.as_ref() {
            "" => (more.trim_start_matches('.').to_owned(), format!("{}/{}", self.url, more.trim_start_matches('.'))),
            prefix => (format!("{prefix}{more}"), format!("{}{more}", self.url)),
        };
        BucketPrefix { store: Arc::clone(&self.store), prefix: Key::from(prefix), url }
    }

    /// Copies a file to the same place below another prefix of the bucket.
    ///
    /// # Errors
    /// As the server says.
    pub(super) async fn copy_to(&self, other: &BucketPrefix, key: &Key) -> Result<(), Error> {
        let below = |prefix: &Key| prefix.parts().chain(key.parts()).collect::<Key>();
        self.store.copy_opts(&below(&self.prefix), &below(&other.prefix), object_store::CopyOptions::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_tls_needs_leave() {
        let lacks = |kind, given: &[(&str, &str)]| {
            let variable = |name: &str| given.iter().find(|(is, _)| *is == name).map(|(_, text)| (*text).to_owned());
            lacks_leave(kind, variable).map(|error| error.to_string())
        };
        let plain = ("AWS_ENDPOINT", "http://127.0.0.1:9000");
        let said = lacks(BucketKind::S3, &[plain]).unwrap();
        assert!(said.contains("AWS_ENDPOINT begins with http://, which only AWS_ALLOW_HTTP=true allows"), "{said}");
        assert_eq!(lacks(BucketKind::S3, &[plain, ("AWS_ALLOW_HTTP", "True")]), None);
        assert_eq!(lacks(BucketKind::S3, &[("AWS_ENDPOINT", "https://s3.example")]), None);
        assert_eq!(
            lacks(BucketKind::S3, &[plain, ("AWS_ENDPOINT_URL_S3", "https://s3.example")]),
            None,
            "it goes before"
        );
        assert_eq!(lacks(BucketKind::Azure, &[plain]), None, "of another kind");
        assert!(lacks(BucketKind::Google, &[("GOOGLE_BASE_URL", "http://x"), ("GOOGLE_ALLOW_HTTP", "no")]).is_some());
        // Where credentials come from, which is not TLS's business.
        assert_eq!(lacks(BucketKind::S3, &[("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")]), None);
    }
}
