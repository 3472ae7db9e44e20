microagent::declare!("no_such_file.json");

microagent::declare!(signals.json);

fn main() {}
