#include "timing/reference_turns.h"

namespace edgeprof {

bool ReferenceTurns::take_turn(Instruments& instruments) {
    constexpr std::int64_t kShare = 10;  // one part in so many
    const std::int64_t start_ns = instruments.now_ns();
    if (references_.empty() || start_ns < next_ns_) return false;
    if (models_.empty()) {
        for (const Reference& reference : references_) {
            models_.push_back(reference.make());
            samples_.push_back({reference.name, {}, {}});
        }
    }
    for (std::size_t i = 0; i < models_.size(); ++i) {
        std::uint64_t begin = 0, ticks = 0;
        instruments.time(*models_[i], 1, &begin, &ticks, nullptr);
        if (instruments.time(*models_[i], 1, &begin, &ticks, nullptr) == 0) continue;
        samples_[i].latency_ns.push_back(ticks_to_ns(ticks, instruments.scale()));
        samples_[i].begin_ns.push_back(instruments.raw_ns_at(begin));
    }
    const std::int64_t end_ns = instruments.now_ns();
    next_ns_ = end_ns + (kShare - 1) * (end_ns - start_ns);
    return true;
}

}  // namespace edgeprof
