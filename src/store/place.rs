//! Where a state is, as `--state` names it.

use crate::uri::redacted;
use minutely_dataflows::edge::{Halt, HaltKind};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take before the state's own patience, which says what is wrong, takes over.
const SERVER_PATIENCE: Duration = Duration::from_secs(5);

/// Where a state is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A folder of this machine: a lock says who owns it.
    Folder(PathBuf),
    /// A store without locks, and its URL: who owns it publishes again and again.
    Remote(Arc<dyn ObjectStore>, String),
}

impl Place {
    /// What `--state` says, `none` apart. Looks at nothing but the environment, for what opens a bucket.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: &str = "takes a folder, file:PATH, s3://bucket/prefix, or none";
        let folder = |path: &str| match path {
            "" => Err(format!("--state {text}: names no folder; it {KNOWN}")),
            path => Ok(Place::Folder(PathBuf::from(path))),
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
                            .map(|store| Place::Remote(store, text.to_owned()))
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

    /// The folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Place::Folder(path) => Some(path),
            Place::Remote(..) => None,
        }
    }

    /// Is there nothing at all? Only a folder can say so.
    pub(super) fn is_missing(&self) -> bool {
        self.folder().is_some_and(|path| !path.exists())
    }

    /// The store, all of whose writes are durable when they return.
    ///
    /// # Errors
    /// 64 when the folder is none.
    pub(super) fn store(&self) -> Result<Arc<dyn ObjectStore>, Halt> {
        match self {
            Place::Remote(store, _) => Ok(Arc::clone(store)),
            Place::Folder(path) => match LocalFileSystem::new_with_prefix(path) {
                Ok(store) => Ok(Arc::new(store.with_fsync(true))),
                Err(e) => Err(Halt::new(HaltKind::Usage, format!("--state {self}: {e}; choose another folder"))),
            },
        }
    }

    /// A file of it, for people.
    pub(super) fn file(&self, key: &str) -> String {
        match self {
            Place::Folder(path) => path.join(key).display().to_string(),
            Place::Remote(_, url) => format!("{}/{key}", url.trim_end_matches('/')),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) => path.display().fmt(f),
            Place::Remote(_, url) => f.write_str(url),
        }
    }
}

fn bucket_store(bucket: &str, prefix: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    // Retries are the state's own, which say what is wrong and can be stopped.
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: SERVER_PATIENCE };
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build()?;
    let prefix = object_store::path::Path::parse(prefix)?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_folder_or_a_bucket() {
        let folder = |text: &str| Place::parse(text).unwrap().folder().map(Path::to_owned);
        assert_eq!(folder("a/b c"), Some(PathBuf::from("a/b c")));
        assert_eq!(folder("file:a/b"), Some(PathBuf::from("a/b")));
        assert_eq!(folder("file:///a/b"), Some(PathBuf::from("/a/b")));
        assert_eq!(folder("./a:b"), Some(PathBuf::from("./a:b")));
        let bucket = Place::parse("s3://bucket/jobs/ticks").unwrap();
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
            let mistake = Place::parse(text).unwrap_err();
            assert!(mistake.contains(part), "{text}: {mistake}");
        }
    }
}
