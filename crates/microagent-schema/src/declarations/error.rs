//! The error of an invalid `signals.json`: all problems at once, each with its place.

use std::fmt;

/// One problem of a `signals.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place: a path such as `signals[2].providing_args.code`, or `line 3, column 7` if the text is not JSON.
    pub place: String,
    /// The problem and the allowed values.
    pub message: String,
}

impl Problem {
    pub(super) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// An invalid `signals.json`. Its text lists every problem.
///
/// ```
/// use microagent_schema::Declarations;
///
/// let error = Declarations::parse(r#"{"signals": [{"name": "a"}], "queues": {}}"#).unwrap_err();
/// let places: Vec<_> = error.problems().iter().map(|problem| problem.place.as_str()).collect();
/// assert_eq!(places, ["signals[0]", "queues"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclarationError {
    problems: Vec<Problem>,
}

impl DeclarationError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(super) fn from_syntax(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let position = format!(" at line {line} column {column}");
        let reason = text.strip_suffix(&position).unwrap_or(&text);
        Self::new(vec![Problem::new(
            format!("line {line}, column {column}"),
            format!("invalid JSON: {reason}"),
        )])
    }

    /// Returns the problems, in the file's order; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for DeclarationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} problems:", self.problems.len())?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl std::error::Error for DeclarationError {}
