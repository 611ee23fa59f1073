//! The key of a run that was given none, on one machine: a random secret in a file of the data folder that its owner alone can
//! read. That keeps other users of the machine out.

use super::error::{ClusterError, SecretProblem};
use super::key::{BYTES, ClusterKey, nonce};
use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file in the data folder.
const NAME: &str = "cluster-secret";
/// How long another process may take between making the file and writing it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The secret of this data folder; the first process makes the file.
///
/// # Errors
/// When the file is not one that this user alone can read and write, or cannot be read or written.
pub(super) fn of_folder(data: &Path) -> Result<ClusterKey, ClusterError> {
    let path = data.join(NAME);
    let failed = |source: io::Error| ClusterError::SecretUnreadable { path: path.clone(), source };
    fs::create_dir_all(data).map_err(failed)?;
    if let Some(secret) = make(&path).map_err(failed)? {
        return Ok(ClusterKey::of_bytes(&secret));
    }
    let refuse = |problem| ClusterError::NoSecret { path: path.clone(), problem };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
    let is_link = |e: &io::Error| e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    let mut file = opened.map_err(|e| match e.kind() {
        ErrorKind::PermissionDenied => refuse(SecretProblem::Denied(e)),
        _ if is_link(&e) => refuse(SecretProblem::SymbolicLink),
        _ => failed(e),
    })?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(refuse(SecretProblem::Exposed));
    }
    let bytes = read(&mut file).map_err(failed)?;
    bytes.map(|bytes| ClusterKey::of_bytes(&bytes)).ok_or_else(|| refuse(SecretProblem::Length(BYTES)))
}

/// Makes the file; none where it exists.
fn make(path: &PathBuf) -> io::Result<Option<[u8; BYTES]>> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(e) => return Err(e),
    };
    let bytes = nonce()?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(Some(bytes))
}

/// Its bytes, once another process has written them; none where it has another length.
fn read(file: &mut File) -> io::Result<Option<[u8; BYTES]>> {
    let until = Instant::now() + WRITE_TIMEOUT;
    let mut bytes = Vec::new();
    loop {
        // At most one byte too many.
        Read::take(&mut *file, u64::try_from(BYTES + 1 - bytes.len()).unwrap_or(0)).read_to_end(&mut bytes)?;
        if !bytes.is_empty() || Instant::now() > until {
            return Ok(bytes.try_into().ok());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::edge::{Halt, HaltKind};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_first_process_makes_it_and_all_others_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let all = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| of_folder(&data).unwrap())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(all.iter().all(|one| *one == all[0]));
        assert_eq!(fs::metadata(data.join(NAME)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(of_folder(&data).unwrap(), all[0]);
        assert_ne!(of_folder(&folder.path().join("other")).unwrap(), all[0]);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_no_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let refused = || {
            let halt = Halt::from(of_folder(folder.path()).map(drop).unwrap_err());
            assert!(halt.kind == HaltKind::Usage && halt.why.contains("remove it"), "{halt}");
            fs::remove_file(&path).unwrap();
        };
        for (bytes, mode) in
            [(&[7; BYTES][..], 0o640), (&[7; BYTES], 0o604), (b"short", 0o600), (&[7; BYTES + 1], 0o600)]
        {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            refused();
        }
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, [7; BYTES]).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, &path).unwrap();
        refused();
    }
}
