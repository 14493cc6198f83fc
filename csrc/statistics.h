// Statistics of latencies: medians, distribution-free intervals, steadiness. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace edgeprof {

constexpr double kConfidence = 0.95;  // of all intervals

struct Interval {
    double low;
    double high;
};

// Median of a non-empty set; the mean of the two middle values when their number is even.
double median(std::vector<double> values);

// Quantile of sorted, non-empty values, linear between neighbours (q in 0..1).
double quantile(const std::vector<double>& sorted, double q);

// Distribution-free 95 % interval of the median: the order statistics whose ranks bound the
// binomial(n, 1/2) count of values below the median (Conover, Practical Nonparametric Statistics,
// 3.2). `inflation` >= 1 is by how much serial dependence inflates the variance of that count.
// None below 6 independent values: no pair of ranks holds 95 %.
std::optional<Interval> median_interval(const std::vector<double>& sorted, double inflation);

// Confidence that the range of n independent values holds the median: 1 - 2^(1-n).
double range_confidence(std::size_t n);

// By how much the values' dependence in time inflates the variance of the median, >= 1.
// Neighbouring inferences share a clock frequency, a cache, a noisy neighbour; taken for
// independent they promise an interval that is too narrow. Batch means of the signs about the
// median against what independent signs would give. `values` stand in the order of measurement.
double serial_inflation(const std::vector<double>& values);

// Mann-Kendall test: the standardised excess of rising over falling pairs; |z| > 1.96 is a trend.
double trend_z(const std::vector<double>& values);

// Whether the last `window` values show neither a trend nor a step beyond `tolerance_rel`.
bool is_steady(const std::vector<double>& values, std::size_t window, double tolerance_rel);

// Tells when more samples have stopped to help: the interval's width should shrink with the
// square root of n; when a doubling of n takes less than a tenth off it, the noise is not the kind
// that averages away.
class PlateauDetector {
  public:
    // Returns true when the plateau is reached.
    bool add(std::size_t n_samples, double width_rel);

  private:
    struct Point {
        std::size_t n_samples;
        double width_rel;
    };
    std::vector<Point> history_;
};

}  // namespace edgeprof
