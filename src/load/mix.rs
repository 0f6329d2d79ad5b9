//! Which requests are sent: templates and their weights.

use std::fmt;

/// The templates that need no flag; they suit the work that this program serves.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("fast", "/api/work?db_ms=1&loop_iterations=2000&items=10"),
    ("slow", "/api/work?db_ms=300&loop_iterations=200000&items=500"),
    ("error", "/api/work?fail=db_query"),
];

/// The weights that need no flag.
pub const DEFAULT: &str = "fast=8,slow=1,error=1";

/// Highest weight: the order of requests repeats after the sum of the weights.
const MAX_WEIGHT: i64 = 10_000;

/// Most templates of a mix.
const MAX_TEMPLATES: usize = 100;

/// A named request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The name in the summary.
    pub name: String,
    /// Path and query.
    pub path: String,
}

/// Templates with weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<(Template, i64)>);

impl Template {
    /// Reads `name=/path?query`.
    ///
    /// # Errors
    /// When the text has another form; the text says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let valid = |(name, path): &(&str, &str)| !name.is_empty() && path.starts_with('/') && !path.starts_with("//");
        let (name, path) = text
            .split_once('=')
            .filter(valid)
            .ok_or_else(|| format!("{text:?} is no name=/path: write for example null=/healthz"))?;
        Ok(Self { name: name.to_owned(), path: path.to_owned() })
    }
}

impl Mix {
    /// Reads `fast=8,slow=1`, with names out of `templates` or [`BUILT_IN`].
    ///
    /// # Errors
    /// When the text has another form, or names a template that does not exist; the text says what to write instead.
    pub fn parse(text: &str, templates: &[Template]) -> Result<Self, String> {
        let built_in = BUILT_IN.map(|(name, path)| Template { name: name.to_owned(), path: path.to_owned() });
        let known: Vec<&Template> = templates.iter().chain(&built_in).collect();
        let part = |part: &str| {
            let form = || format!("{text:?} is no list of name=weight: write for example {DEFAULT}");
            let (name, weight) = part.trim().split_once('=').ok_or_else(form)?;
            let weight: i64 =
                weight.parse().ok().filter(|weight| (1..=MAX_WEIGHT).contains(weight)).ok_or_else(|| {
                    format!(
                        "the weight {weight:?} of {name} is no whole number from 1 to {MAX_WEIGHT}: write for example 8"
                    )
                })?;
            let template = known.iter().find(|template| template.name == name).ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|template| template.name.as_str()).collect();
                format!(
                    "there is no template {name:?}: write one of {}, or define it with --template",
                    names.join(", ")
                )
            })?;
            Ok(((*template).clone(), weight))
        };
        let mix: Vec<_> = text.split(',').map(part).collect::<Result<_, String>>()?;
        if mix.len() > MAX_TEMPLATES {
            return Err(format!("the mix has more than {MAX_TEMPLATES} parts: leave some out"));
        }
        Ok(Self(mix))
    }

    /// The templates, in the order in which [`Mix::order`] numbers them.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.0.iter().map(|(template, _)| template)
    }

    /// The number of each request's template, without end: spread evenly and the same in every run, so that two runs
    /// compare and a short one keeps its weights.
    pub fn order(&self) -> impl Iterator<Item = usize> {
        let weights: Vec<i64> = self.0.iter().map(|(_, weight)| *weight).collect();
        let sum: i64 = weights.iter().sum();
        let mut credit = vec![0; weights.len()];
        std::iter::repeat_with(move || {
            credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
            // Of several with the most credit the first one, so reversed.
            let next = (0..credit.len()).rev().max_by_key(|index| credit[*index]).unwrap_or(0);
            credit[next] -= sum;
            next
        })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (template, weight)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}={weight}", template.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_by_weight() {
        let mix = Mix::parse("fast=3,slow=1", &[]).unwrap();
        assert_eq!(mix.order().take(8).collect::<Vec<_>>(), [0, 0, 1, 0, 0, 0, 1, 0]);
        let mix = Mix::parse(DEFAULT, &[]).unwrap();
        assert_eq!(mix.to_string(), DEFAULT);
        let of = |wanted| mix.order().take(1000).filter(|index| *index == wanted).count();
        assert_eq!((of(0), of(1), of(2)), (800, 100, 100));
    }

    #[test]
    fn a_template_of_the_same_name_replaces_the_built_in_one() {
        let own = Template::parse("fast=/healthz?a=b").unwrap();
        let mix = Mix::parse("fast=1", std::slice::from_ref(&own)).unwrap();
        assert_eq!(mix.templates().collect::<Vec<_>>(), [&own]);
    }

    #[test]
    fn a_bad_mix_is_refused_with_the_fix() {
        for bad in ["", "fast", "fast=", "fast=0", "fast=-1", "fast=1.5", "other=1", "fast=1,,slow=1", "fast=10001"] {
            let error = Mix::parse(bad, &[]).unwrap_err();
            assert!(error.contains("write"), "{bad:?}: {error}");
        }
        for bad in ["", "a", "a=", "=/a", "a=b", "a=//host/b", "a=http://host/"] {
            assert!(Template::parse(bad).is_err(), "{bad:?}");
        }
    }
}
