#include "timing/prepare.h"

#include "machine/affinity.h"

namespace edgeprof {

namespace {

bool time_one(LoadedModel& model, Instruments& instruments, std::int64_t& latency_ns) {
    std::uint64_t begin = 0, ticks = 0;
    if (instruments.time(model, 1, &begin, &ticks, nullptr) == 0) return false;
    latency_ns = ticks_to_ns(ticks, instruments.scale());
    return true;
}

}  // namespace

std::optional<Prepared> prepare_model(LoadedModel& model, Instruments& instruments,
                                      const MeasureSettings& settings) {
    const ScopedAffinity affinity(settings.cpus);
    Prepared prepared{};
    if (!time_one(model, instruments, prepared.first_inference_ns)) return std::nullopt;
    const std::int64_t start_ns = instruments.now_ns();
    const auto secs = [&] { return static_cast<double>(instruments.now_ns() - start_ns) / 1e9; };
    WarmupRule rule(settings, static_cast<double>(prepared.first_inference_ns), model.has_device());
    Warmup& warmup = prepared.warmup;
    warmup.end = WarmupEnd::kTimeLimit;
    while (warmup.end != WarmupEnd::kSteady && rule.has_time(secs())) {
        std::int64_t latency_ns = 0;
        if (!time_one(model, instruments, latency_ns)) return std::nullopt;
        ++warmup.n;
        warmup.timed_ns += latency_ns;
        rule.add(static_cast<double>(latency_ns));
        if (rule.is_warm(secs())) warmup.end = WarmupEnd::kSteady;
    }
    warmup.wall_ns = instruments.now_ns() - start_ns;
    prepared.latency_ns = rule.expected_ns();
    return prepared;
}

}  // namespace edgeprof
