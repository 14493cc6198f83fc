// Interrupts are of a whole process, so each case has one of its own.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/timing/fake_instruments.h"
#include "timing/interrupt.h"
#include "timing/measure.h"

using namespace edgeprof;

namespace {

// The exit status of a child process that runs `check`.
int status_of_child(bool (*check)()) {
    const pid_t child = fork();
    if (child == 0) _exit(check() ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

bool an_interrupted_model_keeps_its_samples() {
    note_interrupts();
    FakeClock clock;
    FakeInstruments instruments(clock);
    FakeModel model(clock, [](int n) -> std::int64_t {
        if (n == 5000) raise(SIGINT);
        return 1000 + n * 7 % 11;
    });
    // So many samples that nothing else ends it.
    const MeasureSettings settings{1e-9, 0.0, 1e3, 500'000, 1'000'000, false, {}, 10.0, 10.0};
    const Outcome outcome = std::move(measure({{&model, &instruments, settings}}, 0, {}).front());
    const std::size_t n = outcome.samples.latency_ns.size();
    return outcome.stop_reason == StopReason::kInterrupted && n > 1000 && n < 6000;
}

bool without_a_sample_there_are_the_fewest() {
    note_interrupts();
    raise(SIGINT);
    FakeClock clock;
    FakeInstruments instruments(clock);
    FakeModel model(clock, [](int) { return 1000; });
    const MeasureSettings settings{1e-9, 0.0, 1e3, 20, 1'000'000, false, {}, 10.0, 10.0};
    const Outcome outcome = std::move(measure({{&model, &instruments, settings}}, 0, {}).front());
    return outcome.stop_reason == StopReason::kInterrupted &&
           outcome.samples.latency_ns.size() == fewest_samples(1e6);
}

}  // namespace

TEST_CASE("an interrupt ends the sampling and keeps what there is") {
    CHECK(!is_interrupted());
    CHECK(status_of_child(an_interrupted_model_keeps_its_samples) == 0);
    CHECK(status_of_child(without_a_sample_there_are_the_fewest) == 0);
    CHECK(!is_interrupted());
}
