//! Queues are values: a name, and where an AMQP broker binds it.

use std::{borrow::Cow, fmt};

pub use microagent_schema::names::DEAD_LETTER_SUFFIX;
use microagent_schema::{QueueDeclaration, names};

use crate::{Error, ErrorKind, Result};

/// A queue by its name, `[a-z_][a-z0-9_]*`, with the exchange and topics that an AMQP broker binds it to.
///
/// ```
/// use microagent_core::Queue;
///
/// const MAILER: Queue = Queue::new("mailer");
/// assert_eq!(MAILER.name(), "mailer");
/// assert_eq!(MAILER.dead_letter(), "mailer.dead");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    name: Cow<'static, str>,
    exchange: Option<Cow<'static, str>>,
    topics: Cow<'static, [Cow<'static, str>]>,
}

/// A [`Queue`] or a reference to one: what the methods of a [`Broker`](crate::Broker) take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a queue",
    label = "a `Queue` or `&Queue` is expected",
    note = "queues are constants: `const MAILER: Queue = Queue::new(\"mailer\");`, or `queues::MAILER` of `declare!`; by a name \
            that is known only at run time: `broker.queue(name)?.send(…)`, or `Queue::named(name)?`"
)]
pub trait AsQueue {
    /// The queue.
    fn as_queue(&self) -> &Queue;
}

impl AsQueue for Queue {
    fn as_queue(&self) -> &Queue {
        self
    }
}

impl AsQueue for &Queue {
    fn as_queue(&self) -> &Queue {
        self
    }
}

impl Queue {
    /// A queue of this name. The name is checked where a broker first meets it.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            exchange: None,
            topics: Cow::Borrowed(&[]),
        }
    }

    /// A queue of a name known only at run time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for a name that is not `[a-z_][a-z0-9_]*`, optionally ending in `.dead`.
    pub fn named(name: impl Into<String>) -> Result<Self> {
        let queue = Self {
            name: Cow::Owned(name.into()),
            ..Self::new("")
        };
        queue.check_name()?;
        Ok(queue)
    }

    /// The same queue bound to an exchange; drivers without [`Caps::exchanges`](crate::Caps::exchanges) do not use it,
    /// and a warning says so.
    #[must_use]
    pub const fn with_exchange(mut self, exchange: &'static str) -> Self {
        // Assigning would drop the old value, which a const function cannot do.
        std::mem::forget(self.exchange.replace(Cow::Borrowed(exchange)));
        self
    }

    /// The same queue bound to its exchange by these topics instead of by everything.
    #[must_use]
    pub const fn with_topics(mut self, topics: &'static [Cow<'static, str>]) -> Self {
        std::mem::forget(std::mem::replace(&mut self.topics, Cow::Borrowed(topics)));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The exchange, where one is declared.
    #[must_use]
    pub fn exchange(&self) -> Option<&str> {
        self.exchange.as_deref()
    }

    /// The topics by which the queue is bound to its exchange; empty means everything.
    pub fn topics(&self) -> impl Iterator<Item = &str> + fmt::Debug {
        self.topics.iter().map(AsRef::as_ref)
    }

    /// The name of the queue where its dead letters go by default.
    #[must_use]
    pub fn dead_letter(&self) -> String {
        format!("{}{DEAD_LETTER_SUFFIX}", self.name)
    }

    /// Checks the name against what every driver can carry.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], with the name and what is allowed.
    pub fn check_name(&self) -> Result<()> {
        let declared = self
            .name
            .strip_suffix(DEAD_LETTER_SUFFIX)
            .unwrap_or(&self.name);
        names::check_queue(declared)
            .map_err(|error| Error::new(ErrorKind::InvalidName, error.to_string()))
    }
}

impl From<&QueueDeclaration> for Queue {
    fn from(declared: &QueueDeclaration) -> Self {
        Self {
            name: Cow::Owned(declared.name.clone()),
            exchange: declared.exchange.clone().map(Cow::Owned),
            topics: declared.topics.iter().cloned().map(Cow::Owned).collect(),
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["mailer", "a1_b", "_x", "mailer.dead"] {
            assert!(Queue::named(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "Mailer", "a b", "a.b", ".dead", "a:b"] {
            let error = Queue::named(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        }
    }
}
