//! One test for each clause of a list.

/// Makes tests of clauses. The suites call it.
#[doc(hidden)]
#[macro_export]
macro_rules! __clauses {
    ($suite:ident::$group:ident, $kind:ident, $time:ident, $server:ty, $attributes:tt, [$($clause:ident),* $(,)?]) => {
        $( $crate::__clauses!(@one $suite::$group, $kind, $time, $server, $attributes, $clause); )*
    };
    (@one $suite:ident::$group:ident, $kind:ident, $time:ident, $server:ty, [$($attribute:tt)*], $clause:ident) => {
        #[test]
        $($attribute)*
        fn $clause() {
            $crate::suite::run(
                $crate::suite::Time::$time,
                <$server as $crate::$kind>::EVENT_LIMIT,
                <$server as $crate::$kind>::start,
                $crate::$suite::$group::$clause::<$server>,
            );
        }
    };
}

/// Makes a suite of a service that the tests start themselves. The suites call it.
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_service {
    (redis, $suite:ident, $server:ty) => {
        $crate::__suite_of_redis!($suite, $server);
    };
    (rabbitmq, $suite:ident, $server:ty) => {
        $crate::__suite_of_rabbitmq!($suite, $server);
    };
    (kafka, $suite:ident, $server:ty) => {
        $crate::__suite_of_kafka!($suite, $server);
    };
}

#[cfg(not(without_redis))]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_redis {
    ($suite:ident, $server:ty) => { $crate::$suite!(@clauses Real, $server, []); };
}

#[cfg(without_redis)]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_redis {
    ($suite:ident, $server:ty) => {
        $crate::$suite!(@clauses Real, $server, [#[ignore = "SKIP_SERVICES names redis"]]);
    };
}

#[cfg(not(without_rabbitmq))]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_rabbitmq {
    ($suite:ident, $server:ty) => { $crate::$suite!(@clauses Real, $server, []); };
}

#[cfg(without_rabbitmq)]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_rabbitmq {
    ($suite:ident, $server:ty) => {
        $crate::$suite!(@clauses Real, $server, [#[ignore = "SKIP_SERVICES names rabbitmq"]]);
    };
}

#[cfg(not(without_kafka))]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_kafka {
    ($suite:ident, $server:ty) => { $crate::$suite!(@clauses Real, $server, []); };
}

#[cfg(without_kafka)]
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_of_kafka {
    ($suite:ident, $server:ty) => {
        $crate::$suite!(@clauses Real, $server, [#[ignore = "SKIP_SERVICES names kafka"]]);
    };
}
