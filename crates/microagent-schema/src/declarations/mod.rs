//! The format of `signals.json`: signals with their arguments, and queues.
//!
//! This is the only place that knows the format. It reads text, which the caller provides.

mod duplicates;
mod error;
mod json_type;
mod reader;
mod violation;

pub use error::{DeclarationError, Problem};
pub use json_type::JsonType;
pub use violation::Violation;

use crate::without_mark;

/// The contents of one `signals.json`.
///
/// ```
/// use microagent_schema::Declarations;
///
/// let declared = Declarations::parse(r#"{
///     "version": 2,
///     "signals": [{"name": "started", "providing_args": []},
///                 {"name": "user_created", "providing_args": {"user_id": "number", "code": ["string", "null"]}}],
///     "queues": [{"name": "mailer"}]
/// }"#).unwrap();
///
/// let signal = declared.signal("user_created").unwrap();
/// assert!(signal.typed);
/// assert_eq!(signal.arguments[0].name, "user_id");
/// assert!(declared.queue("mailer").is_some());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Declarations {
    /// The version of the format, 1 or 2. Default: 1.
    pub version: u32,
    /// The channel prefix of the deployment, if the file has one; settings may override it.
    pub default_prefix: Option<String>,
    /// The signals, in the file's order; names are unique.
    pub signals: Vec<SignalDeclaration>,
    /// The queues, in the file's order; names are unique.
    pub queues: Vec<QueueDeclaration>,
    /// Warnings, one sentence each; the code that loads the file logs them.
    pub warnings: Vec<String>,
}

/// One signal: its name and the structure of its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalDeclaration {
    /// The name, `[a-z_][a-z0-9_]*`.
    pub name: String,
    /// The arguments, in the file's order; names are unique.
    pub arguments: Vec<ArgumentDeclaration>,
    /// `true` if `providing_args` is an object with types, `false` if it is a list of names.
    pub typed: bool,
}

/// One argument of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentDeclaration {
    /// The name, an identifier.
    pub name: String,
    /// The JSON types that its value may have; empty means any.
    pub types: Vec<JsonType>,
}

/// One queue: its name, and its bindings on an AMQP broker.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueDeclaration {
    /// The name, `[a-z_][a-z0-9_]*`.
    pub name: String,
    /// The exchange that the queue is bound to.
    pub exchange: Option<String>,
    /// The topics that bind it there; empty means everything.
    pub topics: Vec<String>,
}

impl Default for Declarations {
    /// Returns empty declarations of version 1.
    fn default() -> Self {
        Self {
            version: 1,
            default_prefix: None,
            signals: Vec::new(),
            queues: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Declarations {
    /// Reads the text of a `signals.json`; a byte order mark at its start is ignored.
    ///
    /// # Errors
    /// [`DeclarationError`] with every problem of the text, each with its place and the allowed values.
    ///
    /// ```
    /// use microagent_schema::Declarations;
    ///
    /// let error = Declarations::parse(r#"{"queues": [{"name": "Mailer"}]}"#).unwrap_err();
    /// assert!(error.to_string().starts_with("queues[0].name: invalid queue name `Mailer`: "));
    /// ```
    pub fn parse(json: &str) -> Result<Self, DeclarationError> {
        let json = without_mark(json);
        let document = serde_json::from_str(json).map_err(DeclarationError::from_syntax)?;
        reader::read(&document, duplicates::find(json)).map_err(DeclarationError::new)
    }

    /// Returns the signal of this name.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<&SignalDeclaration> {
        self.signals.iter().find(|signal| signal.name == name)
    }

    /// Returns the queue of this name.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&QueueDeclaration> {
        self.queues.iter().find(|queue| queue.name == name)
    }
}

impl SignalDeclaration {
    /// Creates a signal whose arguments may have any type.
    ///
    /// ```
    /// use microagent_schema::SignalDeclaration;
    ///
    /// let signal = SignalDeclaration::untyped("user_created", ["user_id"]);
    /// assert!(!signal.typed && signal.argument("user_id").is_some());
    /// ```
    #[must_use]
    pub fn untyped<const N: usize>(name: &str, arguments: [&str; N]) -> Self {
        let any = |name: &str| ArgumentDeclaration {
            name: name.to_owned(),
            types: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            arguments: arguments.into_iter().map(any).collect(),
            typed: false,
        }
    }

    /// Returns the argument of this name.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&ArgumentDeclaration> {
        self.arguments.iter().find(|argument| argument.name == name)
    }
}

impl SignalDeclaration {
    /// Returns a sentence for each argument that no value can fit, because this declaration, of the code, and that of a file have
    /// no JSON type in common. An argument that only one of them has is not compared.
    ///
    /// ```
    /// use microagent_schema::Declarations;
    ///
    /// let signal = |types: &str| {
    ///     let text = format!(r#"{{"signals": [{{"name": "s", "providing_args": {{"id": {types}}}}}]}}"#);
    ///     Declarations::parse(&text).unwrap().signals.remove(0)
    /// };
    /// let code = signal(r#""number""#);
    /// assert_eq!(
    ///     code.conflicts_with(&signal(r#"["string", "null"]"#)),
    ///     ["argument `id` is a number in the code, and a string or null in the declarations"]
    /// );
    /// assert!(code.conflicts_with(&signal(r#"["string", "number"]"#)).is_empty());
    /// ```
    #[must_use]
    pub fn conflicts_with(&self, file: &Self) -> Vec<String> {
        let arguments = self.arguments.iter();
        let both = arguments.filter_map(|code| Some((code, file.argument(&code.name)?)));
        both.filter(|(code, file)| {
            let known = !code.types.is_empty() && !file.types.is_empty();
            known && !code.types.iter().any(|json| file.types.contains(json))
        })
        .map(|(code, file)| {
            format!(
                "argument `{}` is {} in the code, and {} in the declarations",
                code.name,
                json_type::listed(&code.types),
                json_type::listed(&file.types)
            )
        })
        .collect()
    }
}

impl ArgumentDeclaration {
    /// Returns whether a value of this type may be sent for the argument.
    ///
    /// ```
    /// use microagent_schema::{ArgumentDeclaration, JsonType};
    ///
    /// let code = ArgumentDeclaration { name: "code".to_owned(), types: vec![JsonType::Number] };
    /// assert!(code.accepts(JsonType::Number) && !code.accepts(JsonType::Null));
    /// ```
    #[must_use]
    pub fn accepts(&self, found: JsonType) -> bool {
        self.types.is_empty() || self.types.contains(&found)
    }
}
