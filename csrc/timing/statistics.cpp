#include "timing/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace edgeprof {

namespace {

// Largest r with P(Binomial(n, 1/2) < r) <= 2.5 %, exactly; 0 when there is none.
std::size_t lower_rank(std::size_t n) {
    double probability = std::pow(0.5, static_cast<double>(n));
    double cumulative = 0.0;
    std::size_t rank = 0;
    while (cumulative + probability <= 0.025) {
        cumulative += probability;
        probability *= static_cast<double>(n - rank) / static_cast<double>(rank + 1);
        ++rank;
    }
    return rank;
}

// Ranks of the interval of the median of n values, from 0; none below 6 independent ones.
std::optional<std::pair<std::size_t, std::size_t>> median_ranks(std::size_t n, double inflation) {
    const double count = static_cast<double>(n);
    if (count / inflation < 6.0) return std::nullopt;
    // From 1; exact where it is cheap and matters, else the normal approximation.
    std::size_t rank;
    if (inflation <= 1.0 && n <= 1000) {
        rank = lower_rank(n);
    } else {
        const double half = kZ95 * std::sqrt(count * inflation) / 2.0;
        rank = static_cast<std::size_t>(std::max(1.0, count / 2.0 - half));
    }
    return std::make_pair(rank - 1, n - rank);
}

double nth(std::vector<double>& values, std::size_t rank) {
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

// Deviations from the median in units of the usual one, cut off: outliers say nothing of
// dependence. Signs where more than half of the values are the same. Their mean is 0.
std::vector<double> deviations(const std::vector<double>& values) {
    constexpr double kCutOff = 3.0;
    const double middle = median(values);
    std::vector<double> all;
    all.reserve(values.size());
    for (const double value : values) all.push_back(std::abs(value - middle));
    const double usual = nth(all, all.size() / 2);
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double deviation = values[i] - middle;
        all[i] = usual > 0.0 ? std::clamp(deviation / usual, -kCutOff, kCutOff)
                             : static_cast<double>((deviation > 0.0) - (deviation < 0.0));
        sum += all[i];
    }
    for (double& deviation : all) deviation -= sum / static_cast<double>(all.size());
    return all;
}

// Sum of products of values `lag` apart, over their number.
double autocovariance(const std::vector<double>& values, std::size_t lag) {
    double sum = 0.0;
    for (std::size_t i = lag; i < values.size(); ++i) sum += values[i] * values[i - lag];
    return sum / static_cast<double>(values.size());
}

// Integrated autocorrelation time of values whose mean is 0 and that are not all 0.
double correlation_time(const std::vector<double>& values) {
    const double count = static_cast<double>(values.size());
    const double variance = autocovariance(values, 0);
    double time = -1.0;
    double last = std::numeric_limits<double>::infinity();
    for (std::size_t lag = 0; lag + 1 < values.size() / 2; lag += 2) {
        const double pair = autocovariance(values, lag) + autocovariance(values, lag + 1);
        if (pair <= 0.0) break;
        last = std::min(last, pair);
        time += 2.0 * last / variance;
    }
    // Kendall's correction for a mean that was estimated too.
    const double first = autocovariance(values, 1) / variance;
    const double corrected = std::min(first + (1.0 + 3.0 * first) / count, 1.0 - 1.0 / count);
    return std::max({time, (1.0 + corrected) / (1.0 - corrected), 1.0});
}

}  // namespace

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2.0;
}

double quantile(const std::vector<double>& sorted, double q) {
    const double position = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    if (below + 1 >= sorted.size()) return sorted.back();
    const double share = position - static_cast<double>(below);
    return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

std::optional<Interval> median_interval(const std::vector<double>& sorted, double inflation) {
    const auto ranks = median_ranks(sorted.size(), inflation);
    if (!ranks) return std::nullopt;
    return Interval{sorted[ranks->first], sorted[ranks->second]};
}

double range_confidence(double n) {
    return std::clamp(1.0 - std::pow(0.5, n - 1.0), 0.0, kConfidence);
}

double serial_inflation(const std::vector<double>& values) {
    constexpr std::size_t kFewest = 4;
    constexpr std::size_t kMostBatches = 512;  // bounds the work, and keeps it linear
    if (values.size() < kFewest) return 1.0;
    const std::vector<double> all = deviations(values);
    const double variance = autocovariance(all, 0);
    if (variance == 0.0) return 1.0;
    const std::size_t batch_size = (all.size() + kMostBatches - 1) / kMostBatches;
    std::vector<double> batches(all.size() / batch_size, 0.0);
    for (std::size_t i = 0; i < batches.size() * batch_size; ++i) {
        batches[i / batch_size] += all[i] / static_cast<double>(batch_size);
    }
    const double batch_variance = autocovariance(batches, 0);
    if (batch_variance == 0.0) return 1.0;
    const double time = correlation_time(batches);
    const double within = static_cast<double>(batch_size) * batch_variance / variance;
    const double pessimism = 1.0 + std::sqrt(time / static_cast<double>(batches.size()));
    return std::max(1.0, time * within) * pessimism;
}

MedianEstimate estimate_median(const std::vector<double>& values) {
    MedianEstimate estimate{};
    estimate.n = values.size();
    estimate.median = median(values);
    estimate.serial_inflation = serial_inflation(values);
    std::vector<double> work = values;
    if (const auto ranks = median_ranks(values.size(), estimate.serial_inflation)) {
        estimate.ci = {nth(work, ranks->first), nth(work, ranks->second)};
        estimate.ci_level = kConfidence;
    } else {
        const auto ends = std::minmax_element(values.begin(), values.end());
        estimate.ci = {*ends.first, *ends.second};
        estimate.ci_level =
            range_confidence(static_cast<double>(values.size()) / estimate.serial_inflation);
    }
    return estimate;
}

bool StoppingRule::add(const MedianEstimate& estimate) {
    constexpr double kFewestIndependent = 10.0;
    constexpr int kLooks = 2;
    const bool is_narrow =
        static_cast<double>(estimate.n) >= kFewestIndependent * estimate.serial_inflation &&
        !(estimate.half_width_rel() > ci_rel_);  // of a median of 0 it is no number
    n_narrow_ = is_narrow ? n_narrow_ + 1 : 0;
    return n_narrow_ >= kLooks;
}

double trend_z(const std::vector<double>& values) {
    const std::size_t n = values.size();
    if (n < 3) return 0.0;
    double excess = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j) {
            excess += values[j] > values[i] ? 1.0 : values[j] < values[i] ? -1.0 : 0.0;
        }
    }
    const double count = static_cast<double>(n);
    const double variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0;
    if (excess == 0.0) return 0.0;
    return (excess - (excess > 0.0 ? 1.0 : -1.0)) / std::sqrt(variance);
}

bool is_steady(const std::vector<double>& values, std::size_t window, double tolerance_rel) {
    if (values.size() < window) return false;
    const auto half = static_cast<std::ptrdiff_t>(window / 2);
    const std::vector<double> recent(values.end() - static_cast<std::ptrdiff_t>(window),
                                     values.end());
    const double first = median({recent.begin(), recent.begin() + half});
    const double second = median({recent.begin() + half, recent.end()});
    if (std::abs(second - first) <= tolerance_rel * second) return true;
    // Noise makes steps too; a step counts only when the values also rise or fall throughout.
    return std::abs(trend_z(recent)) < kZ95;
}

bool PlateauDetector::add(std::size_t n_samples, double width_rel) {
    constexpr double kLeastGain = 0.9;
    history_.push_back({n_samples, width_rel});
    // The last point taken with at most half, and the one with at most a quarter, of the samples.
    const auto at_most = [&](std::size_t n) -> const Point* {
        const Point* found = nullptr;
        for (const Point& point : history_) {
            if (point.n_samples <= n) found = &point;
        }
        return found;
    };
    const Point* half = at_most(n_samples / 2);
    const Point* quarter = at_most(n_samples / 4);
    if (half == nullptr || quarter == nullptr) return false;
    return width_rel > kLeastGain * half->width_rel && width_rel > kLeastGain * quarter->width_rel;
}

}  // namespace edgeprof
