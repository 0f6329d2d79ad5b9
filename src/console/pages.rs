//! What people see: pages that need no script, and are refreshed in place by a small one where there is.
//!
//! Everything comes from this server and nothing stands in a page that the policy would have to allow by name: charts are
//! SVG with classes and attributes, the style and the script are files.

mod chart;
pub(super) mod format;
pub(super) mod histogram;
pub(super) mod overview;
pub(super) mod scenarios;
pub(super) mod search;
pub(super) mod trace;
mod waterfall;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

use crate::diagnostics::answer::Form;
use crate::diagnostics::pages::head;
pub(super) use crate::diagnostics::pages::table;

/// Like that of the other pages, and more: a script of ours, which asks this server, and forms to it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'";

/// A page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    path: &'static str,
    name: &'static str,
}

pub(super) const OVERVIEW: Place = Place { path: "/console/", name: "Overview" };

pub(super) const HISTOGRAM: Place = Place { path: "/console/histogram", name: "Histogram" };

pub(super) const SEARCH: Place = Place { path: "/console/search", name: "Search" };

/// Not in the navigation: one comes here from an exemplar or a search.
pub(super) const TRACE: Place = Place { path: "/console/trace/", name: "Trace" };

/// In the order of the navigation.
const PLACES: &[Place] = &[OVERVIEW, HISTOGRAM, SEARCH];

/// A page: `place` is where it stands in the navigation; one that is `live` is refreshed in place.
pub(super) fn page(place: Place, title: &str, live: bool, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{title} · phaselab"), &html! {
                link rel="stylesheet" href="/console/console.css";
                @if live { script src="/console/refresh.js" defer {} }
            }))
            body.console {
                a.skip href="#main" { "Skip to the page" }
                header {
                    nav aria-label="Pages" {
                        @for one in PLACES {
                            a href=(one.path) aria-current=[(*one == place).then_some("page")] { (one.name) } " "
                        }
                        a href="/debug/pprof/" { "Files" }
                    }
                }
                main id="main" { h1 { (title) } (body) }
            }
        }
    };
    let mut response = Form::Html.with(markup.into_string());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With no referrer at all, a browser would send the forms of this page from the origin "null".
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// `/console/console.css`.
pub(super) async fn style() -> Response {
    file(include_str!("pages/console.css"), "text/css; charset=utf-8")
}

/// `/console/refresh.js`.
pub(super) async fn script() -> Response {
    file(include_str!("pages/refresh.js"), "text/javascript; charset=utf-8")
}

fn file(text: &'static str, content_type: &'static str) -> Response {
    let mut response = Form::Text.with(text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
