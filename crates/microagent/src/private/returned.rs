//! The return types of handlers, whatever their names: `()`, a value, or a `Result` of either.
//!
//! `(&Returned::of(&out)).kind()` is resolved by method lookup: [`ResultReturned`] needs no further reference and is
//! found first if `out` is a `Result`; everything else is a value. The kind then takes `out` and requires the traits that
//! the handler's own kind requires; these traits exist for the texts of their errors.

use std::marker::PhantomData;

use microagent_core::{BoxError, Error, HandlerReply, Result};
use serde::Serialize;

/// The type that a handler returned.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<T>);

impl<T> Returned<T> {
    /// Returns the type of this value.
    pub fn of(_value: &T) -> Self {
        Self(PhantomData)
    }
}

/// A return type that is a `Result`.
pub trait ResultReturned {
    /// Returns the kind.
    fn kind(&self) -> ResultKind;
}

impl<T, E> ResultReturned for Returned<std::result::Result<T, E>> {
    fn kind(&self) -> ResultKind {
        ResultKind
    }
}

/// A return type that is a value.
pub trait ValueReturned {
    /// Returns the kind.
    fn kind(&self) -> ValueKind;
}

impl<T> ValueReturned for &Returned<T> {
    fn kind(&self) -> ValueKind {
        ValueKind
    }
}

/// A handler that can fail.
#[derive(Clone, Copy, Debug)]
pub struct ResultKind;

impl ResultKind {
    /// Returns the answer of a receiver.
    ///
    /// # Errors
    /// The handler's own, or a value that cannot be written as JSON.
    pub fn answer<T: Answer, E: Failure>(
        self,
        out: std::result::Result<T, E>,
    ) -> Result<HandlerReply> {
        HandlerReply::of(&out.map_err(Failure::into_error)?)
    }

    /// Ends a handler whose value is not used.
    ///
    /// # Errors
    /// The handler's own.
    pub fn finish<T: Finished, E: Failure>(self, out: std::result::Result<T, E>) -> Result<()> {
        out.map(drop).map_err(Failure::into_error)
    }

    /// Returns the agent that was created.
    ///
    /// # Errors
    /// The handler's own.
    pub fn create<A, E: Failure>(self, out: std::result::Result<A, E>) -> Result<A> {
        out.map_err(Failure::into_error)
    }
}

/// A handler that cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct ValueKind;

impl ValueKind {
    /// Returns the answer of a receiver.
    ///
    /// # Errors
    /// A value that cannot be written as JSON.
    pub fn answer<T: Answer>(self, out: T) -> Result<HandlerReply> {
        HandlerReply::of(&out)
    }

    /// Ends a handler whose value is not used.
    ///
    /// # Errors
    /// None.
    pub fn finish<T: Finished>(self, _out: T) -> Result<()> {
        Ok(())
    }

    /// Returns the agent that was created.
    ///
    /// # Errors
    /// None.
    pub fn create<A>(self, out: A) -> Result<A> {
        Ok(out)
    }
}

/// A type that a receiver may answer.
#[diagnostic::on_unimplemented(
    message = "a receiver cannot return `{Self}`: it cannot be written as JSON",
    label = "no `()`, no serializable value, and no `Result` of either",
    note = "what a receiver returns is the answer to a call; derive `serde::Serialize` for `{Self}`, or return `()`"
)]
pub trait Answer: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Answer for T {}

/// A type that other handlers may return.
#[diagnostic::on_unimplemented(
    message = "this handler cannot return `{Self}`: nobody would get it",
    label = "neither `()` nor a `Result<()>`",
    note = "only a receiver's value goes anywhere, as the answer to a call; a queue has no answer, and tasks and hooks have no caller"
)]
pub trait Finished {}

impl Finished for () {}

/// A type of errors that a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`: it is not an error",
    label = "not convertible into `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for `{Self}` (with `Send + Sync + 'static`), or fail with `microagent::Error`, `anyhow::Error` or `String`"
)]
pub trait Failure {
    /// Converts into the error of the runtime, with its retry advice.
    fn into_error(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> Failure for E {
    fn into_error(self) -> Error {
        Error::from_boxed(self.into())
    }
}
