//! The port in the guide's page for those who come from Python shows the examples as they are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

/// The code blocks of these languages, between two headings.
fn blocks<'a>(page: &'a str, from: &str, to: &str, languages: &[&str]) -> Vec<&'a str> {
    let (_, section) = page.split_once(from).unwrap();
    let (section, _) = section.split_once(to).unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    let code = fenced.filter_map(|block| block.split_once('\n'));
    code.filter(|(language, _)| languages.contains(language))
        .map(|(_, code)| code.trim_end())
        .collect()
}

#[test]
fn the_port_is_the_code_of_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(examples.join("../docs/from-python.md")).unwrap();
    let shown = blocks(&page, "\n## A port", "\n## ", &["rust", "toml"]);
    assert_eq!(shown.len(), 6, "declarations, three agents, settings, main");

    let files = [
        "src/lib.rs",
        "src/user_agent.rs",
        "src/comment_agent.rs",
        "src/email_agent.rs",
        "settings.toml",
        "src/main.rs",
    ];
    for (code, file) in shown.into_iter().zip(files) {
        let example = fs::read_to_string(examples.join(file)).unwrap();
        assert!(example.contains(code), "not in examples/{file}:\n{code}");
    }
}
