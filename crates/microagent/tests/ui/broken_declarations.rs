// The file is `tests/ui/broken.json`.
microagent::declare!("../../../tmp/broken.json");

fn main() {}
