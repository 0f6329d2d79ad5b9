//! The README shows the example that is compiled.

#[test]
fn the_readme_shows_the_example() {
    let lines = |text: &'static str, from: &str, to: &str| -> Vec<&str> {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.lines().map(str::trim).collect()
    };
    let shown = lines(include_str!("../../README.md"), "```rust\n", "```");
    let main = lines(include_str!("../../examples/after_the_fact.rs"), "Box<dyn std::error::Error>> {\n", "    Ok(())");
    assert!(shown.len() > 15);
    assert_eq!(shown, main);
}
