#include "timing/counters_report.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/json.h"
#include "timing/clock.h"
#include "timing/counters.h"
#include "timing/registers.h"

namespace edgeprof {

namespace {

constexpr std::size_t kRepeats = 31;

template <class Readings>
void write_readings(json::Writer& writer, Readings& readings) {
    std::sort(readings.begin(), readings.end());
    writer.member("min", readings.front())
        .member("median", readings[readings.size() / 2])
        .member("max", readings.back());
}

// Ticks of the clock around the loop.
std::array<std::uint64_t, kRepeats> read_clock(ClockKind kind, std::uint64_t loop_iterations) {
    return with_clock(kind, [loop_iterations](auto clock) {
        std::array<std::uint64_t, kRepeats> readings;
        for (std::uint64_t& reading : readings) {
            const std::uint64_t begin = clock.begin();
            registers::counted_loop(loop_iterations);
            reading = clock.end() - begin;
        }
        return readings;
    });
}

void write_clocks(json::Writer& writer, std::uint64_t loop_iterations) {
    const ClockKind best = Clock::best().kind();
    for (const ClockKind kind : {best, ClockKind::kMonotonicRaw}) {
        const Clock clock = Clock::named(name_of(kind));
        auto readings = read_clock(kind, loop_iterations);
        writer.begin_object()
            .member("name", name_of(kind))
            .member("access", "timer")
            .member("frequency_hz", clock.frequency_hz())
            .member("resolution_ns", clock.resolution_ns())
            .member("read_cost_ns", clock.read_cost_ns())
            .member("empty", clock.scale().cost_ns / clock.scale().ns_per_tick);
        write_readings(writer, readings);
        writer.end_object();
        if (best == ClockKind::kMonotonicRaw) break;
    }
}

struct CountedLoop {
    CounterReadings before, after;
    std::int64_t elapsed_ns;
};
using CountedLoops = std::array<CountedLoop, kRepeats>;

CountedLoops read_counters(CounterGroup& counters, std::uint64_t loop_iterations) {
    CountedLoops loops;
    counters.switch_on();
    for (CountedLoop& loop : loops) {
        const std::int64_t start_ns = monotonic_raw_ns();
        counters.read(loop.before);
        registers::counted_loop(loop_iterations);
        counters.read(loop.after);
        loop.elapsed_ns = monotonic_raw_ns() - start_ns;
    }
    counters.switch_off();
    return loops;
}

// Returns those that others held all the time.
std::vector<AbsentCounter> write_counters(json::Writer& writer, const CounterGroup& counters,
                                          const CountedLoops& loops) {
    std::vector<AbsentCounter> never_ran;
    const std::vector<CounterFacts> facts = counters.facts();
    for (std::size_t c = 0; c < facts.size(); ++c) {
        std::vector<std::uint64_t> readings;
        for (const CountedLoop& loop : loops) {
            const std::uint64_t count = count_between(loop.before[c], loop.after[c], 0,
                                                      static_cast<double>(loop.elapsed_ns));
            if (count != kNoCount) readings.push_back(count);
        }
        if (readings.empty()) {
            never_ran.push_back(
                {facts[c].name, "others held the processor's counters all the time"});
            continue;
        }
        writer.begin_object()
            .member("name", facts[c].name)
            .member("access", name_of(facts[c].access))
            .member("running_share", facts[c].running_share)
            .member("read_cost_ns", counters.read_cost_ns())
            .member("empty", facts[c].empty);
        write_readings(writer, readings);
        writer.end_object();
    }
    return never_ran;
}

}  // namespace

std::string counters_report(std::uint64_t loop_iterations) {
    CounterGroup counters(false, {}, "/");
    json::Writer writer;
    writer.begin_object()
        .member("loop", loop_iterations)
        .member("instructions_per_iteration", 2)
        .member("repeats", kRepeats);
    writer.key("counters").begin_array();
    write_clocks(writer, loop_iterations);
    std::vector<AbsentCounter> absent = counters.absent();
    for (AbsentCounter& counter :
         write_counters(writer, counters, read_counters(counters, loop_iterations))) {
        absent.push_back(std::move(counter));
    }
    writer.end_array().key("absent_counters").begin_array();
    for (const AbsentCounter& counter : absent) {
        writer.begin_object()
            .member("name", counter.name)
            .member("reason", counter.reason)
            .end_object();
    }
    writer.end_array().end_object();
    return writer.text();
}

}  // namespace edgeprof
