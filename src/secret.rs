//! Secrets from files.

use std::path::Path;

/// What a file with a secret holds.
pub(crate) struct SecretText {
    pub(crate) text: String,
    /// Other users of the machine can read the file: a line that says what to do.
    pub(crate) warning: Option<String>,
}

/// The text of a file with a secret.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> std::io::Result<SecretText> {
    let text = std::fs::read_to_string(path)?;
    let warning = others_read(path)?.then(|| {
        let path = path.display();
        format!("warning: other users of this machine can read the secret in {path}: chmod 600 {path}")
    });
    Ok(SecretText { text, warning })
}

/// The text of a file that is to hold one secret.
///
/// # Errors
/// When it cannot be read, or there is nothing in it but spaces and ends of lines.
pub(crate) fn read_one(path: &Path) -> std::io::Result<SecretText> {
    let found = read(path)?;
    match found.text.trim().is_empty() {
        true => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty")),
        false => Ok(found),
    }
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
