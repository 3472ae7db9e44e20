//! The six types of JSON under the names that declarations use.

use std::fmt;

use serde_json::Value;

/// A type of JSON, as `signals.json` names it.
///
/// ```
/// use microagent_schema::JsonType;
/// use serde_json::json;
///
/// assert_eq!(JsonType::of(&json!([1, 2])), JsonType::Array);
/// assert_eq!(JsonType::Array.to_string(), "array");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonType {
    /// Text.
    String,
    /// An integer or a fraction.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of values.
    Array,
    /// Named values.
    Object,
    /// `null`.
    Null,
}

impl JsonType {
    /// Every type, in the order in which messages list them.
    pub const ALL: [Self; 6] = [
        Self::String,
        Self::Number,
        Self::Boolean,
        Self::Array,
        Self::Object,
        Self::Null,
    ];

    /// Returns the type of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(_) => Self::String,
            Value::Number(_) => Self::Number,
            Value::Bool(_) => Self::Boolean,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
            Value::Null => Self::Null,
        }
    }

    /// Returns the type of that name in a declaration.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Returns the name in a declaration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    /// Returns the name with its article, for sentences.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Array => "an array",
            Self::Object => "an object",
            Self::Null => "null",
        }
    }
}

/// Returns the types with their articles: `a number or null`.
pub(super) fn listed(types: &[JsonType]) -> String {
    let names: Vec<_> = types.iter().map(|json| json.with_article()).collect();
    names.join(" or ")
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for known in JsonType::ALL {
            assert_eq!(JsonType::named(known.name()), Some(known));
        }
        assert_eq!(JsonType::named("int"), None);
    }
}
