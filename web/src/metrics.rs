//! Numbers for Prometheus, in the form that the asker reads: `OpenMetrics` for a Prometheus that asks for it, else the older
//! text that every scraper, script and person reads. What the numbers are is the caller's business, who reads them from
//! where they live at the moment of asking.

use std::borrow::Cow;
use std::fmt;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use platform::Counts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// What a Prometheus says in `Accept` that reads the newer form.
const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For a value that has none but the common labels.
pub const NO_LABELS: [(&str, &str); 0] = [];

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// What a request asks for.
    pub fn asked(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.into_iter().any(|value| value.contains(OPEN_METRICS)) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// All that `tell` tells, in this form. `common` are labels of every value.
    ///
    /// # Panics
    /// If `tell` fails, which it does only if it wants to: the text takes everything.
    pub fn write(
        self,
        common: Vec<(&'static str, String)>,
        tell: impl Fn(&mut Families<'_>) -> fmt::Result + Send + Sync + 'static,
    ) -> String {
        let common = common.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value)));
        let mut registry = Registry::with_labels(common);
        registry.register_collector(Box::new(Teller(tell)));
        let mut out = String::new();
        let written = match self {
            Self::Text => prometheus_text::encode(&mut out, &registry),
            Self::OpenMetrics => text::encode(&mut out, &registry),
        };
        written.expect("a String takes all");
        out
    }

    /// The answer with a text in this form.
    pub fn answer(self, text: String) -> Response {
        let content_type = match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => OPEN_METRICS_TYPE,
        };
        ([(header::CONTENT_TYPE, content_type)], text).into_response()
    }
}

struct Teller<F>(F);

impl<F> fmt::Debug for Teller<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

impl<F: Fn(&mut Families<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Teller<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Families(encoder))
    }
}

/// Takes values in, a family of one name at a time. Each function fails only if nothing more can be written.
pub struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    /// A value that goes up and down.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [(NO_LABELS, value)])
    }

    /// The same for several sets of labels.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        rows.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    /// A count since the start. `name` goes without its `_total`, which is added.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(NO_LABELS, value)])
    }

    /// The same for several sets of labels.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// Counts by size for several sets of labels. `unit` is how many of what was counted are one of what is told: 1,000
    /// where microseconds were counted and milliseconds are told.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn histograms<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: u64,
        rows: impl IntoIterator<Item = (L, Counts)>,
    ) -> fmt::Result {
        let told = |counted: u64| counted as f64 / unit as f64;
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        rows.into_iter().try_for_each(|(labels, counted)| {
            let bounds = counted.bounds.iter().map(|bound| told(*bound)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counted.counts.iter().copied()).collect();
            let count = counted.counts.iter().sum();
            let mut row = family.encode_family(&labels)?;
            row.encode_histogram::<NoLabelSet>(told(counted.sum), count, &buckets, None)
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use platform::Histogram;

    use super::*;

    fn written(format: Format) -> Vec<String> {
        let histogram = Histogram::new(&[1_000, 3_000]);
        for took in [500, 3_000, 9_000] {
            histogram.record(took);
        }
        let text = format.write(vec![("cluster", "a\"b\\c\nd".into())], move |families| {
            families.gauge("g", "A gauge.", 3_u64)?;
            families.counters("c", "A counter.", [([("topic", "T")], 7)])?;
            families.histograms("h_milliseconds", "Times.", 1_000, [([("of", "x")], histogram.counts())])
        });
        text.lines().map(str::to_owned).collect()
    }

    /// Names and labels are the same in both; only what stands around them differs.
    #[test]
    fn both_forms_tell_the_same() {
        let old = written(Format::Text);
        let common = r#"cluster="a\"b\\c\nd""#;
        let expected = [
            "# HELP g A gauge.".to_owned(),
            "# TYPE g gauge".into(),
            format!("g{{{common}}} 3"),
            "# HELP c_total A counter.".into(),
            "# TYPE c_total counter".into(),
            format!("c_total{{{common},topic=\"T\"}} 7"),
            "# HELP h_milliseconds Times.".into(),
            "# TYPE h_milliseconds histogram".into(),
            format!("h_milliseconds_bucket{{{common},of=\"x\",le=\"1\"}} 1"),
            format!("h_milliseconds_bucket{{{common},of=\"x\",le=\"3\"}} 2"),
            format!("h_milliseconds_bucket{{{common},of=\"x\",le=\"+Inf\"}} 3"),
            format!("h_milliseconds_sum{{{common},of=\"x\"}} 12.5"),
            format!("h_milliseconds_count{{{common},of=\"x\"}} 3"),
        ];
        assert_eq!(old, expected);
        let new = written(Format::OpenMetrics);
        assert_eq!(new.last().map(String::as_str), Some("# EOF"), "{new:?}");
        let series = |lines: &[String]| -> Vec<String> {
            let values = lines.iter().filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
            values.cloned().collect()
        };
        assert_eq!(series(&old), series(&new));
    }

    #[test]
    fn a_scraper_gets_the_form_it_asks_for() {
        let asked = |accept: &'static str| {
            Format::asked(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert_eq!(Format::asked(&HeaderMap::new()), Format::Text);
        assert_eq!(asked("*/*"), Format::Text);
        assert_eq!(
            asked(
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
            ),
            Format::OpenMetrics
        );
    }
}
