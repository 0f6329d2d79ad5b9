//! Labels that are lost, merged wrongly or break the line.

use opentelemetry::{Array, KeyValue, Value};

use crate::exposition::labels::Labels;

fn labels(attributes: &[(&'static str, Value)], is_histogram: bool) -> String {
    let attributes: Vec<_> = attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect();
    let mut labels = Labels::default();
    let pairs = attributes.iter().map(|attribute| (attribute.key.as_str(), &attribute.value));
    labels.render(pairs, &[], is_histogram, || {}).to_owned()
}

#[test]
fn values_are_spelled_as_prometheus_spells_them() {
    let strings = Array::String(vec!["a".into(), "b\"\\\n\u{1}\u{2028}<&>".into()]);
    for (value, expected) in [
        (Value::from("plain"), r"plain"),
        (Value::from("back\\slash \"quote\"\nline"), r#"back\\slash \"quote\"\nline"#),
        (Value::from("tab\tcr\r äöü 😀"), "tab\tcr\r äöü 😀"),
        (Value::from(true), "true"),
        (Value::from(-3_i64), "-3"),
        (Value::from(2.5), "2.5"),
        (Value::from(2.0), "2"),
        (Value::from(1e21), "1e+21"),
        (Value::from(1e20), "100000000000000000000"),
        (Value::from(1e-6), "0.000001"),
        (Value::from(-1e-7), "-1e-7"),
        (Value::from(f64::NAN), "NaN"),
        (Value::from(f64::NEG_INFINITY), "-Infinity"),
        (Value::Array(Array::I64(vec![1, -2])), "[1,-2]"),
        (Value::Array(Array::Bool(vec![true, false])), "[true,false]"),
        (Value::Array(Array::F64(vec![0.5, 1e21])), "[0.5,1e+21]"),
        (Value::Array(Array::I64(vec![])), "[]"),
        (Value::Array(strings), r#"[\"a\",\"b\\\"\\\\\\n\\u0001\\u2028<&>\"]"#),
    ] {
        assert_eq!(labels(&[("a", value)], false), format!("a=\"{expected}\""));
    }
}

#[test]
fn they_are_in_one_order_however_they_come() {
    let expected = r#"a="1",b="2",c="3""#;
    assert_eq!(labels(&[("c", 3.into()), ("a", 1.into()), ("b", 2.into())], false), expected);
    assert_eq!(labels(&[("a", 1.into()), ("b", 2.into()), ("c", 3.into())], false), expected);
}

#[test]
fn names_that_collide_share_a_label_in_the_order_of_the_original_names() {
    // `a-b` < `a.b` < `a_b` in bytes.
    let all = [("a_b", "3".into()), ("a-b", "1".into()), ("a.b", "2".into()), ("z", "z".into())];
    assert_eq!(labels(&all, false), r#"a_b="1;2;3",z="z""#);
    assert_eq!(labels(&[("a-b", "".into()), ("a.b", "2".into())], false), r#"a_b="2""#);
    assert_eq!(labels(&[("a-b", "1".into()), ("a.b", "".into())], false), r#"a_b="1;""#);
}

#[test]
fn an_empty_value_is_no_label() {
    assert_eq!(labels(&[("a", "".into()), ("b", "x".into()), ("c", "".into())], false), r#"b="x""#);
    assert_eq!(labels(&[("a", Value::Array(Array::F64(vec![f64::NAN])))], false), "");
    assert_eq!(labels(&[], false), "");
}

#[test]
fn names_that_are_taken() {
    assert_eq!(labels(&[("__name__", "other".into()), ("a", "x".into())], false), r#"a="x""#);
    assert_eq!(labels(&[("le", "5".into())], false), r#"le="5""#);
    assert_eq!(labels(&[("le", "5".into())], true), r#"exported_le="5""#);
    assert_eq!(labels(&[("le", "5".into()), ("exported_le", "6".into())], true), r#"exported_le="6;5""#);
}

#[test]
fn a_label_without_a_name_is_told_of() {
    let attributes = [KeyValue::new("", "x"), KeyValue::new("a", "y")];
    let pairs = attributes.iter().map(|attribute| (attribute.key.as_str(), &attribute.value));
    let mut nameless = 0;
    let mut labels = Labels::default();
    assert_eq!(labels.render(pairs, &[], false, || nameless += 1), r#"a="y""#);
    assert_eq!(nameless, 1);
}
