//! `--state`: where a state is.

use super::bucket::{BucketKind, BucketPrefix};
use crate::uri::redacted;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a state is, as `--state` names it.
#[derive(Clone, Debug)]
pub(crate) enum StoreUri {
    /// A folder of this machine: a lock file says which run owns it.
    Folder(PathBuf),
    /// A prefix in a bucket, without locks: its owner publishes as often as its manifests say.
    Remote(Arc<BucketPrefix>),
}

impl StoreUri {
    /// Parses `--state`, except `none`. Reads nothing but the environment, for the credentials of a bucket.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: &str =
            "takes a folder, file:PATH, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or none";
        let folder = |path: &str| match path {
            "" => Err(format!("--state {text}: names no folder; it {KNOWN}")),
            path => Ok(StoreUri::Folder(PathBuf::from(path))),
        };
        let Some((scheme, rest)) = text.split_once(':') else { return folder(text) };
        if let Some(kind) = BucketKind::of(scheme) {
            return StoreUri::bucket(kind, rest, text);
        }
        match (scheme, rest.strip_prefix("//")) {
            ("file", Some(path)) if !path.starts_with('/') => {
                Err(format!("--state {text}: names a host, and folders are this machine's: write file:/{path}"))
            }
            ("file", path) => folder(path.unwrap_or(rest)),
            (_, Some(_)) => Err(format!("--state {}: is not known; it {KNOWN}", redacted(text))),
            (_, None) => folder(text),
        }
    }

    fn bucket(kind: BucketKind, rest: &str, text: &str) -> Result<Self, String> {
        let variables = kind.variables();
        BucketPrefix::parse(kind, rest, text).map(|bucket| StoreUri::Remote(Arc::new(bucket))).map_err(|e| match e {
            Some(e) => format!("--state {text}: {e}; {variables}* in the environment say what opens it"),
            None => format!(
                "--state {}: an object store is {}, with {variables}* in the environment",
                redacted(text),
                kind.shape()
            ),
        })
    }

    /// The folder; none for a bucket.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            StoreUri::Folder(path) => Some(path),
            StoreUri::Remote(_) => None,
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
            StoreUri::Remote(bucket) => Ok(bucket.opened()),
            StoreUri::Folder(path) => Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true))),
        }
    }

    /// A file of the state, as messages name it.
    pub(super) fn file(&self, key: &str) -> String {
        match self {
            StoreUri::Folder(path) => path.join(key).display().to_string(),
            StoreUri::Remote(bucket) => format!("{}/{key}", bucket.url),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUri::Folder(path) => path.display().fmt(f),
            StoreUri::Remote(bucket) => f.write_str(&bucket.url),
        }
    }
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
            ("ftp://bucket/x", "is not known; it takes a folder"),
            ("gs:bucket", "gs://bucket/prefix, with GOOGLE_*"),
            ("gs://key:secret@bucket/x", "gs://bucket/prefix"),
            ("az:///x", "az://container/prefix, with AZURE_*"),
            ("s3:bucket", "s3://bucket/prefix"),
            ("s3://", "s3://bucket/prefix"),
            ("s3://key:secret@bucket/x", "s3://bucket/prefix"),
        ] {
            let mistake = StoreUri::parse(text).unwrap_err();
            assert!(mistake.contains(part), "{text}: {mistake}");
        }
    }
}
