//! The handlers that run on a thread right now: one that does so for long blocks its runtime.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::Span;

use crate::{driver::lock, stats::nanos_since};

/// The handler that one thread runs. Only that thread writes it, for each poll of a handler, so writing takes no lock unless
/// the handler is another one than before.
struct Place {
    /// The nanoseconds between [`ORIGIN`] and the begin of the poll, plus 1; 0 while no handler runs.
    since: AtomicU64,
    name: Mutex<Arc<str>>,
}

/// The places of all threads that have run a handler.
static PLACES: Mutex<Vec<Weak<Place>>> = Mutex::new(Vec::new());

/// The time before the first poll.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

thread_local! {
    static PLACE: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// The place of this thread.
struct Own {
    place: Arc<Place>,
    /// The name that the place has.
    name: Arc<str>,
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
    let running = places.iter().filter_map(|place| place.running());
    let mut running: Vec<_> = running.collect();
    running.sort_by_key(|handler| std::cmp::Reverse(handler.since));
    running
}

impl Place {
    fn running(&self) -> Option<RunningHandler> {
        let since = self.since.load(Ordering::Acquire);
        let name = lock(&self.name).to_string();
        // If it has changed meanwhile, the name may be that of another poll, and neither of them has lasted.
        let lasts = since != 0 && self.since.load(Ordering::Acquire) == since;
        let began = *ORIGIN.get()? + Duration::from_nanos(since.checked_sub(1)?);
        lasts.then(|| RunningHandler {
            name,
            since: began.elapsed(),
        })
    }
}

/// Runs a handler that begins now in its span, and notes each time that it runs on a thread.
pub(crate) fn noted<'a, F: Future>(
    name: &'a Arc<str>,
    began: Instant,
    span: &'a Span,
    run: F,
) -> Noted<'a, F> {
    Noted {
        name,
        span,
        began: Some(began),
        run,
    }
}

pin_project! {
    /// The future of [`noted`].
    pub(crate) struct Noted<'a, F> {
        name: &'a Arc<str>,
        span: &'a Span,
        // Until the first poll.
        began: Option<Instant>,
        #[pin]
        run: F,
    }
}

impl<F: Future> Future for Noted<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _in_span = this.span.enter();
        let _entry = Entry::new(this.name, this.began.take().unwrap_or_else(Instant::now));
        this.run.poll(cx)
    }
}

/// The note of a handler that runs; removed when it does not, by a panic as well.
struct Entry;

impl Entry {
    fn new(name: &Arc<str>, since: Instant) -> Self {
        with_place(|own| {
            let own = own.get_or_insert_with(|| Own::new(name));
            own.rename(name);
            let origin = *ORIGIN.get_or_init(|| since);
            let since = nanos_since(origin, since);
            own.place.since.store(since, Ordering::Release);
        });
        Self
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        with_place(|own| {
            if let Some(own) = own {
                own.place.since.store(0, Ordering::Release);
            }
        });
    }
}

/// Changes the place of this thread. A thread that ends no longer has a place.
fn with_place(change: impl FnOnce(&mut Option<Own>)) {
    let _ = PLACE.try_with(|own| change(&mut own.borrow_mut()));
}

impl Own {
    fn new(name: &Arc<str>) -> Self {
        let place = Arc::new(Place {
            since: AtomicU64::new(0),
            name: Mutex::new(Arc::clone(name)),
        });
        let mut places = lock(&PLACES);
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        Self {
            place,
            name: Arc::clone(name),
        }
    }

    fn rename(&mut self, name: &Arc<str>) {
        if !Arc::ptr_eq(&self.name, name) {
            self.name = Arc::clone(name);
            *lock(&self.place.name) = Arc::clone(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::FutureExt;

    use super::*;

    static NONE: Span = Span::none();

    fn names() -> Vec<String> {
        let running = running_handlers().into_iter();
        running.map(|handler| handler.name).collect()
    }

    #[test]
    fn a_handler_is_told_of_while_it_keeps_its_thread() {
        let ((entered, has_entered), (go, may_go)) = (channel(), channel::<()>());
        let thread = std::thread::spawn(move || {
            let name = "Polled.blocks".into();
            let run = noted(&name, Instant::now(), &NONE, async move {
                entered.send(()).unwrap();
                may_go.recv().unwrap();
            });
            run.now_or_never().unwrap();
            names()
        });
        has_entered.recv().unwrap();
        assert!(names().contains(&"Polled.blocks".to_owned()));
        go.send(()).unwrap();
        assert!(!thread.join().unwrap().contains(&"Polled.blocks".to_owned()));
    }

    #[test]
    fn a_thread_that_runs_one_handler_after_the_other_names_the_present_one() {
        for name in ["Polled.first", "Polled.second", "Polled.first"] {
            let run = noted(&name.into(), Instant::now(), &NONE, async {
                let own = |running: &String| {
                    running.starts_with("Polled.first") || running.starts_with("Polled.second")
                };
                names().into_iter().filter(own).collect::<Vec<_>>()
            })
            .now_or_never();
            assert_eq!(run.unwrap(), [name]);
        }
    }

    #[test]
    fn a_handler_that_waits_or_panicked_keeps_no_thread() {
        let (name, now) = ("Polled.waits".into(), Instant::now());
        let waits = noted(&name, now, &NONE, std::future::pending::<()>());
        assert!(waits.now_or_never().is_none());
        let name = "Polled.panics".into();
        let panics = noted(&name, now, &NONE, async { panic!("no reason") });
        let panics = std::panic::AssertUnwindSafe(panics);
        assert!(panics.catch_unwind().now_or_never().unwrap().is_err());
        assert!(
            !names()
                .iter()
                .any(|name| name.starts_with("Polled.waits") || name.starts_with("Polled.panics"))
        );
    }
}
