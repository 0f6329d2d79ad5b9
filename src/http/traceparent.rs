//! W3C trace context: the parent of a request, and the answer's `traceresponse`.
//!
//! The SDK's propagator takes what the recommendation forbids (ids of other lengths, signs, a trailing dash), so the
//! header is read here.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length of version 00: `vv-tttttttttttttttttttttttttttttttt-ssssssssssssssss-ff`.
const LENGTH: usize = 55;

/// The header that tells a client which span answered it (W3C trace context, level 2).
pub(super) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The remote parent that the headers name; `None` starts a new trace.
pub(super) fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?.as_bytes();
    // Two parents are none.
    if values.next().is_some() {
        return None;
    }
    let (trace_id, span_id, flags) = parse(value)?;
    let context = SpanContext::new(trace_id, span_id, flags, true, state(headers));
    context.is_valid().then_some(context)
}

fn parse(value: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (head, tail) = value.split_at_checked(LENGTH)?;
    let [version] = hex(&head[..2])?;
    // Later versions may append fields; 00 must not, and ff is forbidden.
    let tail_is_valid = if version == 0 { tail.is_empty() } else { tail.is_empty() || tail[0] == b'-' };
    let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    if version == 0xff || !tail_is_valid || !dashes {
        return None;
    }
    let [flags] = hex(&head[53..])?;
    Some((
        TraceId::from_bytes(hex(&head[3..35])?),
        SpanId::from_bytes(hex(&head[36..52])?),
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
    ))
}

/// Lowercase hexadecimal digits only.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// The `tracestate` headers together; a bad one loses the state and keeps the parent.
fn state(headers: &HeaderMap) -> TraceState {
    let values: Vec<_> = headers.get_all("tracestate").iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { TraceState::NONE } else { values.join(",").parse().unwrap_or_default() }
}

/// The `traceresponse` of a span: its trace, itself and its flags.
pub(super) fn response(context: &SpanContext) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_hex(&mut text[3..35], &context.trace_id().to_bytes());
    write_hex(&mut text[36..52], &context.span_id().to_bytes());
    write_hex(&mut text[53..], &[context.trace_flags().to_u8()]);
    HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes make a header value")
}

fn write_hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(values: &[&str]) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", HeaderValue::from_str(value).unwrap());
        }
        parent(&headers)
    }

    #[test]
    fn a_valid_parent_is_taken_and_only_the_sampled_flag_counts() {
        let context = of(&[GOOD]).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(response(&context), GOOD);
        assert!(!of(&[&GOOD.replace("-01", "-fe")]).unwrap().is_sampled());
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        assert!(of(&[&GOOD.replacen("00", "01", 1)]).is_some());
        assert!(of(&[&format!("{}-what-ever", GOOD.replacen("00", "cc", 1))]).is_some());
        assert!(of(&[&format!("{}x", GOOD.replacen("00", "cc", 1))]).is_none());
        assert!(of(&[&GOOD.replacen("00", "ff", 1)]).is_none());
    }

    #[test]
    fn what_the_recommendation_forbids_starts_a_new_trace() {
        let forbidden = [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ];
        for value in forbidden {
            assert!(of(&[value]).is_none(), "{value}");
        }
        assert!(of(&[&"0".repeat(60_000)]).is_none());
        assert!(of(&[GOOD, GOOD]).is_none());
        assert!(of(&[]).is_none());
    }

    #[test]
    fn a_bad_tracestate_loses_only_itself() {
        let with = |states: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(GOOD));
            for state in states {
                headers.append("tracestate", HeaderValue::from_static(state));
            }
            parent(&headers).unwrap().trace_state().header()
        };
        assert_eq!(with(&["a=1", "b=2"]), "a=1,b=2");
        assert_eq!(with(&["=bad="]), "");
    }

    proptest! {
        #[test]
        fn fuzz_traceparents(value in prop_oneof!["[0-9a-f]{2}-[0-9a-fA]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", "[0-9a-f-]{55}", ".*"]) {
            let Some((trace_id, span_id, flags)) = parse(value.as_bytes()) else { return Ok(()) };
            let again = format!("{trace_id}-{span_id}");
            prop_assert_eq!(&value[3..52], again);
            prop_assert_eq!(u8::from_str_radix(&value[53..55], 16).unwrap() & 1, flags.to_u8());
        }
    }
}
