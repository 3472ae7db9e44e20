//! The text formats that every part of MicroAgent agrees on, as pure functions from text to data.
