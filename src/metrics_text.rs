//! Metrics as Prometheus reads them. Names are `minutely_<noun>_<unit>[_total]`.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::{Display, Write};

/// The text of all metrics, in the exposition format.
#[derive(Default)]
pub(crate) struct MetricsText {
    pub(crate) out: String,
    name: &'static str,
}

impl MetricsText {
    /// Begins a metric.
    pub(crate) fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string takes it");
    }

    /// A sample of it.
    pub(crate) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.out += self.name;
        self.out += suffix;
        for (n, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(self.out, "{}{label}=\"{text}\"", if n == 0 { '{' } else { ',' }).expect("a string takes it");
        }
        writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" }).expect("a string takes it");
    }

    /// A metric with one sample.
    pub(crate) fn one(&mut self, name: &'static str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample("", &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = MetricsText::default();
        text.metric("minutely_x_records", "gauge", "X.");
        text.sample("", &[("partition", "a\"b\\c\nd"), ("verdict", "é")], 7);
        assert!(
            text.out.ends_with("minutely_x_records{partition=\"a\\\"b\\\\c\\nd\",verdict=\"é\"} 7\n"),
            "{}",
            text.out
        );
    }
}
