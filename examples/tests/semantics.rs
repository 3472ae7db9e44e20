//! Every test that `docs/semantics.md` names exists, and every row of its tables names one. This test does not run them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, iter,
    path::{Path, PathBuf},
};

/// The tests of some crates, and the paths of their files.
#[derive(Default)]
struct Tests {
    names: BTreeSet<String>,
    files: Vec<PathBuf>,
}

impl Tests {
    fn of(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut tests = Self::default();
        for file in folders.into_iter().flat_map(|folder| rust_files(&folder)) {
            tests
                .names
                .extend(names_of_tests(&fs::read_to_string(&file).unwrap()));
            tests.files.push(file);
        }
        tests
    }

    /// Returns whether this is a test, the beginning of a test's name with a `*`, a file or a folder of tests.
    fn have(&self, name: &str) -> bool {
        if name.ends_with(".rs") || name.ends_with('/') {
            let mut files = self.files.iter().map(|file| file.to_string_lossy());
            return files.any(|file| file.contains(&format!("/{name}")));
        }
        match name.strip_suffix('*') {
            Some(start) => self.names.iter().any(|test| test.starts_with(start)),
            None => self.names.contains(name),
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| {
        if path.is_dir() {
            rust_files(&path)
        } else {
            Vec::from_iter(
                path.extension()
                    .is_some_and(|it| it == "rs")
                    .then_some(path),
            )
        }
    });
    found.collect()
}

/// The functions that bear an attribute `test`, of whatever runtime; those in a list of `needs!`; and the clauses of the failure
/// suite.
fn names_of_tests(source: &str) -> Vec<String> {
    let mut marked = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            marked |= line.starts_with("#[test]") || line.contains("::test");
        } else if let Some((before, name)) = line.split_once("fn ") {
            let end = name.find(['(', '<', ',']).unwrap_or(name.len());
            let listed = name[end..].starts_with(',') && !name.contains('(');
            let clause = before.starts_with("pub async") && name.starts_with("line_");
            names.extend((marked || listed || clause).then(|| name[..end].to_owned()));
            marked = false;
        }
    }
    names
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/semantics.md")).unwrap()
}

const SUITE: &str = "crates/microagent-testing/src/failure_suite";

/// Returns the tests that `docs/failures.md` may name under one label.
fn tests_of(label: &str) -> Tests {
    let folders: &[&str] = match label {
        "suite" => &[SUITE],
        "`local:`" => &["crates/microagent-local"],
        "`redis://`" => &["crates/microagent-redis"],
        "`amqp://`" => &["crates/microagent-amqp"],
        "`kafka://`" => &["crates/microagent-kafka"],
        "`memory://`" => &["crates/microagent-testing/src/broker_suite"],
        "agent" => &["crates/microagent", "crates/microagent-core"],
        "launcher" => &["crates/marun"],
        other => panic!("`docs/failures.md` has no label {other}"),
    };
    match label {
        "`memory://`" => clauses_of(folders[0]),
        _ => Tests::of(folders.iter().map(|folder| root().join(folder))),
    }
}

/// The clauses of a suite: its public asynchronous functions.
fn clauses_of(folder: &str) -> Tests {
    let files = rust_files(&root().join(folder));
    let sources = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let sources: String = sources.collect();
    let clauses = sources.lines().filter_map(|line| {
        let name = line.strip_prefix("pub async fn ")?;
        Some(name[..name.find(['(', '<'])?].to_owned())
    });
    Tests {
        names: clauses.collect(),
        files,
    }
}

/// Each numbered line of the failure contract, with what stands below it: a label, and the names of tests.
fn contract(page: &str) -> BTreeMap<u32, Vec<(&str, Vec<&str>)>> {
    let mut lines: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for line in page.lines() {
        if let Some((number, _)) = line.split_once(". ")
            && let Ok(number) = number.parse()
        {
            assert!(lines.insert(number, Vec::new()).is_none(), "{number} twice");
        } else if let Some(row) = line.strip_prefix("   - ") {
            let (label, names) = row.split_once(": ").unwrap_or((row, ""));
            let mut last = lines.last_entry().unwrap();
            last.get_mut().push((label, quoted(names).collect()));
        }
    }
    lines
}

/// Each section about faults: its text up to the first table, and the rows of its tables without their heads.
fn sections(page: &str) -> impl Iterator<Item = (&str, Vec<Vec<&str>>)> {
    let sections = page
        .split("\n## ")
        .filter(|it| it.lines().next().unwrap().ends_with("under faults"));
    sections.map(|section| {
        let text = section.split("\n|").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect());
        let bodies =
            cells.filter(|row: &Vec<_>| !row[0].starts_with('-') && !row[row.len() - 1].eq("Test"));
        (text, bodies.collect())
    })
}

/// Returns the texts between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The crates whose folders a section names.
fn crates(text: &str) -> Vec<PathBuf> {
    let folders = quoted(text).filter(|it| it.starts_with("crates/"));
    let names: BTreeSet<_> = folders.map(|it| it.split('/').nth(1).unwrap()).collect();
    names
        .into_iter()
        .map(|name| root().join("crates").join(name))
        .collect()
}

#[test]
fn each_promise_under_faults_names_tests_that_exist() {
    let page = page();
    let mut rows = 0;
    for (text, table) in sections(&page) {
        let tests = Tests::of(crates(text));
        for row in table {
            let named = row[row.len() - 1];
            assert!(quoted(named).next().is_some(), "no test: {row:?}");
            for name in quoted(named) {
                assert!(tests.have(name), "`{name}` is not a test: {row:?}");
            }
            rows += 1;
        }
    }
    assert!(rows > 60, "only {rows} rows were found");
}

#[test]
fn each_difference_between_servers_names_clauses_of_the_suite() {
    let page = page();
    let mut sections = page.split("\n## ");
    let section = sections.find(|it| it.starts_with("Servers that differ\n"));
    let rows = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with('|'));
    let clauses = clauses_of("crates/microagent-testing/src/broker_suite");
    let mut count = 0;
    for row in rows.skip(2) {
        let named = row.trim_matches('|').rsplit('|').next().unwrap();
        assert!(quoted(named).next().is_some(), "no clause: {row}");
        for name in quoted(named) {
            assert!(clauses.names.contains(name), "`{name}` is not a clause");
        }
        count += 1;
    }
    assert!(count > 5, "only {count} rows were found");
}

#[test]
fn a_name_in_the_text_that_is_a_sentence_is_a_function() {
    let page = page();
    let sources = rust_files(&root().join("crates"));
    let sources: String = sources
        .iter()
        .map(|it| fs::read_to_string(it).unwrap())
        .collect();
    let text = page.lines().filter(|line| !line.starts_with('|'));
    for name in text
        .flat_map(quoted)
        .filter(|it| it.matches('_').count() > 2)
    {
        assert!(
            sources.contains(&format!("fn {name}")),
            "`{name}` is not a function"
        );
    }
}

#[test]
fn every_line_of_schedules_and_the_launcher_is_there() {
    let page = page();
    let rows = sections(&page).flat_map(|(_, table)| table);
    let lines: BTreeSet<u32> = rows.filter_map(|row| row[0].parse().ok()).collect();
    let missing: Vec<_> = iter::chain(1..=10, 46..=65)
        .chain(68..=70)
        .filter(|it| !lines.contains(it))
        .collect();
    assert_eq!(missing, [0; 0]);
}

#[test]
fn each_line_of_the_failure_contract_names_tests_that_exist_or_is_not_claimed() {
    let page = fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let contract = contract(&page);
    assert!(contract.keys().copied().eq(1..=74), "{:?}", contract.keys());
    let mut tests = BTreeMap::new();
    for (number, rows) in &contract {
        assert!(!rows.is_empty(), "line {number} says nothing of tests");
        for (label, names) in rows.iter().filter(|(label, _)| *label != "not claimed") {
            let tests = tests.entry(*label).or_insert_with(|| tests_of(label));
            assert!(!names.is_empty(), "line {number}, {label}: no test");
            for name in names {
                assert!(tests.have(name), "line {number}, {label}: `{name}`");
            }
        }
    }
}

#[test]
fn each_test_of_a_line_stands_below_its_line() {
    let page = fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let contract = contract(&page);
    for label in [
        "suite",
        "`local:`",
        "`redis://`",
        "`amqp://`",
        "`kafka://`",
        "agent",
        "launcher",
    ] {
        let tests = tests_of(label);
        let numbered = |name: &&String| name.starts_with("line_") || name.starts_with("lines_");
        for test in tests.names.iter().filter(numbered) {
            let Ok(number) = test.split('_').nth(1).unwrap().parse() else {
                continue;
            };
            let rows: &Vec<(&str, Vec<&str>)> = &contract[&number];
            let named = rows.iter().filter(|(row, _)| *row == label);
            let named = { named }.any(|(_, names)| names.contains(&test.as_str()));
            assert!(named, "`{test}` is missing at line {number}, {label}");
        }
    }
}

#[test]
fn each_clause_of_the_failure_suite_is_in_its_macro() {
    let list = fs::read_to_string(root().join(SUITE).join("macros.rs")).unwrap();
    let suite = tests_of("suite").names;
    for name in suite.iter().filter(|name| name.starts_with("line_")) {
        let mut words = list.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(words.any(|word| word == name), "`{name}`");
    }
}
