//! The parameters of a profile, and everything that is wrong with them at once.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::duration;
use crate::http::params::{Params, decimal, whole};
use crate::http::problem::{ParameterFault, Problem};

use super::sources::Filter;

/// The longest profile that can be asked for.
pub(super) const MAX_SECONDS: f64 = 60.0;

/// The highest rate of CPU samples; timers tick a few hundred times per second anyway.
pub(super) const MAX_HZ: u32 = 999;

/// The longest span name that is looked for.
const MAX_NAME_BYTES: usize = 256;

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// What `go tool pprof` reads.
    #[default]
    Pprof,
    /// A flame graph.
    Svg,
    /// The top functions of each span.
    Json,
    /// One line per stack, for flame graph tools.
    Folded,
    /// A web page, where there is one.
    Html,
}

impl Format {
    /// The value of the parameter.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::Svg => "svg",
            Self::Json => "json",
            Self::Folded => "folded",
            Self::Html => "html",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "pprof" => Some(Self::Pprof),
            "svg" => Some(Self::Svg),
            "json" => Some(Self::Json),
            "folded" => Some(Self::Folded),
            "html" => Some(Self::Html),
            _ => None,
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    /// How long to look; `None` where nothing was said.
    pub(super) seconds: Option<Duration>,
    /// CPU samples per second; `None` where nothing was said.
    pub(super) hz: Option<u32>,
    /// 0, 1 or 2: binary, readable, one entry per task.
    pub(super) debug: u8,
    /// Which samples are wanted.
    pub(super) filter: Filter,
    /// How the answer looks.
    pub(super) format: Format,
}

/// The parameters of `profile`.
pub(super) const CPU: &[&str] = &["seconds", "hz", "span", "trace_id", "span_id", "since", "debug", "format"];
/// The parameters of `heap` and `allocs`.
pub(super) const HEAP: &[&str] = &["seconds", "gc", "span", "debug", "format"];
/// The parameters of `goroutine`.
pub(super) const TASKS: &[&str] = &["seconds", "span", "debug", "format"];
/// The parameters of `trace`.
pub(super) const EXECUTION: &[&str] = &["seconds"];
/// The parameters of pages that are also data.
pub(super) const PAGE: &[&str] = &["format"];
/// The parameters of everything else.
pub(super) const NONE: &[&str] = &[];

impl Ask {
    /// Reads a query in which only `known` parameters may be.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(query: Option<&str>, known: &'static [&'static str]) -> Result<Self, Problem> {
        let mut params = Params::new(&without_marks(query.unwrap_or_default()), known);
        let ask = read(&mut params, known);
        params.finish().map_err(Problem::parameters)?;
        Ok(ask)
    }

    /// Whether the recorder answers: it does for what lies in the past. Of a trace or a span there is nothing to come,
    /// unless `seconds` asks to look.
    pub(super) fn is_recorded(&self) -> bool {
        let Filter { trace_id, span_id, since, .. } = &self.filter;
        since.is_some() || self.seconds.is_none() && (trace_id.is_some() || span_id.is_some())
    }
}

/// What a flame graph's own script adds to its address: a search and the frame that is zoomed to. They are the script's,
/// so that reloading shows the same again.
const MARKS: [&str; 3] = ["s", "x", "y"];

fn without_marks(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|pair| pair == "format=svg") {
        return query.into();
    }
    let is_mark = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| MARKS.contains(&name));
    query.split('&').filter(|pair| !is_mark(pair)).collect::<Vec<_>>().join("&").into()
}

/// Whether a request of this path takes a profile for some time, rather than show what is there.
pub(super) fn is_capture(path: &str, query: Option<&str>) -> bool {
    let takes = |known, rule: fn(&Ask) -> bool| Ask::read(query, known).is_ok_and(|ask| rule(&ask));
    match path.strip_prefix("/debug/pprof/") {
        Some("profile") => takes(CPU, |ask| !ask.is_recorded()),
        Some("heap" | "allocs") => takes(HEAP, |ask| ask.seconds.is_some()),
        Some("goroutine") => takes(TASKS, |ask| ask.seconds.is_some()),
        Some("trace") => true,
        _ => false,
    }
}

fn read(params: &mut Params<'_>, known: &[&str]) -> Ask {
    let tasks = known == TASKS;
    let html = known == PAGE;
    let seconds = params.get("seconds", None, "a number above 0 and up to 60, such as 30 or 0.25", |text| {
        decimal(text).filter(|s| *s > 0.0 && *s <= MAX_SECONDS).map(|s| Some(Duration::from_secs_f64(s)))
    });
    let hz = params.get("hz", None, "a whole number from 1 to 999", |text| {
        whole(text).and_then(|hz| u32::try_from(hz).ok()).filter(|hz| (1..=MAX_HZ).contains(hz)).map(Some)
    });
    let debug = params.get("debug", 0, if tasks { "0, 1 or 2" } else { "0 or 1" }, |text| match text {
        "0" => Some(0),
        "1" => Some(1),
        "2" if tasks => Some(2),
        _ => None,
    });
    // Nothing is collected here: what is not used any more is free already.
    params.get("gc", (), "0 or 1", |text| matches!(text, "0" | "1").then_some(()));
    let filter = Filter {
        span_name: params.get("span", None, "the name of a span, up to 256 bytes", |text| {
            (!text.is_empty() && text.len() <= MAX_NAME_BYTES).then(|| Some(text.to_owned()))
        }),
        trace_id: params
            .get("trace_id", None, "32 hexadecimal digits that are not all 0", |text| trace_id(text).map(Some)),
        span_id: params.get("span_id", None, "16 hexadecimal digits that are not all 0", |text| {
            hex(text, 16).and_then(|id| u64::try_from(id).ok()).map(Some)
        }),
        since: params.get("since", None, "a duration above 0s and up to 24h, such as 10m or 30s", |text| {
            let since = duration::parse(text)?;
            (!since.is_zero() && since <= Duration::from_secs(86_400)).then_some(Some(since))
        }),
    };
    let formats = if html { "html, json, pprof, svg or folded" } else { "pprof, svg, json or folded" };
    let default = if html { Format::Html } else { Format::Pprof };
    let format = params.get("format", default, formats, |text| {
        Format::from_name(text).filter(|format| html || *format != Format::Html)
    });
    let ask = Ask { seconds, hz, debug, filter, format };
    contradictions(params, &ask, known);
    ask
}

/// Values that are good alone and not together.
fn contradictions(params: &mut Params<'_>, ask: &Ask, known: &[&str]) {
    let rules: &[(&str, &str)] = if ask.filter.since.is_some() {
        let rule = "not together with since, which asks the recorder for what was sampled already";
        &[("seconds", rule), ("hz", rule)]
    } else if ask.is_recorded() {
        &[("hz", "only with seconds: without, the recorder is asked for what was sampled already")]
    } else {
        &[]
    };
    for (name, rule) in rules {
        if let Some(value) = params.given(name).map(str::to_owned) {
            params.fault(name, &value, rule);
        }
    }
    if ask.debug > 0 && ask.format != Format::Pprof {
        params.fault("debug", &ask.debug.to_string(), "not together with format: debug is a format itself");
    }
    // As Go has it: a difference has no readable form.
    if ask.debug > 0 && ask.seconds.is_some() && known != CPU {
        params.fault("debug", &ask.debug.to_string(), "not together with seconds, which asks for a difference");
    }
}

/// A trace id: hexadecimal digits that are not all zero.
///
/// # Errors
/// The refusal.
pub(crate) fn trace_id_of_path(text: &str) -> Result<u128, Problem> {
    trace_id(text).ok_or_else(|| {
        Problem::parameters(vec![ParameterFault {
            parameter: "trace_id".to_owned(),
            value: text.chars().take(64).collect(),
            bound: "32 hexadecimal digits that are not all 0".to_owned(),
        }])
    })
}

/// 32 hexadecimal digits that are not all zero.
pub(crate) fn trace_id(text: &str) -> Option<u128> {
    hex(text, 32)
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(query: &str, known: &'static [&'static str]) -> Vec<String> {
        let mut params = Params::new(query, known);
        read(&mut params, known);
        params.finish().err().unwrap_or_default().into_iter().map(|fault| fault.parameter).collect()
    }

    #[test]
    fn bounds_are_where_they_are_documented() {
        for good in [
            "",
            "seconds=60&hz=999",
            "seconds=0.01",
            "hz=1",
            "debug=1",
            "seconds=1&debug=1",
            "span=GET%20%2Fapi%2Fwork",
            "trace_id=0AF7651916cd43dd8448eb211c80319c&span_id=b7ad6b7169203331",
            "since=10m&span=x&format=svg",
            "seconds=5&trace_id=0af7651916cd43dd8448eb211c80319c",
        ] {
            assert_eq!(faults(good, CPU), [""; 0], "{good}");
        }
        for bad in [
            "seconds=0",
            "seconds=60.1",
            "seconds=-1",
            "seconds=1e1",
            "seconds=",
            "seconds=NaN",
            "hz=0",
            "hz=1000",
            "hz=99.5",
            "debug=2",
            "debug=-1",
            "span=",
            "trace_id=00000000000000000000000000000000",
            "trace_id=0af7651916cd43dd8448eb211c80319",
            "trace_id=zaf7651916cd43dd8448eb211c80319c",
            "trace_id=+af7651916cd43dd8448eb211c80319c",
            "span_id=0000000000000000",
            "span_id=b7ad6b716920333",
            "since=10",
            "since=0s",
            "since=25h",
            "format=html",
            "format=PPROF",
            "secs=1",
            "since=1m&seconds=1",
            "since=1m&hz=9",
            "trace_id=0af7651916cd43dd8448eb211c80319c&hz=9",
            "debug=1&format=svg",
        ] {
            assert_eq!(faults(bad, CPU).len(), 1, "{bad}");
        }
        assert_eq!(faults("debug=2", TASKS), [""; 0]);
        assert_eq!(faults("debug=1&seconds=1", TASKS), ["debug"]);
        assert_eq!(faults("hz=9&gc=2", HEAP), ["hz", "gc"]);
        assert_eq!(faults("gc=1", HEAP), [""; 0]);
        assert_eq!(faults("format=html", PAGE), [""; 0]);
    }

    #[test]
    fn a_flame_graph_may_mark_its_address() {
        let svg = Ask::read(Some("since=1m&format=svg&s=a%20b&x=1.5&y=33"), CPU).unwrap();
        assert!(svg.format == Format::Svg && svg.filter.since.is_some());
        assert!(Ask::read(Some("format=svg&x=1"), PAGE).is_ok());
        for bad in ["s=a", "format=json&s=a", "format=svg&z=1"] {
            assert!(Ask::read(Some(bad), CPU).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_show_the_value() {
        for (query, name, value) in [
            ("since=1m&seconds=5", "seconds", "5"),
            ("since=1m&hz=9", "hz", "9"),
            ("span_id=b7ad6b7169203331&hz=7", "hz", "7"),
            ("seconds=soon", "seconds", "soon"),
        ] {
            let refused = Ask::read(Some(query), CPU).unwrap_err();
            assert!(refused.detail().contains(&format!("{name}={value:?}")), "{}", refused.detail());
        }
        let refused = Ask::read(Some("x=1"), NONE).unwrap_err();
        assert!(refused.detail().ends_with("unknown parameter: there are none here"), "{}", refused.detail());
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let mut found = faults("seconds=x&hz=x&debug=x&span=&trace_id=x&span_id=x&since=x&format=x&x=x", CPU);
        found.sort();
        assert_eq!(found, ["debug", "format", "hz", "seconds", "since", "span", "span_id", "trace_id", "x"]);
    }

    #[test]
    fn the_past_is_the_recorders() {
        let recorded = |query| Ask::read(Some(query), CPU).unwrap().is_recorded();
        assert!(recorded("since=1m"));
        assert!(recorded("trace_id=0af7651916cd43dd8448eb211c80319c"));
        assert!(!recorded("trace_id=0af7651916cd43dd8448eb211c80319c&seconds=1"));
        assert!(!recorded("span=x"));
        assert!(!recorded(""));
    }

    /// Parameters with values that are almost right, and anything else.
    fn query() -> impl Strategy<Value = String> {
        let name = proptest::sample::select([CPU, HEAP].concat());
        let value =
            prop_oneof!["[0-9.a-fA-Fsmh%+-]{0,33}", "[0-9a-f]{16}", "[0-9a-f]{32}", "(pprof|svg|json|html)", ".*"];
        let pair = prop_oneof![(name, value).prop_map(|(name, value)| format!("{name}={value}")), ".*"];
        proptest::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&"))
    }

    proptest! {
        #[test]
        fn fuzz_queries(query in query(), known in proptest::sample::select(vec![CPU, HEAP, TASKS, EXECUTION, PAGE])) {
            let mut params = Params::new(&query, known);
            let ask = read(&mut params, known);
            prop_assert!(ask.seconds.is_none_or(|s| !s.is_zero() && s <= Duration::from_secs(60)));
            prop_assert!(ask.hz.is_none_or(|hz| (1..=MAX_HZ).contains(&hz)) && ask.debug <= 2);
            let Filter { span_name, trace_id, span_id, since } = &ask.filter;
            prop_assert!(span_name.as_ref().is_none_or(|name| (1..=MAX_NAME_BYTES).contains(&name.len())));
            prop_assert!(*trace_id != Some(0) && *span_id != Some(0) && since.is_none_or(|since| !since.is_zero()));
        }
    }
}
