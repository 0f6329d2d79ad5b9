use proptest::prelude::*;

use super::*;

fn faulty(page: &str) -> String {
    parse(Format::OpenMetrics, page).unwrap_err().to_string()
}

#[test]
fn families_come_with_their_samples() {
    let page = "# HELP a_seconds How \\\"long\\\"\\nit took\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
        a_seconds_bucket{p=\"x,y} # {\",le=\"0.1\"} 1 1.5 # {trace_id=\"0 # 1\"} 0.05 1.0\na_seconds_bucket{le=\"+Inf\",p=\"\\\"\\\\\"} 2\n\
        a_seconds_count 2\n# TYPE b counter\nb_total 3e2\nb_created 1.7e9\nbc 1\n# TYPE d gauge\nd{} NaN\n# EOF\n";
    let families = parse(Format::OpenMetrics, page).unwrap();
    let heads: Vec<_> =
        families.iter().map(|one| (&*one.name, &*one.kind, one.unit.as_deref(), one.samples.len())).collect();
    let expected = [
        ("a_seconds", "histogram", Some("seconds"), 3),
        ("b", "counter", None, 2),
        ("bc", "unknown", None, 1),
        ("d", "gauge", None, 1),
    ];
    assert_eq!(heads, expected);
    assert_eq!(families[0].help, "How \"long\"\nit took");
    let [first, second, third] = &families[0].samples[..] else { panic!() };
    assert_eq!((first.labels["p"].as_str(), first.value, first.exemplar), ("x,y} # {", 1.0, true));
    assert_eq!((second.labels["p"].as_str(), second.labels["le"].as_str(), second.exemplar), ("\"\\", "+Inf", false));
    assert_eq!((third.name.as_str(), third.labels.len()), ("a_seconds_count", 0));
    assert_eq!(families[1].samples[0].value, 300.0);
    assert!(families[3].samples[0].value.is_nan());
}

#[test]
fn what_is_broken_is_named_with_its_line() {
    for (page, said) in [
        ("", "line 0: the last line is # EOF: the page was cut off"),
        ("a 1\nb 2\n", "line 2: the last line is # EOF: the page was cut off"),
        ("a 1\n# EOF\nb 2\n", "line 3: nothing follows # EOF"),
        ("a 1\n# NOTE a b\n# EOF\n", "line 2: a comment is # TYPE, UNIT or HELP and a name"),
        ("# TYPE\n# EOF\n", "line 1: a comment is # TYPE, UNIT or HELP and a name"),
        ("\n# EOF\n", "line 1: a sample has a name and a value"),
        ("<html> \n# EOF\n", "line 1: a name has letters, digits, _ and : only"),
        ("a one\n# EOF\n", "line 1: a value is a number"),
        ("a{b=\"c\"}1\n# EOF\n", "line 1: a value comes after a space"),
        ("a 1 now\n# EOF\n", "line 1: nothing but a time follows a value"),
        ("a 1 2 3\n# EOF\n", "line 1: nothing but a time follows a value"),
        ("a 1 # b\n# EOF\n", "line 1: an exemplar begins with its labels in braces"),
        ("a{b=c} 1\n# EOF\n", "line 1: a label is name=\"value\""),
        ("a{b=\"c\\\"} 1\n# EOF\n", "line 1: the value of a label ends with a quote"),
        ("a{b=\"c\" d=\"e\"} 1\n# EOF\n", "line 1: labels are separated by commas, and end with a brace"),
    ] {
        assert_eq!(faulty(page), said, "{page:?}");
    }
}

#[test]
fn the_older_format_has_no_end_and_any_comment() {
    let page = "# HELP go_gc_total How often\n# TYPE go_gc_total counter\ngo_gc_total 7\n\n# a note\n#\n\
        # TYPE a histogram\na_bucket{le=\"+Inf\"} 1\n# EOF\na_sum 2";
    let families = parse(Format::Text, page).unwrap();
    let heads: Vec<_> = families.iter().map(|one| (&*one.name, &*one.kind, &*one.help, one.samples.len())).collect();
    assert_eq!(heads, [("go_gc_total", "counter", "How often", 1), ("a", "histogram", "", 2)]);
    let fault = parse(Format::Text, "a 1\nb\n").unwrap_err();
    assert_eq!(fault.to_string(), "line 2: a sample has a name and a value");
    for (content_type, format) in [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
        ("text/plain; version=0.0.4; charset=utf-8; escaping=underscores", Some(Format::Text)),
        ("text/plain", None),
        ("text/html", None),
    ] {
        assert_eq!(Format::of(content_type), format);
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "# (TYPE|UNIT|HELP) [a-z_]{0,5} (counter|histogram|.*)?",
        "[a-z_]{1,5}(_total|_bucket|_created)?(\\{([a-z]=\"[^\"]{0,4}\",?){0,3}\\})? [0-9.e+-]{1,5}( 1)?( # \\{\\} 1)?",
        "[a-z{}\"=,# \\\\0-9]{0,20}",
        ".*",
    ]
}

proptest! {
    #[test]
    fn fuzz_pages(lines in prop::collection::vec(line(), 0..4), labels in prop::collection::btree_map("[a-z]{1,3}", "[a-z{}\"\\\\,=# \\né]{0,8}", 0..3)) {
        // Whatever comes, it is read or refused.
        let page = lines.join("\n") + "\n# EOF\n";
        for format in [Format::OpenMetrics, Format::Text] {
            if let Ok(families) = parse(format, &page) {
                prop_assert!(families.iter().map(|one| one.samples.len()).sum::<usize>() <= page.lines().count());
            }
        }
        // What is written by the rules is read as it was meant.
        let escape = |value: &str| value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        let written: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let page = format!("a{{{}}} 1 # {{}} 2\n# EOF\n", written.join(","));
        let families = parse(Format::OpenMetrics, &page).unwrap();
        prop_assert_eq!(&families[0].samples[0].labels, &labels);
        prop_assert!(families[0].samples[0].exemplar);
    }
}
