//! The check for a C++ compiler and `make` before the build of MicroAgent's Kafka driver. It is the build script of this crate, which
//! contains nothing else.

#![warn(clippy::disallowed_methods)]
