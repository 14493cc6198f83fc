#include "timing/ratio_estimate.h"

#include <cmath>
#include <limits>
#include <utility>

#include "timing/statistics.h"

namespace edgeprof {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kFewestRounds = 5;

// Variance of the median of residuals in the order of time.
double variance_of_median(const std::vector<double>& residuals) {
    std::vector<double> sizes;
    for (const double residual : residuals) sizes.push_back(std::abs(residual));
    constexpr double kPerDeviation = 1.4826;  // of a normal distribution
    constexpr double kOfMedian = 1.2533;      // its standard error in units of the mean's
    const double scale = kOfMedian * kPerDeviation * median(sizes);
    return scale * scale * serial_inflation(residuals) / static_cast<double>(residuals.size());
}

}  // namespace

void RatioEstimate::add_round(std::vector<double> log_latency) {
    if (processes_.empty()) start_process();
    processes_.back().push_back(std::move(log_latency));
}

// Level and shares in turns, by medians, until they hardly move.
std::vector<RatioEstimate::Share> RatioEstimate::shares(const Rounds& rounds) const {
    constexpr int kTurns = 6;
    std::vector<double> share(n_items_, 0.0), level(rounds.size(), 0.0);
    std::vector<std::vector<double>> residuals(n_items_);
    for (int turn = 0; turn < kTurns; ++turn) {
        for (std::vector<double>& of_item : residuals) of_item.clear();
        for (std::size_t r = 0; r < rounds.size(); ++r) {
            std::vector<double> left;
            for (std::size_t i = 0; i < n_items_; ++i) {
                // In the first turn items compete: who is slow says nothing of the level.
                if (!std::isnan(rounds[r][i])) left.push_back(rounds[r][i] - share[i]);
            }
            level[r] = turn > 0 && left.size() > 1 ? median(std::move(left)) : 0.0;
            for (std::size_t i = 0; i < n_items_; ++i) {
                if (!std::isnan(rounds[r][i])) residuals[i].push_back(rounds[r][i] - level[r]);
            }
        }
        for (std::size_t i = 0; i < n_items_; ++i) {
            if (!residuals[i].empty()) share[i] = median(residuals[i]);
        }
    }
    std::vector<Share> all;
    for (std::size_t i = 0; i < n_items_; ++i) {
        for (double& residual : residuals[i]) residual -= share[i];
        const bool is_told = residuals[i].size() >= kFewestRounds;
        all.push_back({residuals[i].empty() ? std::nan("") : share[i],
                       is_told ? variance_of_median(residuals[i]) : kInfinity});
    }
    return all;
}

std::vector<double> RatioEstimate::half_widths_here() const {
    std::vector<double> half_widths(n_items_, kInfinity);
    if (processes_.empty()) return half_widths;
    const std::vector<Share> here = shares(processes_.back());
    for (std::size_t i = 0; i < n_items_; ++i) half_widths[i] = kZ95 * std::sqrt(here[i].variance);
    return half_widths;
}

std::vector<double> RatioEstimate::half_widths() const {
    std::vector<std::vector<double>> means(n_items_);
    std::vector<double> within(n_items_, 0.0);
    for (const Rounds& rounds : processes_) {
        std::vector<Share> of_process = shares(rounds);
        std::vector<double> told;
        for (const Share& share : of_process) {
            if (std::isfinite(share.variance)) told.push_back(share.mean);
        }
        if (told.empty()) continue;
        const double centre = median(told);  // the level of a process is no share of anybody
        for (std::size_t i = 0; i < n_items_; ++i) {
            if (!std::isfinite(of_process[i].variance)) continue;
            means[i].push_back(of_process[i].mean - centre);
            within[i] += of_process[i].variance;
        }
    }
    std::vector<double> half_widths(n_items_, kInfinity);
    for (std::size_t i = 0; i < n_items_; ++i) {
        const auto n = static_cast<double>(means[i].size());
        if (means[i].empty()) continue;
        double mean = 0.0, between = 0.0;
        for (const double value : means[i]) mean += value / n;
        for (const double value : means[i]) between += (value - mean) * (value - mean);
        const double by_processes = n > 1.0 ? between / (n - 1.0) / n : 0.0;
        half_widths[i] = kZ95 * std::sqrt(std::max(by_processes, within[i] / (n * n)));
    }
    return half_widths;
}

}  // namespace edgeprof
