//! Creating an agent without `#[on(create)]`: by `Default` if it has that, otherwise with an error.
//!
//! Method resolution decides: `(&Blank::<A>::new()).create()` finds [`WithDefault`] first, which needs no further
//! reference, and falls back to [`WithoutDefault`].

use std::marker::PhantomData;

use microagent_core::{Error, ErrorKind, MicroAgent, Result};

/// The type of an agent that is to be created.
#[derive(Debug)]
pub struct Blank<A>(PhantomData<A>);

impl<A> Blank<A> {
    /// Creates the value, which contains only the type.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A> Default for Blank<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The type has a default value.
pub trait WithDefault {
    /// The agent's type.
    type Agent;

    /// Returns the default value.
    ///
    /// # Errors
    /// None.
    fn create(&self) -> Result<Self::Agent>;

    /// Returns the reason for which it cannot be created: none.
    fn problem(&self) -> Option<String>;
}

impl<A: Default> WithDefault for Blank<A> {
    type Agent = A;

    fn create(&self) -> Result<A> {
        Ok(A::default())
    }

    fn problem(&self) -> Option<String> {
        None
    }
}

/// The type has no default value.
pub trait WithoutDefault {
    /// The agent's type.
    type Agent;

    /// Fails with the text of what is missing.
    ///
    /// # Errors
    /// Always, with [`ErrorKind::Configuration`].
    fn create(&self) -> Result<Self::Agent>;

    /// Returns what is missing.
    fn problem(&self) -> Option<String>;
}

impl<A: MicroAgent> WithoutDefault for &Blank<A> {
    type Agent = A;

    fn create(&self) -> Result<A> {
        let problem = self.problem().unwrap_or_default();
        Err(Error::new(ErrorKind::Configuration, problem))
    }

    fn problem(&self) -> Option<String> {
        Some(format!(
            "`{name}` has neither `#[on(create)]` nor `Default`, so it cannot be built by its name; \
             give it one of them, or build the value yourself and start it with `Agent::new(value)`",
            name = A::NAME
        ))
    }
}
