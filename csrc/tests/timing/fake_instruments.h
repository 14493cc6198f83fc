// A machine and a clock of its own for tests: time passes only when an inference or a reading says
// so, and nothing depends on how busy the real machine is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "timing/instruments.h"

namespace edgeprof {

struct FakeClock {
    std::int64_t now_ns = 1'000'000'000;
    void pass_us(std::int64_t us) { now_ns += us * 1000; }
};

// A model whose inferences are a function of their number: how long each takes; below 0: it fails.
class FakeModel final : public LoadedModel {
  public:
    FakeModel(FakeClock& clock, std::function<std::int64_t(int)> inference_us)
        : clock_(clock), inference_us_(std::move(inference_us)) {}
    bool invoke() noexcept override {
        const std::int64_t us = inference_us_(n_++);
        if (us > 0) clock_.pass_us(us);
        return us >= 0;
    }
    std::string failure() const override { return "tensor went astray"; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }
    int count() const { return n_; }

  private:
    FakeClock& clock_;
    std::function<std::int64_t(int)> inference_us_;
    std::vector<TensorFacts> none_;
    int n_ = 0;
};

class FakeInstruments final : public Instruments {
  public:
    explicit FakeInstruments(FakeClock& clock) : clock_(clock) {}

    std::int64_t now_ns() override { return clock_.now_ns; }
    std::uint64_t now_ticks() override { return static_cast<std::uint64_t>(clock_.now_ns); }
    TickScale scale() const override { return {1.0, 0.0}; }
    std::int64_t raw_ns_at(std::uint64_t ticks) const override {
        return static_cast<std::int64_t>(ticks);
    }
    bool has_ticks() const override { return false; }
    void refine_clock() override {}
    ReadingCosts reading_costs() override { return {20.0, 1000.0, 100'000.0, 0.0}; }
    bool has_rails() const override { return false; }
    CounterGroup* counters() override { return nullptr; }
    std::size_t time(LoadedModel& model, std::size_t n, std::uint64_t* begins, std::uint64_t* ticks,
                     CounterValues*) noexcept override {
        for (std::size_t i = 0; i < n; ++i) {
            begins[i] = now_ticks();
            if (!model.invoke()) return i;
            ticks[i] = now_ticks() - begins[i];
        }
        return n;
    }
    Evidence read_evidence() noexcept override {
        clock_.now_ns += 1000;
        return evidence ? evidence() : Evidence{};
    }
    void start_block() override {}
    BlockConditions read_conditions(std::size_t end_sample) override {
        clock_.pass_us(100);
        BlockConditions block{};
        block.end_sample = end_sample;
        block.canary_ns = canary_ns ? canary_ns() : 100'000;
        return block;
    }

    std::function<Evidence()> evidence;       // what the kernel counts; nothing where empty
    std::function<std::int64_t()> canary_ns;  // calm where empty

  private:
    FakeClock& clock_;
};

}  // namespace edgeprof
