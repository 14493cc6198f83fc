// The null runtime: nothing to load, and inferences that do nothing as fast as they can (their
// latency is the harness' own cost), or what a test asks of them by options.
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "runtimes/backend.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

enum class Act { kNothing, kSleep, kFail, kHang, kAbort, kIllegalInstruction };

// How a stand-in for a model behaves. The defaults do nothing.
struct Behaviour {
    Act act = Act::kNothing;
    std::int64_t at = 0;             // inference from which on it acts; 0: the first
    double latency_us = 0.0;         // busy for so long
    double noise_rel = 0.0;          // scatter of the latency, evenly on both sides
    double first_secs = 0.0;         // the first inference takes so long
    double ramp_secs = 0.0;          // after it, a slow clock for so long,
    double ramp_factor = 1.0;        // slower by so much
    double resident_mib = 0.0;       // memory that it takes
    std::vector<double> modes{1.0};  // factors of the latency, one of them per process
};

constexpr useconds_t kSleep_us = 5'000;

[[noreturn]] void refuse(const std::string& name, const std::string& wanted) {
    throw Error(ErrorKind::kInvalidJob, "runtime option '" + name + "': expected " + wanted);
}

double read_number(const std::string& name, const json::Value& value) {
    double number = std::nan("");
    if (const double* real = value.as_double()) number = *real;
    if (const std::int64_t* integer = value.as_int()) number = static_cast<double>(*integer);
    if (number >= 0.0 && number <= 1e9) return number;
    refuse(name, "a number of 0 or more");
}

Act read_act(const json::Value& value) {
    const std::string name = value.as_string() != nullptr ? *value.as_string() : "";
    if (name == "sleep") return Act::kSleep;
    if (name == "fail") return Act::kFail;
    if (name == "hang") return Act::kHang;
    if (name == "abort") return Act::kAbort;
    if (name == "illegal_instruction") return Act::kIllegalInstruction;
    refuse("act", "sleep, fail, hang, abort or illegal_instruction");
}

std::vector<double> read_modes(const json::Value& value) {
    std::vector<double> modes;
    if (const json::Array* items = value.as_array()) {
        for (const json::Value& item : *items) modes.push_back(read_number("modes", item));
    }
    if (modes.empty()) refuse("modes", "a list of factors");
    return modes;
}

Behaviour read_behaviour(const json::Value& options) {
    Behaviour behaviour;
    const json::Object* fields = options.as_object();
    if (fields == nullptr) return behaviour;
    for (const auto& [name, value] : *fields) {
        if (name == "act") {
            behaviour.act = read_act(value);
        } else if (name == "at") {
            behaviour.at = static_cast<std::int64_t>(read_number(name, value));
        } else if (name == "modes") {
            behaviour.modes = read_modes(value);
        } else {
            double* number = name == "latency_us"     ? &behaviour.latency_us
                             : name == "noise_rel"    ? &behaviour.noise_rel
                             : name == "first_secs"   ? &behaviour.first_secs
                             : name == "ramp_secs"    ? &behaviour.ramp_secs
                             : name == "ramp_factor"  ? &behaviour.ramp_factor
                             : name == "resident_mib" ? &behaviour.resident_mib
                                                      : nullptr;
            if (number == nullptr) {
                throw Error(ErrorKind::kInvalidJob,
                            "runtime 'null': unknown option '" + name + "'");
            }
            *number = read_number(name, value);
        }
    }
    return behaviour;
}

class NullModel : public LoadedModel {
  public:
    bool invoke() noexcept override { return true; }
    std::string failure() const override { return ""; }
    const std::vector<TensorFacts>& inputs() const override { return none_; }
    const std::vector<TensorFacts>& outputs() const override { return none_; }
    std::string options_json() const override { return "{}"; }

  private:
    std::vector<TensorFacts> none_;
};

// Takes its time, or misbehaves, as runtimes on boards do.
class ActingModel final : public NullModel {
  public:
    ActingModel(const Behaviour& behaviour, std::uint64_t seed)
        : behaviour_(behaviour),
          mode_(behaviour.modes[static_cast<std::size_t>(getpid()) % behaviour.modes.size()]),
          random_(seed),
          resident_(static_cast<std::size_t>(behaviour.resident_mib * 1048576.0), '\1') {}
    bool invoke() noexcept override {
        const std::int64_t n = n_++;
        if (behaviour_.act != Act::kNothing && n >= behaviour_.at && !act()) return false;
        pass(n);
        return true;
    }
    std::string failure() const override { return "asked to fail"; }
    bool has_device() const override { return behaviour_.ramp_secs > 0.0; }

  private:
    bool act() noexcept {
        if (behaviour_.act == Act::kIllegalInstruction) raise(SIGILL);
        if (behaviour_.act == Act::kAbort) abort();
        while (behaviour_.act == Act::kHang) pause();
        if (behaviour_.act == Act::kSleep) usleep(kSleep_us);
        return behaviour_.act != Act::kFail;
    }
    void pass(std::int64_t n) noexcept {
        const std::int64_t begin_ns = monotonic_raw_ns();
        double ns = behaviour_.latency_us * 1e3 * mode_;
        const double share = static_cast<double>(random_()) / 4294967296.0;
        ns *= 1.0 + behaviour_.noise_rel * (2.0 * share - 1.0);
        if (n == 0) {
            ns = std::max(ns, behaviour_.first_secs * 1e9);
        } else if (static_cast<double>(begin_ns - ramp_start_ns_) < behaviour_.ramp_secs * 1e9) {
            ns *= behaviour_.ramp_factor;
        }
        const std::int64_t end_ns = begin_ns + static_cast<std::int64_t>(ns);
        while (ns > 0.0 && monotonic_raw_ns() < end_ns) {
        }
        if (n == 0) ramp_start_ns_ = monotonic_raw_ns();
    }

    Behaviour behaviour_;
    double mode_;
    std::mt19937 random_;
    std::int64_t n_ = 0;
    std::int64_t ramp_start_ns_ = 0;
    std::vector<char> resident_;
};

class NullRuntime final : public Runtime {
  public:
    const RuntimeFacts& facts() const override { return facts_; }
    std::unique_ptr<LoadedModel> load(const LoadSettings& settings) override {
        const json::Object* options = settings.options.as_object();
        if (options == nullptr || options->empty()) return std::make_unique<NullModel>();
        return std::make_unique<ActingModel>(read_behaviour(settings.options), settings.seed);
    }

  private:
    RuntimeFacts facts_{"null", "", ""};
};

}  // namespace

std::unique_ptr<Runtime> open_null_runtime() { return std::make_unique<NullRuntime>(); }

}  // namespace edgeprof
