//! Which handlers run on a thread right now: one that does so for long blocks its runtime.

use std::{
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::driver::lock;

/// The handler that one thread runs.
type Place = Mutex<Option<(Arc<str>, Instant)>>;

/// The places of all threads that have run a handler.
static PLACES: Mutex<Vec<Weak<Place>>> = Mutex::new(Vec::new());

thread_local! {
    static PLACE: RefCell<Option<Arc<Place>>> = const { RefCell::new(None) };
}

/// A handler that runs on a thread, and has not reached an `.await` that waits since then.
///
/// ```
/// assert!(microagent_core::running_handlers().is_empty(), "no agent runs here");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningHandler {
    /// Its name: `Mailer.send`.
    pub name: String,
    /// The time for which the handler has kept its thread.
    pub since: Duration,
}

impl fmt::Display for RunningHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (for {} s)", self.name, self.since.as_secs())
    }
}

/// Returns the handlers of this process that run on a thread now, those that have kept it longest first. It may be called on
/// any thread; a watchdog calls it to say what blocks a runtime.
#[must_use]
pub fn running_handlers() -> Vec<RunningHandler> {
    let places: Vec<_> = lock(&PLACES).iter().filter_map(Weak::upgrade).collect();
    let running = places.iter().filter_map(|place| {
        let (name, since) = lock(place).clone()?;
        Some(RunningHandler {
            name: name.to_string(),
            since: since.elapsed(),
        })
    });
    let mut running: Vec<_> = running.collect();
    running.sort_by_key(|handler| std::cmp::Reverse(handler.since));
    running
}

/// Runs a handler, and notes each time that it runs on a thread.
pub(crate) async fn noted<F: Future>(name: Arc<str>, run: F) -> F::Output {
    let mut run = pin!(run);
    poll_fn(|cx| {
        let _entry = Entry::new(&name);
        run.as_mut().poll(cx)
    })
    .await
}

/// The note of a handler that runs; gone when it does not, by a panic as well.
struct Entry(Option<Arc<Place>>);

impl Entry {
    fn new(name: &Arc<str>) -> Self {
        // A thread that ends no longer has a place.
        let place =
            PLACE.try_with(|place| Arc::clone(place.borrow_mut().get_or_insert_with(new_place)));
        let place = place.ok();
        if let Some(place) = &place {
            *lock(place) = Some((Arc::clone(name), Instant::now()));
        }
        Self(place)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            *lock(place) = None;
        }
    }
}

fn new_place() -> Arc<Place> {
    let place = Arc::default();
    let mut places = lock(&PLACES);
    places.retain(|place| place.strong_count() > 0);
    places.push(Arc::downgrade(&place));
    place
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn names() -> Vec<String> {
        let running = running_handlers().into_iter();
        running.map(|handler| handler.name).collect()
    }

    #[test]
    fn a_handler_is_told_of_while_it_keeps_its_thread() {
        let ((entered, has_entered), (go, may_go)) = (channel(), channel::<()>());
        let thread = std::thread::spawn(move || {
            let run = noted("Polled.blocks".into(), async move {
                entered.send(()).unwrap();
                may_go.recv().unwrap();
            });
            futures_util::FutureExt::now_or_never(run).unwrap();
            names()
        });
        has_entered.recv().unwrap();
        assert!(names().contains(&"Polled.blocks".to_owned()));
        go.send(()).unwrap();
        assert!(!thread.join().unwrap().contains(&"Polled.blocks".to_owned()));
    }

    #[test]
    fn a_handler_that_waits_or_panicked_keeps_no_thread() {
        let waits = noted("Polled.waits".into(), std::future::pending::<()>());
        assert!(futures_util::FutureExt::now_or_never(waits).is_none());
        let panics = noted("Polled.panics".into(), async { panic!("no reason") });
        let panics = std::panic::AssertUnwindSafe(panics);
        let caught = futures_util::FutureExt::catch_unwind(panics);
        assert!(
            futures_util::FutureExt::now_or_never(caught)
                .unwrap()
                .is_err()
        );
        assert!(
            !names()
                .iter()
                .any(|name| name.starts_with("Polled.waits") || name.starts_with("Polled.panics"))
        );
    }
}
