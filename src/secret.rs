//! Secrets from files.

use std::path::Path;

/// The text of a file with a secret. Warns if other users can read the file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    if others_read(path)? {
        let path = path.display();
        crate::console::say(&format!(
            "warning: other users of this machine can read the secret in {path}: chmod 600 {path}"
        ));
    }
    Ok(text)
}

/// Can other users than its owner read it?
#[cfg(unix)]
fn others_read(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path)?;
    // A pipe, as `<(pass show token)` makes, can be read once.
    Ok(meta.is_file() && meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_read(_: &Path) -> std::io::Result<bool> {
    Ok(false)
}
