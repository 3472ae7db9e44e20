//! The public names of the crate, by module: adding one is a decision, not an accident.

use std::{collections::BTreeSet, error::Error, fs, path::Path};

use syn::{Item, UseTree, Visibility};

/// Everything that an agent and its tests need. Names for other programs belong in one of the modules.
const ROOT: &[&str] = &[
    "Advice",
    "Agent",
    "Answer",
    "AsQueue",
    "BoxError",
    "Broker",
    "BrokerBuilder",
    "Bus",
    "BusBuilder",
    "Call",
    "Clock",
    "Connect",
    "ConnectionState",
    "Context",
    "DeadReason",
    "Delivery",
    "Depth",
    "Error",
    "ErrorKind",
    "Gap",
    "Headers",
    "Kwargs",
    "Message",
    "MicroAgent",
    "NamedQueue",
    "NamedSignal",
    "Number",
    "Payload",
    "Queue",
    "Result",
    "ResultExt",
    "RunUntilStopped",
    "RunningAgent",
    "Selection",
    "Sender",
    "Sending",
    "ServerInterrupt",
    "Settlement",
    "Shutdown",
    "Signal",
    "SignalName",
    "SystemClock",
    "TakeOnce",
    "Wait",
    "Waiter",
    "WaiterEnd",
    "__private",
    "agent",
    "blueprint",
    "consumer",
    "cron",
    "declarations",
    "declare",
    "driver",
    "header",
    "manifest",
    "on",
    "operate",
    "otel",
    "periodic",
    "prelude",
    "receiver",
    "status",
    "trace",
];

const MODULES: [&str; 8] = [
    "blueprint",
    "declarations",
    "driver",
    "manifest",
    "operate",
    "prelude",
    "status",
    "trace",
];

/// The names that a source file of the crate makes public, with `*` for a glob.
fn public_names(file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let source = syn::parse_file(&fs::read_to_string(path)?)?;
    let mut names = Vec::new();
    for item in source.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => imported(&item.tree, &mut names),
            Item::Mod(item) if is_public(&item.vis) => names.push(item.ident.to_string()),
            Item::Use(_) | Item::Mod(_) => {}
            other => panic!("{file} only lists names: {other:?}"),
        }
    }
    Ok(names)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn imported(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => imported(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| imported(tree, names)),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(name) => names.push(name.rename.to_string()),
        UseTree::Glob(_) => names.push("*".to_owned()),
    }
}

#[test]
fn the_root_has_the_listed_names() {
    // `Signal` is a trait and a derive macro.
    let names: BTreeSet<_> = public_names("lib.rs").unwrap().into_iter().collect();
    let listed: BTreeSet<_> = ROOT.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, listed);
}

#[test]
fn each_name_is_in_one_module() {
    let mut seen: BTreeSet<_> = public_names("lib.rs").unwrap().into_iter().collect();
    for module in MODULES {
        for name in public_names(&format!("{module}.rs")).unwrap() {
            assert_ne!(name, "*", "{module} lists its names");
            // The prelude repeats names of the root, and has those of the crates that every agent uses.
            assert!(
                module == "prelude" || seen.insert(name.clone()),
                "{module}::{name} has a second place"
            );
        }
    }
}
