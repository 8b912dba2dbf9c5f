//! Benchmarks of the whole way from YAML and state bytes to a rendered plan.

fn main() {
    divan::main();
}
