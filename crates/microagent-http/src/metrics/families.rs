//! Writes families of metrics. A family without a series is left out.

use std::{fmt, time::Duration};

use microagent_core::status::{Durations, duration_bounds};
use prometheus_client::{
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
    },
    metrics::MetricType,
};

/// The labels of one series.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The families of one scrape.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Writes a gauge.
    pub(super) fn gauge<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let write = |metric: &mut MetricEncoder<'_>, value: &V| metric.encode_gauge(value);
        self.family(name, help, MetricType::Gauge, series, write)
    }

    /// Writes a counter; its name gets the suffix `_total`.
    pub(super) fn counter<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let write = |metric: &mut MetricEncoder<'_>, value: &V| {
            metric.encode_counter::<NoLabelSet, V, f64>(value, None)
        };
        self.family(name, help, MetricType::Counter, series, write)
    }

    /// Writes a histogram of durations.
    pub(super) fn histogram<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, &'l Durations)>,
    ) -> fmt::Result {
        let bounds = duration_bounds().iter().map(Duration::as_secs_f64);
        let bounds: Vec<f64> = bounds.chain([f64::INFINITY]).collect();
        let write = |metric: &mut MetricEncoder<'_>, durations: &&Durations| {
            let counts = durations.counts.iter().copied().chain(std::iter::repeat(0));
            let buckets: Vec<(f64, u64)> = bounds.iter().copied().zip(counts).collect();
            let sum = durations.sum.as_secs_f64();
            metric.encode_histogram::<NoLabelSet>(sum, durations.count(), &buckets, None)
        };
        self.family(name, help, MetricType::Histogram, series, write)
    }

    fn family<'l, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: impl IntoIterator<Item = (Labels<'l>, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            write(&mut family.encode_family(&labels)?, &value)?;
        }
        Ok(())
    }
}
