//! The agent of the guide's page about testing is the one that its other snippets include.

include!("shop.rs");

#[test]
fn the_page_about_testing_shows_the_agent_that_it_tests() {
    let page = include_str!("../../../../docs/testing.md");
    assert!(page.contains(include_str!("shop.rs").trim_end()));
    assert_eq!(Shop.vat(10), 2);
}
