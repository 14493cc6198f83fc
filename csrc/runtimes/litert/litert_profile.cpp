#include "runtimes/litert/litert_profile.h"

#include <algorithm>
#include <cstring>

namespace edgeprof {

namespace {
constexpr unsigned char kUntouched = 0xA5;
}

std::vector<LiteRtEvent> room_for_events(std::size_t n) {
    std::vector<LiteRtEvent> room(2 * n);
    if (n > 0) std::memset(static_cast<void*>(room.data()), kUntouched, 2 * n * sizeof(room[0]));
    return room;
}

bool are_events_whole(const std::vector<LiteRtEvent>& room, std::size_t n) {
    if (n == 0) return true;
    const auto is_untouched = [](const LiteRtEvent& event) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(&event);
        return std::all_of(bytes, bytes + sizeof event,
                           [](unsigned char byte) { return byte == kUntouched; });
    };
    return !is_untouched(room[n - 1]) &&
           std::all_of(room.begin() + static_cast<std::ptrdiff_t>(n), room.end(), is_untouched);
}

std::vector<OperatorTime> mean_of_events(const std::vector<LiteRtEvent>& events,
                                         std::size_t n_runs) {
    std::vector<const LiteRtEvent*> executions;
    for (const LiteRtEvent& event : events) {
        if (event.type == kLiteRtOperator || event.type == kLiteRtDelegatedOperator) {
            executions.push_back(&event);
        }
    }
    std::vector<OperatorTime> operators;
    if (n_runs == 0 || executions.size() % n_runs != 0) return operators;
    const std::size_t n_operators = executions.size() / n_runs;
    for (std::size_t i = 0; i < n_operators; ++i) {
        std::uint64_t sum_us = 0;
        for (std::size_t run = 0; run < n_runs; ++run) {
            const LiteRtEvent& event = *executions[run * n_operators + i];
            if (std::strcmp(event.tag, executions[i]->tag) != 0) return {};
            sum_us += event.elapsed_us;
        }
        operators.push_back({"operator " + std::to_string(i), executions[i]->tag,
                             static_cast<std::int64_t>(sum_us * 1000 / n_runs)});
    }
    return operators;
}

}  // namespace edgeprof
