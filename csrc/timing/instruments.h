// What a measurement reads besides the model: the clock, the counters, the kernel's evidence and
// the machine's conditions. MachineInstruments are the real ones; tests have their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "timing/clock.h"
#include "timing/conditions.h"
#include "timing/counters.h"
#include "timing/disturbance.h"
#include "timing/loaded_model.h"
#include "timing/measure_settings.h"

namespace edgeprof {

// Nanoseconds that each reading costs.
struct ReadingCosts {
    double clock_ns;
    double evidence_ns;
    double conditions_ns;
    double counters_ns;  // of one read of all of them
};

class Instruments {
  public:
    virtual ~Instruments() = default;

    virtual std::int64_t now_ns() = 0;      // monotonic
    virtual std::uint64_t now_ticks() = 0;  // of the clock that latencies are taken with
    virtual TickScale scale() const = 0;    // of its ticks
    virtual std::int64_t raw_ns_at(std::uint64_t ticks) const = 0;  // CLOCK_MONOTONIC_RAW
    virtual bool has_ticks() const = 0;  // that are other than nanoseconds
    virtual void refine_clock() = 0;     // fits its rate over all the time since the start
    virtual ReadingCosts reading_costs() = 0;
    virtual bool has_rails() const = 0;    // of power, which are read at their own pace
    virtual CounterGroup* counters() = 0;  // nullptr: none

    // Times n inferences; returns how many succeeded before one failed. `counts` is nullptr where
    // counters are not to be read.
    virtual std::size_t time(LoadedModel& model, std::size_t n, std::uint64_t* begins,
                             std::uint64_t* ticks, CounterValues* counts) noexcept = 0;
    virtual Evidence read_evidence() noexcept = 0;
    virtual void start_block() = 0;
    // After a block, or before the first.
    virtual BlockConditions read_conditions(std::size_t end_sample) = 0;
};

class MachineInstruments final : public Instruments {
  public:
    // counters, energy: nullptr where none are wanted. root: of the machine's facts.
    MachineInstruments(Clock& clock, CounterGroup* counters, const MeasureSettings& settings,
                       const std::string& root, EnergySampler* energy);

    std::int64_t now_ns() override { return monotonic_raw_ns(); }
    std::uint64_t now_ticks() override;
    TickScale scale() const override { return clock_.scale(); }
    std::int64_t raw_ns_at(std::uint64_t ticks) const override { return clock_.raw_ns_at(ticks); }
    bool has_ticks() const override { return clock_.kind() != ClockKind::kMonotonicRaw; }
    void refine_clock() override { clock_.refine(); }
    ReadingCosts reading_costs() override;
    bool has_rails() const override { return energy_ != nullptr && !energy_->rails().empty(); }
    CounterGroup* counters() override { return counters_; }
    std::size_t time(LoadedModel& model, std::size_t n, std::uint64_t* begins, std::uint64_t* ticks,
                     CounterValues* counts) noexcept override;
    Evidence read_evidence() noexcept override { return evidence_.read(); }
    void start_block() override { conditions_.start_block(); }
    BlockConditions read_conditions(std::size_t end_sample) override {
        return conditions_.read(end_sample);
    }

  private:
    Clock& clock_;
    CounterGroup* counters_;
    EnergySampler* energy_;
    EvidenceReader evidence_;
    Conditions conditions_;
};

}  // namespace edgeprof
