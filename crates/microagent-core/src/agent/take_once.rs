//! A resource on its way from the handler that opens it to the handler that owns it.

use std::{
    any::type_name,
    fmt,
    sync::{Mutex, MutexGuard},
};

use crate::{Error, ErrorKind, Result, driver::lock};

/// A field that one handler fills and another takes the value out of, though both share the agent.
///
/// `create` binds a listener, so that a port in use is an error at the start; a `server` hook has `&self` and hands the
/// listener over to a web server that wants to own it:
///
/// ```
/// use microagent_core::TakeOnce;
///
/// struct Web {
///     listener: TakeOnce<std::net::TcpListener>,
/// }
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let web = Web { listener: TakeOnce::new(listener) }; // in `#[on(create)]`
/// let listener = web.listener.take()?;                 // in `#[on(server)]`
/// assert!(listener.local_addr()?.port() > 0);
/// assert!(web.listener.take().is_err());
/// # Ok::<(), microagent_core::Error>(())
/// ```
pub struct TakeOnce<T>(Mutex<Option<T>>);

impl<T> TakeOnce<T> {
    /// Creates a field that holds this value until it is taken.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    /// Takes the value.
    ///
    /// # Errors
    /// [`ErrorKind::Handler`] if it was taken already.
    pub fn take(&self) -> Result<T> {
        self.held().take().ok_or_else(|| {
            let text = format!("cannot take `{}`: it was taken already", type_name::<T>());
            Error::new(ErrorKind::Handler, text)
        })
    }

    fn held(&self) -> MutexGuard<'_, Option<T>> {
        lock(&self.0)
    }
}

impl<T> From<T> for TakeOnce<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for TakeOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TakeOnce").field(&*self.held()).finish()
    }
}
