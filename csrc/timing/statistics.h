// Statistics of latencies: medians, distribution-free intervals, steadiness. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace edgeprof {

constexpr double kConfidence = 0.95;        // of all intervals
constexpr double kZ95 = 1.959963984540054;  // that quantile of a normal distribution, two-sided

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
double range_confidence(double n);

// By how much the values' dependence in time inflates the variance of the median, >= 1.
// Neighbouring inferences share a clock frequency, a cache, a noisy neighbour; taken for
// independent they promise an interval that is too narrow. From the autocorrelation of the
// deviations from the median, cut off at a few times the usual one: Geyer's initial monotone
// sequence (Practical Markov Chain Monte Carlo, 1992), at least what the first lag alone gives when
// its bias is put right. On the pessimistic side by the error of that estimate, which is large when
// there are few values: who stops as soon as the interval looks narrow stops on the lucky ones.
// `values` stand in the order of measurement.
double serial_inflation(const std::vector<double>& values);

// The median of values in the order of measurement, and how sure it is. Linear in their number.
struct MedianEstimate {
    double median;
    Interval ci;
    double ci_level;  // 0.95, or what the range of too few values can give
    double serial_inflation;
    std::size_t n;

    double half_width_rel() const { return (ci.high - ci.low) / 2.0 / median; }
};
MedianEstimate estimate_median(const std::vector<double>& values);

// When to believe that the interval is narrow enough: after two looks in a row that say so, each
// with enough values that count as independent. One look among many is narrow by luck.
class StoppingRule {
  public:
    explicit StoppingRule(double ci_rel) : ci_rel_(ci_rel) {}
    bool add(const MedianEstimate& estimate);

  private:
    double ci_rel_;
    int n_narrow_ = 0;
};

// Mann-Kendall test: the standardised excess of rising over falling pairs; |z| > 1.96 is a trend.
double trend_z(const std::vector<double>& values);

// Whether the last `window` values are free of a lasting change: unsteady is what both steps (its
// halves differ by more than `tolerance_rel`) and rises or falls throughout. Noise alone steps, and
// a trend within the tolerance does not matter.
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
