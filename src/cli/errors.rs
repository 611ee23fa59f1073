//! All that is wrong with a command line, at once.

use super::Given;

/// What is wrong with a command line, one paragraph each.
#[derive(Debug, Default)]
pub(crate) struct UsageErrors(Vec<String>);

impl UsageErrors {
    pub(crate) fn push(&mut self, error: impl Into<String>) {
        self.0.push(error.into());
    }

    pub(crate) fn extend(&mut self, errors: Vec<String>) {
        self.0.extend(errors);
    }

    /// The value of an option; absent if it is wrong, which is collected.
    pub(crate) fn value<T: Clone>(&mut self, given: &Given<T>) -> Option<T> {
        self.ok(given.value())
    }

    /// The result; absent if it is an error, which is collected.
    pub(crate) fn ok<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The results; empty if there are errors, which are collected.
    pub(crate) fn all_ok<T: Default>(&mut self, result: Result<T, Vec<String>>) -> T {
        result.unwrap_or_else(|errors| {
            self.extend(errors);
            T::default()
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The value that was made of the options.
    ///
    /// # Errors
    /// All that was collected; then the value may be absent.
    ///
    /// # Panics
    /// When the value is absent and nothing was collected.
    pub(crate) fn unless_any<T>(self, value: Option<T>) -> Result<T, UsageErrors> {
        if self.0.is_empty() { Ok(value.expect("a value is absent only with an error")) } else { Err(self) }
    }
}
