//! The way to a field: a name, or a JSON pointer (RFC 6901).

use super::error::FieldProblem;

/// The steps from a record to a field. A step is a name in an object or, in decimal digits, an index of an array. No step: the
/// record itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldPath(pub(crate) Vec<Box<str>>);

impl FieldPath {
    /// A name is one step, a pointer has any number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(field: &str) -> Result<Self, FieldProblem> {
        match field.as_bytes() {
            [] => Err(FieldProblem::NoName),
            [b'@', ..] => Err(FieldProblem::Word),
            [b'/', ..] => FieldPath::pointer(field),
            _ => Ok(FieldPath(vec![field.into()])),
        }
    }

    /// A pointer, which is empty or begins with a slash.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn pointer(text: &str) -> Result<Self, FieldProblem> {
        let Some(steps) = text.strip_prefix('/') else {
            return if text.is_empty() { Ok(FieldPath(Vec::new())) } else { Err(FieldProblem::NotAPointer) };
        };
        let step = |step: &str| step.replace("~1", "/").replace("~0", "~").into();
        Ok(FieldPath(steps.split('/').map(step).collect()))
    }
}

/// A path as a pointer.
pub(crate) fn pointer_text(path: &FieldPath) -> String {
    path.0.iter().map(|step| format!("/{}", escaped_step(step))).collect()
}

/// A step as a pointer writes it.
pub(crate) fn escaped_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A step as an index of an array (RFC 6901, section 4): digits without a leading zero.
pub(crate) fn array_index(step: &str) -> Option<usize> {
    let digits = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
    step.parse().ok().filter(|_| digits && (step == "0" || !step.starts_with('0')))
}
