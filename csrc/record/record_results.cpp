#include "record/record_results.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "record/record_writers.h"
#include "record/warnings.h"
#include "timing/conditions.h"
#include "timing/disturbance.h"
#include "timing/drift.h"
#include "timing/summary.h"

namespace edgeprof {

namespace {

double tenths(double value) { return std::round(value * 10.0) / 10.0; }
double hundredths(double value) { return std::round(value * 100.0) / 100.0; }

void write_counters(json::Writer& writer, const RecordParts& parts) {
    writer.key("counters").begin_array();
    // Open but too dear to read beside so short an inference: then there are no counts.
    const bool is_counted = !parts.outcome.samples.counts.empty();
    if (is_counted) {
        for (const CounterFacts& counter : parts.counters->facts()) {
            writer.begin_object()
                .member("name", counter.name)
                .member("access", name_of(counter.access))
                .member("scope", counter.sums_threads ? "sum_of_threads" : "calling_thread")
                .member("mode", "user")  // the kernel's work is not counted
                .member("subtracted", counter.empty)
                .member("running_share", std::round(counter.running_share * 1e4) / 1e4)
                .member("read_cost_ns", tenths(parts.counters->read_cost_ns()))
                .end_object();
        }
    }
    writer.end_array().key("absent_counters").begin_array();
    if (parts.counters != nullptr) {
        for (const AbsentCounter& counter : parts.counters->absent()) {
            writer.begin_object()
                .member("name", counter.name)
                .member("reason", counter.reason)
                .end_object();
        }
        if (!is_counted) {
            for (const CounterFacts& counter : parts.counters->facts()) {
                writer.begin_object()
                    .member("name", counter.name)
                    .member("reason", "reading it costs too much beside so short an inference")
                    .end_object();
            }
        }
    }
    writer.end_array();
}

// null where the counter did not run.
void write_counts(json::Writer& writer, const std::string& name,
                  const std::vector<std::uint64_t>& counts) {
    writer.key(name).begin_array();
    for (const std::uint64_t count : counts) {
        if (count == kNoCount) {
            writer.raw("null");
        } else {
            writer.value(count);
        }
    }
    writer.end_array();
}

void write_samples(json::Writer& writer, const Clock& clock, const RecordParts& parts) {
    const Samples& samples = parts.outcome.samples;
    writer.key("samples")
        .begin_object()
        .member("latency_ns", samples.latency_ns)
        .member("disturbed", samples.disturbed);
    const Basis basis = summarize(samples).basis;
    if (basis == Basis::kLessWaiting || basis == Basis::kSlowMachine) {
        writer.member("waited_ns", samples.waited_ns);
    }
    if (parts.has_timestamps) writer.member("start_ns", samples.start_ns);
    if (!samples.ticks.empty()) {
        writer.member(clock.kind() == ClockKind::kX86Tsc ? "ref_cycles" : "timer_ticks",
                      samples.ticks);
    }
    if (!samples.counts.empty()) {
        const std::vector<CounterFacts> facts = parts.counters->facts();
        for (std::size_t c = 0; c < samples.counts.size(); ++c) {
            write_counts(writer, facts[c].name, samples.counts[c]);
        }
    }
    writer.end_object();
}

// One column per fact; a fact that a reading lacks is null in its place.
template <class Read>
void write_column(json::Writer& writer, const char* name,
                  const std::vector<BlockConditions>& blocks, Read&& read) {
    bool is_there = false;
    for (const BlockConditions& block : blocks) is_there = is_there || read(block).has_value();
    if (!is_there) return;
    writer.key(name).begin_array();
    for (const BlockConditions& block : blocks) {
        if (const std::optional<std::int64_t> value = read(block)) {
            writer.value(*value);
        } else {
            writer.raw("null");
        }
    }
    writer.end_array();
}

void write_blocks(json::Writer& writer, const Outcome& outcome) {
    const std::vector<BlockConditions>& blocks = outcome.blocks;
    using Integer = std::optional<std::int64_t>;
    writer.key("blocks").begin_object();
    write_column(writer, "end_sample", blocks, [](const BlockConditions& block) -> Integer {
        return static_cast<std::int64_t>(block.end_sample);
    });
    write_column(writer, "canary_ns", blocks,
                 [](const BlockConditions& block) -> Integer { return block.canary_ns; });
    write_column(writer, "soc_temp_mdegc", blocks,
                 [](const BlockConditions& block) { return block.temp_mdegc; });
    const std::size_t n_domains = blocks.empty() ? 0 : blocks[0].freq_khz.size();
    for (std::size_t domain = 0; domain < n_domains; ++domain) {
        write_column(writer, ("cpu_freq_khz_" + std::to_string(domain)).c_str(), blocks,
                     [domain](const BlockConditions& block) { return block.freq_khz[domain]; });
    }
    writer.end_object();
    writer.member("calm_canary_ns", std::round(outcome.calm_canary_ns));
    if (const std::optional<double> drift = canary_drift(blocks)) {
        writer.member("canary_drift_rel", std::round(*drift * 1e4) / 1e4);
    }
}

// Power of each rail while the model ran.
void write_energy(json::Writer& writer, const RecordParts& parts) {
    const std::vector<EnergyRail>& rails = parts.energy.rails();
    if (rails.empty()) return;
    const double median_s = summarize(parts.outcome.samples).latency_median_ns / 1e9;
    const double wall_s =
        static_cast<double>(std::max<std::int64_t>(parts.outcome.sampling_wall_ns, 1)) / 1e9;
    writer.key("energy").begin_array();
    for (std::size_t rail = 0; rail < rails.size(); ++rail) {
        double sum_uw = 0.0;
        std::size_t n = 0;
        for (const BlockConditions& block : parts.outcome.blocks) {
            if (rail >= block.power.size() || !block.power[rail]) continue;
            const RailPower& power = *block.power[rail];
            sum_uw += static_cast<double>(power.mean_uw) * static_cast<double>(power.n_readings);
            n += power.n_readings;
        }
        if (n == 0) continue;
        const double mean_uw = sum_uw / static_cast<double>(n);
        writer.begin_object()
            .member("chip", rails[rail].chip)
            .member("rail", rails[rail].label)
            .member("from", parts.energy.has_thread() ? "another_core" : "between_blocks")
            .member("n_readings", n)
            .member("readings_per_s", tenths(static_cast<double>(n) / wall_s))
            .member("power_mean_uw", std::llround(mean_uw))
            .member("energy_per_inference_uj", std::llround(mean_uw * median_s))
            .end_object();
    }
    writer.end_array();
}

void write_operators(json::Writer& writer, const RecordParts& parts) {
    if (parts.per_op_runs == 0 || !parts.profile_failure.empty()) return;
    writer.key("per_op")
        .begin_object()
        .member("n_runs", parts.per_op_runs)
        .key("operators")
        .begin_array();
    for (const OperatorTime& op : parts.operators) {
        writer.begin_object()
            .member("name", op.name)
            .member("type", op.type)
            .member("mean_ns", op.mean_ns)
            .end_object();
    }
    writer.end_array().end_object();
}

// What the reference models took meanwhile, by their names.
void write_references(json::Writer& writer, const std::vector<ReferenceSamples>& references) {
    if (references.empty()) return;
    writer.key("references").begin_object();
    for (const ReferenceSamples& reference : references) {
        if (reference.latency_ns.empty()) continue;
        const std::vector<double> latencies(reference.latency_ns.begin(),
                                            reference.latency_ns.end());
        writer.key(reference.name)
            .begin_object()
            .member("n_samples", latencies.size())
            .member("latency_median_ns", std::llround(median(latencies)))
            .member("latency_min_ns",
                    *std::min_element(reference.latency_ns.begin(), reference.latency_ns.end()))
            .member("latency_ns", reference.latency_ns)
            .member("begin_ns", reference.begin_ns)
            .end_object();
    }
    writer.end_object();
}

MeasuredFacts measured_facts(const RecordParts& parts, const Summary& summary) {
    const bool is_counted = !parts.outcome.samples.counts.empty();
    return {parts.settings,
            parts.outcome,
            summary,
            parts.drift,
            is_counted ? parts.counters->facts() : std::vector<CounterFacts>{},
            one_line(parts.profile_failure)};
}

}  // namespace

void write_clock(json::Writer& writer, const Clock& clock) {
    writer.key("clock")
        .begin_object()
        .member("kind", name_of(clock.kind()))
        .member("frequency_hz", std::round(clock.frequency_hz()))
        .member("resolution_ns", tenths(clock.resolution_ns()))
        .member("read_cost_ns", tenths(clock.read_cost_ns()))
        .member("subtracted_ns", tenths(clock.scale().cost_ns))
        .end_object();
}

void write_summary(json::Writer& writer, const Samples& samples, const Summary& summary) {
    writer.key("summary")
        .begin_object()
        .member("n_samples", summary.n_samples)
        .member("n_undisturbed", summary.n_undisturbed)
        .member("basis", name_of(summary.basis))
        .member("latency_median_ns", std::llround(summary.latency_median_ns))
        .member("ci_low_ns", std::llround(summary.ci.low))
        .member("ci_high_ns", std::llround(summary.ci.high))
        .member("ci_level", hundredths(summary.ci_level))
        .member("latency_min_ns", std::llround(summary.latency_min_ns))
        .member("latency_mean_ns", std::llround(summary.latency_mean_ns))
        .member("latency_p95_ns", std::llround(summary.latency_p95_ns))
        .member("serial_inflation", hundredths(summary.serial_inflation));
    writer.key("disturbed").begin_object();
    for (const DisturbanceName& disturbance : kDisturbanceNames) {
        std::size_t n = 0;
        for (const std::uint16_t mask : samples.disturbed) n += (mask & disturbance.bit) != 0;
        if (n > 0) writer.member(disturbance.name, n);
    }
    writer.end_object().end_object();
}

void write_warmup(json::Writer& writer, const Warmup& warmup) {
    writer.key("warmup")
        .begin_object()
        .member("n", warmup.n)
        .member("wall_ns", warmup.wall_ns)
        .member("timed_ns", warmup.timed_ns)
        .member("reason", name_of(warmup.end))
        .end_object();
}

void write_results(json::Writer& writer, const Clock& clock, const RecordParts& parts) {
    const Outcome& outcome = parts.outcome;
    const Summary summary = summarize(outcome.samples);
    write_clock(writer, clock);
    write_counters(writer, parts);
    writer.member("load_ns", parts.load_ns)
        .member("first_inference_ns", outcome.first_inference_ns);
    write_warmup(writer, outcome.warmup);
    writer.member("sampling_wall_ns", outcome.sampling_wall_ns)
        .member("sampling_span_ns", outcome.sampling_span_ns)
        .key("page_faults")
        .begin_object()
        .member("minor", outcome.page_faults.minor)
        .member("major", outcome.page_faults.major)
        .end_object();
    write_samples(writer, clock, parts);
    write_blocks(writer, outcome);
    if (parts.drift) {
        writer.key("drift")
            .begin_object()
            .member("rel", std::round(parts.drift->rel * 1e4) / 1e4)
            .member("by", parts.drift->by)
            .end_object();
    }
    write_references(writer, parts.references);
    write_energy(writer, parts);
    write_operators(writer, parts);
    write_summary(writer, outcome.samples, summary);
    writer.member("stop_reason", name_of(outcome.stop_reason))
        .member("warnings", warnings_of(measured_facts(parts, summary)));
    if (parts.peak_rss_bytes) writer.member("peak_rss_bytes", *parts.peak_rss_bytes);
}

}  // namespace edgeprof
