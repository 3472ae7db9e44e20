//! The compiler's messages about wrong code: each names what, where, why and what is allowed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

microagent_testing::needs! {
    oldest_rust {
        fn compile_errors_are_those_that_a_newcomer_can_read,
    }
}

// The texts hold sentences of the compiler's own, which other releases word otherwise: they are those of the oldest release
// that is supported.
fn compile_errors_are_those_that_a_newcomer_can_read() {
    // The package that the texts are compiled in is `tests/trybuild/microagent` beside this folder.
    for file in ["broken.json", "typed.json"] {
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        fs::copy(Path::new("tests/ui").join(file), beside).unwrap();
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
