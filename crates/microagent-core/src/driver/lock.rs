//! The helper with which the workspace locks a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if a thread panicked while it held the lock.
///
/// A mutex is poisoned because a panic may leave its value half changed. The framework and its
/// drivers finish every change under a lock before anything can panic, or change the value with a
/// single call of a collection. The value is therefore complete, and the other handlers of the agent
/// continue. Do not call a user's code while you hold such a lock.
///
/// ```
/// use std::sync::Mutex;
/// use microagent_core::driver::lock;
///
/// let counts = Mutex::new(vec![1]);
/// lock(&counts).push(2);
/// assert_eq!(*lock(&counts), [1, 2]);
/// ```
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_mutex_is_locked_after_its_holder_panicked() {
        let counts = Mutex::new(1);
        let panicked = thread::scope(|scope| {
            let holder = scope.spawn(|| {
                *lock(&counts) = 2;
                let _guard = lock(&counts);
                panic!("while the lock is held");
            });
            holder.join().is_err()
        });
        assert!(panicked && counts.is_poisoned());
        assert_eq!(*lock(&counts), 2);
    }
}
