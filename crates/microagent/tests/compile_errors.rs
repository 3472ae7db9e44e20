//! What the compiler says about code that is wrong: each message names what, where, why and what is allowed.

#[test]
fn compile_errors_are_those_that_a_newcomer_can_read() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
