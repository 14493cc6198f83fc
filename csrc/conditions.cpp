#include "conditions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "canary.h"
#include "disturbance.h"
#include "statistics.h"
#include "system_files.h"

namespace edgeprof {

namespace {

constexpr double kFrequencyTolerance = 0.03;
// On a calm machine the canary varies by about 1 %. AndroidX' benchmark library allows 10 %.
constexpr double kCanaryTolerance = 0.05;

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
    is_in_block_ = false;
    block.temp_mdegc = watch_.read_temp_mdegc();
    block.steal_ticks = read_steal_ticks();
    const ThrottleReading throttle = watch_.read_throttle();
    block.is_throttled = throttle.disturbed_since(throttle_);
    throttle_ = throttle;
    block.canary_ns = time_canary();
    return block;
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

void mark_conditions(const std::vector<BlockConditions>& blocks,
                     std::vector<std::uint16_t>& disturbed) {
    if (blocks.size() < 2) return;
    // The canary's usual value is its lower quartile: slowness only ever adds.
    std::vector<double> canaries;
    for (const BlockConditions& block : blocks) {
        canaries.push_back(static_cast<double>(block.canary_ns));
    }
    std::sort(canaries.begin(), canaries.end());
    const double usual_canary_ns = quantile(canaries, 0.25);
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
        if (static_cast<double>(block.canary_ns) > usual_canary_ns * (1.0 + kCanaryTolerance)) {
            mask |= kSlowMachine;
        }
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
