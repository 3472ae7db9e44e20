//! The options of handlers: one type for each kind of handler.
//!
//! Attributes, builders, settings and manifests all use these types. A type names its options, reads
//! and writes their values ([`Form`]) and checks them ([`HandlerOptions::violations`]). An option is
//! added in the file of its type, and read where the runtime needs it.
//!
//! The module knows no time zones: the runtime checks the name of a zone.

mod choices;
mod consumer;
mod cron;
mod dead_letter;
mod error;
mod failures;
mod form;
mod overlay;
mod periodic;
mod receiver;
mod retry;
mod rules;
mod setters;
mod values;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{
    choices::{Once, Overflow, Overlap, WhenUnknown},
    consumer::ConsumerOptions,
    cron::CronOptions,
    dead_letter::DeadLetter,
    error::OptionError,
    failures::OnFailure,
    form::{Form, Words},
    periodic::PeriodicOptions,
    receiver::ReceiverOptions,
    retry::RetryPolicy,
};

/// The options of one kind of handler.
///
/// ```
/// use microagent_schema::{ConsumerOptions, HandlerOptions};
/// use serde_json::json;
///
/// let given = json!({"timeout": "2m", "concurrency": 4});
/// let options = ConsumerOptions::default().overlaid(given.as_object().unwrap())?;
/// assert_eq!(options.timeout.as_secs(), 120);
///
/// let error = options.prefetch(2).validate().unwrap_err();
/// assert!(error.to_string().starts_with("`prefetch`: 2 is less than `concurrency`, which is 4"));
/// # Ok::<(), microagent_schema::OptionError>(())
/// ```
pub trait HandlerOptions: Clone + Serialize + DeserializeOwned {
    /// The name of the attribute: `receiver`, `consumer`, `periodic` or `cron`.
    const ATTRIBUTE: &'static str;

    /// The options with the forms of their values, in the order of the fields.
    const OPTIONS: &'static [(&'static str, Form)];

    /// Options that only an attribute can set, each with the reason.
    const OF_ATTRIBUTE: &'static [(&'static str, &'static str)] = &[];

    /// Options of other kinds that this kind cannot have, each with the reason.
    const ABSENT: &'static [(&'static str, &'static str)] = &[];

    /// Returns everything that is wrong with the values, in the order of the options.
    fn violations(&self) -> Vec<OptionError>;

    /// Checks the values.
    ///
    /// # Errors
    /// The first of the [violations](Self::violations).
    fn validate(&self) -> Result<(), OptionError> {
        self.violations().into_iter().next().map_or(Ok(()), Err)
    }

    /// Returns the form of an option, or an error that names the nearest option.
    ///
    /// # Errors
    /// [`OptionError`], when there is no such option.
    fn form(option: &str) -> Result<Form, OptionError> {
        overlay::form::<Self>(option)
    }

    /// Returns these options with the given ones in their places; `null` leaves an option as it is.
    ///
    /// The values are read and not [validated](Self::validate), because a rule can be about several
    /// options.
    ///
    /// # Errors
    /// [`OptionError`] for an unknown option, and for a value that cannot be read.
    fn overlaid(&self, given: &Map<String, Value>) -> Result<Self, OptionError> {
        overlay::overlaid(self, given)
    }

    /// Returns these options as settings override them; options that only an attribute can set are
    /// refused.
    ///
    /// # Errors
    /// As [`overlaid`](Self::overlaid).
    fn overridden(&self, given: &Map<String, Value>) -> Result<Self, OptionError> {
        overlay::refuse_fixed::<Self>(given)?;
        self.overlaid(given)
    }
}
