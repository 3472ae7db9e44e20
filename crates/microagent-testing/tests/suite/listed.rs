//! Every clause of the suites is in the list of its macro, so it runs.

fn is_listed(list: &str, group: &str) {
    let clauses = group
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "));
    let mut count = 0;
    for clause in clauses {
        let name = clause.split('<').next().unwrap_or_default();
        assert!(
            list.contains(&format!(" {name},")),
            "`{name}` is in no list"
        );
        count += 1;
    }
    assert!(count > 0, "a group without clauses");
}

#[test]
fn clauses_of_buses() {
    let list = include_str!("../../src/bus_suite/macros.rs");
    is_listed(list, include_str!("../../src/bus_suite/closing.rs"));
    is_listed(list, include_str!("../../src/bus_suite/leases.rs"));
    is_listed(list, include_str!("../../src/bus_suite/listening.rs"));
    is_listed(list, include_str!("../../src/bus_suite/payload.rs"));
    is_listed(list, include_str!("../../src/bus_suite/rpc/mod.rs"));
}

#[test]
fn clauses_of_brokers() {
    let list = include_str!("../../src/broker_suite/macros.rs");
    is_listed(list, include_str!("../../src/broker_suite/browsing.rs"));
    is_listed(list, include_str!("../../src/broker_suite/closing.rs"));
    is_listed(list, include_str!("../../src/broker_suite/consuming.rs"));
    is_listed(list, include_str!("../../src/broker_suite/crashing.rs"));
    is_listed(list, include_str!("../../src/broker_suite/leases.rs"));
    is_listed(list, include_str!("../../src/broker_suite/load.rs"));
    is_listed(list, include_str!("../../src/broker_suite/options/mod.rs"));
    is_listed(
        list,
        include_str!("../../src/broker_suite/options/exchanges.rs"),
    );
    is_listed(list, include_str!("../../src/broker_suite/settling.rs"));
}
