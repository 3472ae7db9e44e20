//! The names for generated code only: everything here may change in any release.
//!
//! This module makes the difference between `T` and `Result<T, E>` visible to the type system, so that aliases of either work, and
//! it contains the texts of the compiler's errors.

mod argument_types;
mod creation;
mod returned;

pub use argument_types::{
    ArgumentTypes, Reads, ReadsUnknown, UnknownArgumentTypes, check_argument,
};
pub use creation::{Blank, WithDefault, WithoutDefault};
pub use microagent_core::*;
pub use returned::{Answer, Failure, Finished, ResultReturned, Returned, ValueReturned};
pub use serde;
pub use serde_json;
pub use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
