//! The page `docs/from-python.md` shows the examples unchanged, in both languages, and every link of the documentation has a
//! target.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

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

fn read(path: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(examples.join(path)).unwrap()
}

fn assert_shown(code: &str, file: &str) {
    assert!(read(file).contains(code), "not in examples/{file}:\n{code}");
}

#[test]
fn the_port_is_the_code_of_the_examples() {
    let page = read("../docs/from-python.md");
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
        assert_shown(code, file);
    }
}

#[test]
fn the_ported_python_is_the_python_of_the_examples() {
    let page = read("../docs/from-python.md");
    let shown = blocks(&page, "\n## A port", "\n## ", &["python"]);
    let [loading, agents @ .., _settings_that_toml_replaces] = &shown[..] else {
        panic!("no code in Python");
    };
    let files = ["user_agent", "comment_agent", "email_agent"];
    assert_eq!(agents.len(), files.len());
    // The examples in Python lie one folder below their declarations.
    let loading = loading.replace("cur_dir, ", "cur_dir, '..', ");
    for (agent, name) in agents.iter().zip(files) {
        let file = format!("python/{name}.py");
        assert_shown(agent, &file);
        assert_shown(&loading, &file);
    }
}

#[test]
fn the_group_in_two_languages_is_that_of_the_examples() {
    let page = read("../docs/from-python.md");
    let section = "\n### The example group in two languages";
    for member in blocks(&page, section, "\n### ", &["toml"]) {
        assert_shown(member, "mixed.toml");
    }
    // How it is started stands in both.
    let started = blocks(&page, section, "\n### ", &["sh"]);
    let command = started[0].lines().last().unwrap();
    assert_shown(command, "mixed.toml");
}

/// All pages: those at the top, and those in `docs` and beside the code.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["", "docs", "docs/adr", "examples", "bench"];
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect()
}

/// The targets of `[text](target)` and of `[text]: target`, but for those elsewhere on the web.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let inline = page
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0));
    let below = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix('[')?.split_once("]: ")?.1));
    let links = inline.chain(below).filter(|target| !target.contains(' '));
    // Our crates are not published, so docs.rs has no pages about them.
    links.filter(|target| !target.contains("://") || target.contains("docs.rs/microagent"))
}

/// Returns the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|it| it.is_alphanumeric() || "-_ ".contains(*it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

fn leads_somewhere(from: &Path, target: &str) -> bool {
    let (file, part) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => from.to_owned(),
        file => from.parent().unwrap().join(file),
    };
    if part.is_empty() {
        return file.exists();
    }
    let Ok(page) = fs::read_to_string(file) else {
        return false;
    };
    let mut headings = page.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| anchor(heading) == part)
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for target in links(&page) {
            let there = leads_somewhere(&path, target);
            assert!(
                there,
                "{} links to {target}, which is not there",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 50, "only {count} links were found");
}
