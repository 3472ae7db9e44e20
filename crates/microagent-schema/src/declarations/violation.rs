//! Violations of a signal's declaration by a payload. The bus decides whether they are warnings or errors.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use serde_json::{Map, Value};

use super::{JsonType, SignalDeclaration, json_type::listed};

/// One violation of a signal's declaration by a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A declared argument is missing.
    Missing {
        /// The argument's name.
        argument: String,
    },
    /// An argument is not declared.
    Undeclared {
        /// The argument's name.
        argument: String,
    },
    /// The value of an argument has none of the declared types.
    WrongType {
        /// The argument's name.
        argument: String,
        /// The declared types.
        expected: Vec<JsonType>,
        /// The value's type.
        found: JsonType,
    },
}

impl SignalDeclaration {
    /// Returns the violations of this declaration by a payload: missing arguments and wrong types first, in declared order, then
    /// undeclared arguments.
    ///
    /// ```
    /// use microagent_schema::Declarations;
    /// use serde_json::json;
    ///
    /// let declared = Declarations::parse(r#"{"signals": [
    ///     {"name": "user_created", "providing_args": {"user_id": "number", "code": ["number", "null"]}}
    /// ]}"#).unwrap();
    /// let payload = json!({"code": "x", "age": 7});
    /// let violations = declared.signal("user_created").unwrap().violations(payload.as_object().unwrap());
    ///
    /// let sentences: Vec<_> = violations.iter().map(ToString::to_string).collect();
    /// assert_eq!(sentences, [
    ///     "argument `user_id` is missing",
    ///     "argument `code` must be a number or null, but is a string",
    ///     "argument `age` is not declared",
    /// ]);
    /// ```
    #[must_use]
    pub fn violations(&self, args: &Map<String, Value>) -> Vec<Violation> {
        let types = args.iter();
        self.violations_of_types(types.map(|(name, value)| (name.as_str(), JsonType::of(value))))
    }

    /// Does what [`violations`](Self::violations) does for arguments whose values were not decoded. Of equal names the last
    /// one counts.
    ///
    /// ```
    /// use microagent_schema::{JsonType, SignalDeclaration};
    ///
    /// let declared = SignalDeclaration::untyped("user_created", ["user_id"]);
    /// assert!(declared.violations_of_types([("user_id", JsonType::Number)]).is_empty());
    /// assert_eq!(declared.violations_of_types([("age", JsonType::Number)]).len(), 2);
    /// ```
    #[must_use]
    pub fn violations_of_types<'a>(
        &self,
        args: impl IntoIterator<Item = (&'a str, JsonType)>,
    ) -> Vec<Violation> {
        let (mut declared, mut undeclared) = (HashMap::new(), Vec::new());
        let mut seen = HashSet::new();
        for (name, found) in args {
            match self.argument(name) {
                Some(_) => drop(declared.insert(name, found)),
                None if seen.insert(name) => undeclared.push(Violation::Undeclared {
                    argument: name.to_owned(),
                }),
                None => {}
            }
        }
        let mut violations: Vec<_> = self.unmet_arguments(&declared).collect();
        violations.extend(undeclared);
        violations
    }

    fn unmet_arguments(&self, args: &HashMap<&str, JsonType>) -> impl Iterator<Item = Violation> {
        self.arguments.iter().filter_map(|declared| {
            let argument = declared.name.clone();
            let Some(&found) = args.get(argument.as_str()) else {
                return Some(Violation::Missing { argument });
            };
            (!declared.accepts(found)).then(|| Violation::WrongType {
                argument,
                expected: declared.types.clone(),
                found,
            })
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { argument } => write!(f, "argument `{argument}` is missing"),
            Self::Undeclared { argument } => write!(f, "argument `{argument}` is not declared"),
            Self::WrongType {
                argument,
                expected,
                found,
            } => {
                let (allowed, found) = (listed(expected), found.with_article());
                write!(f, "argument `{argument}` must be {allowed}, but is {found}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Declarations;

    fn violations(providing_args: Value, payload: &Value) -> Vec<String> {
        let file = json!({"signals": [{"name": "s", "providing_args": providing_args}]});
        let declared = Declarations::parse(&file.to_string()).unwrap();
        let found = declared.signals[0].violations(payload.as_object().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_untyped_argument_takes_any_value() {
        for value in [json!(1), json!("x"), json!(null), json!({"a": []})] {
            assert!(violations(json!(["a"]), &json!({"a": value})).is_empty());
        }
    }

    #[test]
    fn an_untyped_signal_still_names_its_arguments() {
        assert_eq!(
            violations(json!(["a"]), &json!({"b": 1})),
            ["argument `a` is missing", "argument `b` is not declared"]
        );
    }

    #[test]
    fn null_must_be_declared() {
        let declared = json!({"a": "boolean", "b": ["boolean", "null"]});
        assert_eq!(
            violations(declared, &json!({"a": null, "b": null})),
            ["argument `a` must be a boolean, but is null"]
        );
    }

    #[test]
    fn a_boolean_is_no_number_and_a_fraction_is_one() {
        let declared = json!({"a": "number", "b": "number"});
        assert_eq!(
            violations(declared, &json!({"a": true, "b": 1.5})),
            ["argument `a` must be a number, but is a boolean"]
        );
    }
}
