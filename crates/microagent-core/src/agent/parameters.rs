//! The input and the output of handlers, before the conversion from and to their own types.

use std::{fmt, ops::Deref, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;

use super::Context;
use crate::{Delivery, Error, ErrorKind, Fields, Message, Result, finite};

macro_rules! name_parameter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_parameter!(
    /// The sender of the signal, as a receiver's parameter.
    ///
    /// ```
    /// assert_eq!(&*microagent_core::Sender::from("web"), "web");
    /// ```
    Sender
);

name_parameter!(
    /// The name of the signal, as a receiver's parameter.
    ///
    /// ```
    /// assert_eq!(microagent_core::SignalName::from("started").to_string(), "started");
    /// ```
    SignalName
);

/// A received signal, from which a receiver decodes its parameters.
#[derive(Debug)]
pub struct SignalInput<'a> {
    /// The agent's context.
    pub cx: &'a Context,
    /// The signal's name.
    pub signal: &'a SignalName,
    /// The sender.
    pub sender: &'a Sender,
    /// The whole payload.
    pub body: &'a [u8],
    /// Its fields.
    pub fields: &'a Fields<'a>,
}

/// A delivered message, from which a consumer decodes its parameters.
#[derive(Debug)]
pub struct MessageInput<'a> {
    /// The agent's context.
    pub cx: &'a Context,
    /// The message.
    pub message: &'a Message,
    pub(crate) delivery: Option<Delivery>,
}

impl<'a> MessageInput<'a> {
    /// Returns the fields of the payload.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the payload is not a JSON object.
    pub fn fields(&self) -> Result<Fields<'a>> {
        Fields::of(self.message.payload())
    }

    /// Returns the delivery, for a handler with `autoack = false`; once.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with `autoack = true`, because the runtime settles then.
    pub fn delivery(&mut self) -> Result<Delivery> {
        self.delivery.take().ok_or_else(|| {
            Error::new(
                ErrorKind::Configuration,
                "a handler takes the `Delivery` only with `autoack = false`",
            )
        })
    }
}

/// The result of a receiver: the answer to a call, or nothing.
///
/// ```
/// use microagent_core::HandlerReply;
///
/// assert_eq!(HandlerReply::of(&3).unwrap().json(), "3");
/// assert_eq!(HandlerReply::of(&()).unwrap().json(), "null");
/// ```
#[derive(Clone, Debug, Default)]
pub struct HandlerReply(Option<Box<RawValue>>);

impl HandlerReply {
    /// Creates the answer from this value.
    ///
    /// # Errors
    /// [`ErrorKind::Handler`] if it cannot be written as JSON, as NaN and infinite numbers cannot.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        // Most receivers return `()`, for each of their signals: that needs no text of its own.
        if size_of_val(value) == 0 && is_null(value) {
            return Ok(Self(None));
        }
        let unwritten = |error: &dyn fmt::Display| {
            let text = format!("the returned value cannot be written as JSON: {error}");
            Error::new(ErrorKind::Handler, text)
        };
        let raw = serde_json::value::to_raw_value(value).map_err(|error| unwritten(&error))?;
        finite::check(value, raw.get()).map_err(|error| unwritten(&error))?;
        Ok(Self(Some(raw)))
    }

    /// Returns the JSON text of the answer; `null` for none.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.as_ref().map_or("null", |raw| raw.get())
    }
}

/// Returns true if this value is `null` in JSON. It allocates nothing.
fn is_null<T: Serialize + ?Sized>(value: &T) -> bool {
    let mut text = [0; 4];
    let mut rest = &mut text[..];
    serde_json::to_writer(&mut rest, value).is_ok() && text == *b"null"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct NoFields {}

    #[test]
    fn a_reply_of_size_zero_keeps_its_json() {
        assert_eq!(HandlerReply::of(&()).unwrap().json(), "null");
        assert_eq!(HandlerReply::of(&Unit).unwrap().json(), "null");
        assert_eq!(HandlerReply::of(&NoFields {}).unwrap().json(), "{}");
        assert_eq!(HandlerReply::of(&[0_u8; 0]).unwrap().json(), "[]");
        assert_eq!(HandlerReply::of("").unwrap().json(), r#""""#);
    }
}
