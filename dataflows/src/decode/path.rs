//! The way to a field: a name, or a JSON pointer (RFC 6901).

use super::error::FieldProblem;

/// The steps from a record to a field. A step is a name in an object or, in decimal digits, an index of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldPath(pub(crate) Vec<Box<str>>);

impl FieldPath {
    /// A name is one step, a pointer has any number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(field: &str) -> Result<Self, FieldProblem> {
        match field.strip_prefix('/') {
            None if field.is_empty() => Err(FieldProblem::NoName),
            None if field.starts_with('@') => Err(FieldProblem::Key),
            None => Ok(FieldPath(vec![field.into()])),
            Some(pointer) => {
                let step = |step: &str| step.replace("~1", "/").replace("~0", "~").into();
                Ok(FieldPath(pointer.split('/').map(step).collect()))
            }
        }
    }
}
