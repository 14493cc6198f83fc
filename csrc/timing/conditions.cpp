#include "timing/conditions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "machine/system_files.h"
#include "timing/canary.h"
#include "timing/clock.h"
#include "timing/disturbance.h"
#include "timing/statistics.h"

namespace edgeprof {

namespace {

constexpr double kFrequencyTolerance = 0.03;
constexpr double kCalmQuantile = 0.02;
constexpr std::size_t kCalmRank = 2;  // the third lowest, where there are few
constexpr std::int64_t kFresh_ns = 1'000'000;

template <class Read>
std::optional<double> median_of(const std::vector<BlockConditions>& blocks, Read&& read) {
    std::vector<double> values;
    for (const BlockConditions& block : blocks) {
        if (const auto value = read(block)) values.push_back(static_cast<double>(*value));
    }
    if (values.empty()) return std::nullopt;
    return median(std::move(values));
}

}  // namespace

Conditions::Conditions(const std::string& root, const std::vector<int>& cpus, EnergySampler* energy)
    : stat_path_(SystemFiles(root).full_path("proc/stat")),
      cpus_(cpus),
      watch_(root, cpus),
      energy_(energy),
      throttle_(watch_.read_throttle()) {}

void Conditions::start_block() {
    // The reading that ended the block before still holds, unless another model ran since.
    if (monotonic_raw_ns() - canary_read_at_ns_ > kFresh_ns) read_canary();
    if (energy_ != nullptr) energy_->start_block();
    is_in_block_ = true;
}

BlockConditions Conditions::read(std::size_t end_sample) {
    BlockConditions block{};
    block.end_sample = end_sample;
    for (std::size_t domain = 0; domain < watch_.domain_count(); ++domain) {
        block.freq_khz.push_back(watch_.read_freq_khz(domain));
    }
    if (is_in_block_ && energy_ != nullptr) block.power = energy_->end_block();
    block.temp_mdegc = watch_.read_temp_mdegc();
    block.steal_ticks = read_steal_ticks();
    const ThrottleReading throttle = watch_.read_throttle();
    block.is_throttled = throttle.disturbed_since(throttle_);
    throttle_ = throttle;
    const std::int64_t canary_before_ns = canary_ns_;
    block.canary_ns = read_canary();
    if (is_in_block_) block.canary_ns = std::max(block.canary_ns, canary_before_ns);
    is_in_block_ = false;
    return block;
}

std::int64_t Conditions::read_canary() {
    canary_ns_ = time_canary();
    canary_read_at_ns_ = monotonic_raw_ns();
    return canary_ns_;
}

// Column 8 of the cpu lines in /proc/stat (proc(5)): "steal".
std::optional<std::int64_t> Conditions::read_steal_ticks() const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(stat_path_.c_str(), "r"),
                                                               std::fclose);
    if (!file) return std::nullopt;
    std::optional<std::int64_t> sum;
    char line[512];
    while (std::fgets(line, sizeof line, file.get()) != nullptr &&
           std::strncmp(line, "cpu", 3) == 0) {
        int cpu = 0;
        long long steal = 0;
        if (std::sscanf(line, "cpu%d %*d %*d %*d %*d %*d %*d %*d %lld", &cpu, &steal) != 2)
            continue;
        if (cpus_.empty() || std::find(cpus_.begin(), cpus_.end(), cpu) != cpus_.end()) {
            sum = sum.value_or(0) + steal;
        }
    }
    return sum;
}

double calm_canary_ns(const std::vector<BlockConditions>& blocks) {
    std::vector<std::int64_t> canaries_ns;
    for (const BlockConditions& block : blocks) canaries_ns.push_back(block.canary_ns);
    const auto by_share =
        static_cast<std::size_t>(kCalmQuantile * static_cast<double>(blocks.size()));
    const std::size_t rank = std::min(std::max(by_share, kCalmRank), blocks.size() - 1);
    const auto calm = canaries_ns.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(canaries_ns.begin(), calm, canaries_ns.end());
    return static_cast<double>(*calm);
}

bool is_calm(double canary_ns, double calm_canary_ns) {
    return canary_ns <= calm_canary_ns * (1.0 + kCanaryTolerance);
}

void mark_conditions(const std::vector<BlockConditions>& blocks, double calm_canary_ns,
                     std::vector<std::uint16_t>& disturbed) {
    if (blocks.size() < 2) return;
    std::vector<std::optional<double>> usual_khz;
    for (std::size_t domain = 0; domain < blocks[0].freq_khz.size(); ++domain) {
        usual_khz.push_back(median_of(
            blocks, [&](const BlockConditions& block) { return block.freq_khz[domain]; }));
    }
    for (std::size_t i = 1; i < blocks.size(); ++i) {
        const BlockConditions& before = blocks[i - 1];
        const BlockConditions& block = blocks[i];
        unsigned mask = 0;
        if (block.is_throttled) mask |= kThrottled;
        if (!is_calm(static_cast<double>(block.canary_ns), calm_canary_ns)) mask |= kSlowMachine;
        if (block.steal_ticks && before.steal_ticks && *block.steal_ticks > *before.steal_ticks) {
            mask |= kStolen;
        }
        for (std::size_t domain = 0; domain < usual_khz.size(); ++domain) {
            if (!usual_khz[domain] || !block.freq_khz[domain]) continue;
            const double relative =
                static_cast<double>(*block.freq_khz[domain]) / *usual_khz[domain] - 1.0;
            if (std::abs(relative) > kFrequencyTolerance) mask |= kFrequency;
        }
        const std::size_t end = std::min(block.end_sample, disturbed.size());
        for (std::size_t sample = before.end_sample; sample < end; ++sample) {
            disturbed[sample] = static_cast<std::uint16_t>(disturbed[sample] | mask);
        }
    }
}

}  // namespace edgeprof
