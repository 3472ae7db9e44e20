//! Tests that need something of the machine, and are reported as ignored where `SKIP_SERVICES` goes without it.

/// Makes tests of functions that need a service: `redis`, `rabbitmq`, `kafka`, `python` (the Python package of MicroAgent), `prometheus` (with
/// `promtool`) or `unshare` (namespaces of Linux). A test that compares texts of the compiler needs `oldest_rust`, the `rust-version` of this crate, and
/// is ignored when another release compiles it.
///
/// When the tests are built while the environment variable `SKIP_SERVICES` names the service, they are ignored, with that
/// reason. Otherwise they run, and fail if the service is missing. An ordinary function becomes a `#[test]`, an asynchronous
/// one a `#[tokio::test]`, on several threads after the word `multi_thread`. The tests stand in a module `needs`, so a module
/// has one such list. The functions have no attribute of their own; one that is not in the list is an unused function.
///
/// ```
/// microagent_testing::needs! {
///     redis {
///         fn a_counter_counts,
///         async fn a_reader_reads,
///     }
///     redis + python {
///         multi_thread async fn both_sides_agree,
///     }
/// }
///
/// fn a_counter_counts() { /* start a server, use it, assert */ }
/// async fn a_reader_reads() {}
/// async fn both_sides_agree() {}
/// # a_counter_counts();
/// # drop((a_reader_reads(), both_sides_agree()));
/// ```
#[macro_export]
macro_rules! needs {
    ($($service:ident $(+ $more:ident)* { $($tests:tt)* })+) => {
        #[cfg(test)]
        mod needs {
            $( $crate::__needs!([$service $($more)*] $($tests)*); )+
        }
    };
}

/// Takes one service after the other off the list, up to one that the tests go without. [`needs!`] calls it.
#[doc(hidden)]
#[macro_export]
macro_rules! __needs {
    ([] $($tests:tt)*) => { $crate::__tests!([] $($tests)*); };
    ([redis $($more:ident)*] $($tests:tt)*) => { $crate::__needs_redis!([$($more)*] $($tests)*); };
    ([rabbitmq $($more:ident)*] $($tests:tt)*) => { $crate::__needs_rabbitmq!([$($more)*] $($tests)*); };
    ([kafka $($more:ident)*] $($tests:tt)*) => { $crate::__needs_kafka!([$($more)*] $($tests)*); };
    ([python $($more:ident)*] $($tests:tt)*) => { $crate::__needs_python!([$($more)*] $($tests)*); };
    ([prometheus $($more:ident)*] $($tests:tt)*) => { $crate::__needs_prometheus!([$($more)*] $($tests)*); };
    ([oldest_rust $($more:ident)*] $($tests:tt)*) => { $crate::__needs_oldest_rust!([$($more)*] $($tests)*); };
    ([unshare $($more:ident)*] $($tests:tt)*) => { $crate::__needs_unshare!([$($more)*] $($tests)*); };
}

/// Makes a test of each entry. [`needs!`] calls it.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($attributes:tt) => {};
    ([$($attribute:tt)*] fn $name:ident $(, $($rest:tt)*)?) => {
        #[test]
        $($attribute)*
        fn $name() {
            super::$name();
        }
        $crate::__tests!([$($attribute)*] $($($rest)*)?);
    };
    ([$($attribute:tt)*] async fn $name:ident $(, $($rest:tt)*)?) => {
        #[::tokio::test]
        $($attribute)*
        async fn $name() {
            super::$name().await;
        }
        $crate::__tests!([$($attribute)*] $($($rest)*)?);
    };
    ([$($attribute:tt)*] multi_thread async fn $name:ident $(, $($rest:tt)*)?) => {
        #[::tokio::test(flavor = "multi_thread")]
        $($attribute)*
        async fn $name() {
            super::$name().await;
        }
        $crate::__tests!([$($attribute)*] $($($rest)*)?);
    };
}

#[cfg(not(without_redis))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_redis {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_redis)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_redis {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names redis"]] $($tests)*); };
}

#[cfg(not(without_rabbitmq))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_rabbitmq {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_rabbitmq)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_rabbitmq {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names rabbitmq"]] $($tests)*); };
}

#[cfg(not(without_kafka))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_kafka {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_kafka)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_kafka {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names kafka"]] $($tests)*); };
}

#[cfg(not(without_prometheus))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_prometheus {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_prometheus)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_prometheus {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names prometheus"]] $($tests)*); };
}

#[cfg(not(without_python))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_python {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_python)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_python {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names python"]] $($tests)*); };
}

#[cfg(not(without_unshare))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_unshare {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_unshare)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_unshare {
    ($more:tt $($tests:tt)*) => { $crate::__tests!([#[ignore = "SKIP_SERVICES names unshare"]] $($tests)*); };
}

#[cfg(not(without_oldest_rust))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_oldest_rust {
    ($more:tt $($tests:tt)*) => { $crate::__needs!($more $($tests)*); };
}

#[cfg(without_oldest_rust)]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_oldest_rust {
    ($more:tt $($tests:tt)*) => {
        $crate::__tests!([#[ignore = "it compares texts of the oldest supported release of Rust"]] $($tests)*);
    };
}
