//! How many files this process may have open. A shell's usual limit, 1024, is soft: clients of `--http` alone could use all of
//! it, and no checkpoint could be written then.

/// Raises the soft limit of open files to the hard one. Returns the limit that holds now.
pub(crate) fn raise_limit() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // macOS calls the hard limit infinite and takes no more than OPEN_MAX.
        let wanted = if cfg!(target_os = "macos") { Some(maximum.unwrap_or(u64::MAX).min(10_240)) } else { maximum };
        if current.is_some() && current != wanted {
            match setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }) {
                Ok(()) => return wanted.unwrap_or(u64::MAX),
                Err(error) => tracing::debug!("the limit of open files stays at {current:?}: {error}"),
            }
        }
        current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    1024
}
