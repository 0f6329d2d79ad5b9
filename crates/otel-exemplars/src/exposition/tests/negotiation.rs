//! A scraper that gets a format it did not ask for cannot read the page, or reads it without the exemplars.

use crate::exposition::Format::{self, OpenMetrics, Text};
use crate::exposition::negotiate;

#[test]
fn formats() {
    let table: &[(Option<&str>, Format)] = &[
        (None, Text),
        (Some(""), Text),
        (Some("*/*"), Text),
        (Some("*/*;q=0.5"), Text),
        (Some("text/plain"), Text),
        (Some("text/plain;version=0.0.4"), Text),
        (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Text),
        (Some("application/json"), Text),
        (Some("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"), Text),
        (Some("nonsense"), Text),
        (Some(";;,,==\"/"), Text),
        (Some("application/openmetrics-text"), OpenMetrics),
        (Some("Application/OpenMetrics-Text"), OpenMetrics),
        (Some("application/openmetrics-text; version=1.0.0"), OpenMetrics),
        (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), OpenMetrics),
        (Some("application/openmetrics-text; version=\"1.0.0\""), OpenMetrics),
        (Some("application/openmetrics-text;version=1.0.0;escaping=underscores"), OpenMetrics),
        (Some("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"), OpenMetrics),
        (Some("application/openmetrics-text;version=1.0.0;escaping=values;q=0.1"), OpenMetrics),
        // Versions that the page is not written in.
        (Some("application/openmetrics-text;version=0.0.1"), Text),
        (Some("application/openmetrics-text;version=2.0.0"), Text),
        (Some("application/openmetrics-text;version=2.0.0,*/*;q=0.1"), Text),
        // The better weight wins, and at equal ones the more explicit wish.
        (Some("application/openmetrics-text;q=0.4,text/plain;q=0.5"), Text),
        (Some("application/openmetrics-text;q=0.5,text/plain;q=0.4"), OpenMetrics),
        (Some("application/openmetrics-text;q=0.5,text/plain;q=0.5"), OpenMetrics),
        (Some("text/plain,application/openmetrics-text"), OpenMetrics),
        (Some("application/openmetrics-text,*/*"), OpenMetrics),
        (Some("application/openmetrics-text;q=0.5,*/*"), Text),
        (Some("application/openmetrics-text;q=0"), Text),
        (Some("application/openmetrics-text;q=0,*/*"), Text),
        (Some("application/openmetrics-text;q=0.000,text/plain;q=0"), Text),
        (Some("text/plain;q=0,*/*"), OpenMetrics),
        (Some("application/*"), OpenMetrics),
        (Some("text/*"), Text),
        (Some("application/*,*/*;q=0.1"), OpenMetrics),
        (
            Some(
                "application/openmetrics-text;q=0.3,application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.5",
            ),
            OpenMetrics,
        ),
        // A weight that is none makes its range worthless.
        (Some("application/openmetrics-text;q=2"), Text),
        (Some("application/openmetrics-text;q=1.001"), Text),
        (Some("application/openmetrics-text;q=high"), Text),
        (Some("application/openmetrics-text;q=0.1234"), Text),
        (Some("application/openmetrics-text;q=1.000"), OpenMetrics),
        (Some("application/openmetrics-text;q=1."), OpenMetrics),
        // Separators inside quotes.
        (Some("application/openmetrics-text;note=\"a,b;q=0\";q=1"), OpenMetrics),
        (Some("application/openmetrics-text;note=\"a\\\",b\";q=1"), OpenMetrics),
        // What Prometheus 3.14, 3.0 and 2.40 send, and what 3.14 sends when it wants protobuf first.
        (
            Some(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ),
            OpenMetrics,
        ),
        (
            Some(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            OpenMetrics,
        ),
        (
            Some(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ),
            OpenMetrics,
        ),
        (Some("text/plain;version=0.0.4;q=0.2,*/*;q=0.1"), Text),
        (Some("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2,*/*;q=0.1"), Text),
    ];
    for (accept, expected) in table {
        assert_eq!(negotiate(*accept), *expected, "{accept:?}");
    }
}

#[test]
fn content_types_name_version_and_charset() {
    assert_eq!(OpenMetrics.content_type(), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
}
