//! `--state`: where a state is.

use crate::uri::redacted;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the client library retries by itself; after that the state retries, and says what is wrong.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a state is, as `--state` names it.
#[derive(Clone, Debug)]
pub(crate) enum StoreUri {
    /// A folder of this machine: a lock file says which run owns it.
    Folder(PathBuf),
    /// A bucket, without locks, and its URL: its owner publishes at least every ten seconds.
    Remote(Arc<dyn ObjectStore>, String),
}

impl StoreUri {
    /// Parses `--state`, except `none`. Reads nothing but the environment, for the credentials of a bucket.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: &str = "takes a folder, file:PATH, s3://bucket/prefix, or none";
        let folder = |path: &str| match path {
            "" => Err(format!("--state {text}: names no folder; it {KNOWN}")),
            path => Ok(StoreUri::Folder(PathBuf::from(path))),
        };
        match text.split_once(':') {
            Some(("file", path)) => match path.strip_prefix("//") {
                Some(rest) if !rest.starts_with('/') => {
                    Err(format!("--state {text}: names a host, and folders are this machine's: write file:/{rest}"))
                }
                rest => folder(rest.unwrap_or(path)),
            },
            Some(("s3", rest)) => {
                match rest.strip_prefix("//").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
                    Some((bucket, prefix)) if !bucket.is_empty() && !bucket.contains(['@', '?', ':']) => {
                        bucket_store(bucket, prefix)
                            .map(|store| StoreUri::Remote(store, text.to_owned()))
                            .map_err(|e| format!("--state {text}: {e}; AWS_* in the environment say what opens it"))
                    }
                    _ => Err(format!(
                        "--state {}: an object store is s3://bucket/prefix, with AWS_* in the environment",
                        redacted(text)
                    )),
                }
            }
            Some((_, rest)) if rest.starts_with("//") => {
                Err(format!("--state {}: is not known; it {KNOWN}", redacted(text)))
            }
            _ => folder(text),
        }
    }

    /// The folder; none for a bucket.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            StoreUri::Folder(path) => Some(path),
            StoreUri::Remote(..) => None,
        }
    }

    /// Is the folder missing? False for a bucket.
    pub(super) fn is_missing(&self) -> bool {
        self.folder().is_some_and(|path| !path.exists())
    }

    /// Opens the store. Its writes are durable when they return.
    ///
    /// # Errors
    /// When it is not a folder.
    pub(super) fn store(&self) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        match self {
            StoreUri::Remote(store, _) => Ok(Arc::clone(store)),
            StoreUri::Folder(path) => Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true))),
        }
    }

    /// A file of the state, as messages name it.
    pub(super) fn file(&self, key: &str) -> String {
        match self {
            StoreUri::Folder(path) => path.join(key).display().to_string(),
            StoreUri::Remote(_, url) => format!("{}/{key}", url.trim_end_matches('/')),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUri::Folder(path) => path.display().fmt(f),
            StoreUri::Remote(_, url) => f.write_str(url),
        }
    }
}

fn bucket_store(bucket: &str, prefix: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    // Retries are the state's own, which say what is wrong and can be stopped.
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: SERVER_TIMEOUT };
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build()?;
    let prefix = object_store::path::Path::parse(prefix)?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_folder_or_a_bucket() {
        let folder = |text: &str| StoreUri::parse(text).unwrap().folder().map(Path::to_owned);
        assert_eq!(folder("a/b c"), Some(PathBuf::from("a/b c")));
        assert_eq!(folder("file:a/b"), Some(PathBuf::from("a/b")));
        assert_eq!(folder("file:///a/b"), Some(PathBuf::from("/a/b")));
        assert_eq!(folder("./a:b"), Some(PathBuf::from("./a:b")));
        let bucket = StoreUri::parse("s3://bucket/jobs/ticks").unwrap();
        assert!(bucket.folder().is_none() && bucket.to_string() == "s3://bucket/jobs/ticks");
        assert_eq!(bucket.file("manifest/1"), "s3://bucket/jobs/ticks/manifest/1");
        for (text, part) in [
            ("", "names no folder"),
            ("file:", "names no folder"),
            ("file://host/x", "file:/host/x"),
            ("gs://bucket/x", "is not known; it takes a folder"),
            ("s3:bucket", "s3://bucket/prefix"),
            ("s3://", "s3://bucket/prefix"),
            ("s3://key:secret@bucket/x", "s3://bucket/prefix"),
        ] {
            let mistake = StoreUri::parse(text).unwrap_err();
            assert!(mistake.contains(part), "{text}: {mistake}");
        }
    }
}
