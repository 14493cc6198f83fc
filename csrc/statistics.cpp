#include "statistics.h"

#include <algorithm>
#include <cmath>

namespace edgeprof {

namespace {

constexpr double kZ95 = 1.959963984540054;

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
    const std::size_t n = sorted.size();
    const double n_independent = static_cast<double>(n) / inflation;
    if (n_independent < 6.0) return std::nullopt;
    // Ranks from 1; exact where it is cheap and matters, else the normal approximation.
    std::size_t rank;
    if (inflation <= 1.0 && n <= 1000) {
        rank = lower_rank(n);
    } else {
        const double half = kZ95 * std::sqrt(static_cast<double>(n) * inflation) / 2.0;
        rank = static_cast<std::size_t>(std::max(1.0, static_cast<double>(n) / 2.0 - half));
    }
    return Interval{sorted[rank - 1], sorted[n - rank]};
}

double range_confidence(std::size_t n) {
    return std::min(kConfidence, 1.0 - std::pow(0.5, static_cast<double>(n) - 1.0));
}

double serial_inflation(const std::vector<double>& values) {
    constexpr std::size_t kBatches = 16;
    const std::size_t batch_size = values.size() / kBatches;
    if (batch_size < 2) return 1.0;
    const double middle = median(values);
    double sum_squares = 0.0;
    for (std::size_t batch = 0; batch < kBatches; ++batch) {
        double sign_sum = 0.0;
        for (std::size_t i = batch * batch_size; i < (batch + 1) * batch_size; ++i) {
            sign_sum += values[i] > middle ? 1.0 : values[i] < middle ? -1.0 : 0.0;
        }
        sum_squares += sign_sum * sign_sum;
    }
    const double ratio = sum_squares / static_cast<double>(kBatches * batch_size);
    return std::max(1.0, ratio);
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
