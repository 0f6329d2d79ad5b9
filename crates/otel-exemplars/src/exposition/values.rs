//! Attribute values as label values, in the words that Prometheus uses for what it receives over OTLP
//! (`Value.AsString` of go.opentelemetry.io/collector/pdata 1.65).

use std::fmt::Write as _;

use opentelemetry::{Array, Value};

/// True for a value that gives no label: to Prometheus, an empty label is no label.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.as_str().is_empty(),
        Value::Array(array) => is_inexpressible(array),
        _ => false,
    }
}

/// Appends the value with the three characters escaped that a quoted label value cannot hold.
pub(super) fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_escaped(out, text.as_str()),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::I64(value) => super::number::Number::push(*value, out),
        Value::F64(value) => push_js_float(out, *value),
        Value::Array(array) => push_escaped(out, &json(array)),
        // `Value` may grow; its Display is the best guess at what a reader would call the new kind.
        other => push_escaped(out, &other.to_string()),
    }
}

/// Appends text for between two double quotes, as both formats want it.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => r"\\",
            b'"' => "\\\"",
            _ => r"\n",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// JavaScript's number format: an exponent from 1e21 on and below 1e-6.
fn push_js_float(out: &mut String, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if size >= 1e21 {
        let text = format!("{value:e}").replace('e', "e+");
        out.push_str(&text);
    } else if size < 1e-6 && size != 0.0 {
        write!(out, "{value:e}").expect("a String takes all text");
    } else {
        write!(out, "{value}").expect("a String takes all text");
    }
}

/// JSON has no word for NaN and the infinities; Prometheus' encoder then gives up on the whole array.
fn is_inexpressible(array: &Array) -> bool {
    matches!(array, Array::F64(values) if values.iter().any(|value| !value.is_finite()))
}

fn json(array: &Array) -> String {
    match array {
        Array::Bool(values) => join(values, |out, value| out.push_str(if *value { "true" } else { "false" })),
        Array::I64(values) => join(values, |out, value| super::number::Number::push(*value, out)),
        array if is_inexpressible(array) => String::new(),
        Array::F64(values) => join(values, |out, value| push_js_float(out, *value)),
        Array::String(values) => join(values, |out, value| push_json_string(out, value.as_str())),
        other => other.to_string(),
    }
}

fn join<T>(values: &[T], push: impl Fn(&mut String, &T)) -> String {
    let mut out = String::from("[");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(&mut out, value);
    }
    out.push(']');
    out
}

pub(super) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str(r"\\"),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            '\t' => out.push_str(r"\t"),
            '\u{8}' => out.push_str(r"\b"),
            '\u{c}' => out.push_str(r"\f"),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes all text");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
