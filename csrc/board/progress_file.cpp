#include "board/progress_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/json.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

constexpr std::int64_t kPause_ns = 200'000'000;  // between two rounds that are told

void write_status(json::Writer& writer, const RunStatus& status) {
    const bool has_interval = status.estimate && status.estimate->ci_level >= kConfidence;
    writer.begin_object().member("n_samples", status.n_samples);
    writer.member("latency_ns", status.latency_ns);
    if (has_interval) {
        writer.member("ci_low_ns", status.estimate->ci.low);
        writer.member("ci_high_ns", status.estimate->ci.high);
    }
    writer.member("waits_for", name_of(status.waits_for)).end_object();
}

}  // namespace

ProgressFile::ProgressFile(const std::string& path)
    : descriptor_(path.empty() ? -1 : open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) {}

ProgressFile::~ProgressFile() {
    if (descriptor_ >= 0) close(descriptor_);
}

void ProgressFile::tell_phase(Phase phase) {
    switch (phase) {
        case Phase::kOpening:
            return tell_model(name_of(phase), n_opened_++);
        case Phase::kLoading:
            return tell_model(name_of(phase), n_opened_ - 1);
        case Phase::kMeasuring:
            return tell_model("warming", 0);
        case Phase::kProfiling:
            return tell_model(name_of(phase), n_profiled_++);
        case Phase::kReporting:
            return tell_model(name_of(phase), 0);
    }
}

void ProgressFile::tell_warm() {
    ++n_warm_;
    if (n_warm_ < n_opened_) tell_model("warming", n_warm_);
}

void ProgressFile::tell_round(const StatusReader& read_status) {
    const std::int64_t now_ns = monotonic_raw_ns();
    if (descriptor_ < 0 || now_ns - told_at_ns_ < kPause_ns) return;
    told_at_ns_ = now_ns;
    json::Writer writer;
    writer.begin_object().member("phase", name_of(Phase::kMeasuring)).key("models").begin_array();
    for (const RunStatus& status : read_status()) write_status(writer, status);
    write(writer.end_array().end_object().text());
}

void ProgressFile::tell_model(const char* phase, std::size_t model) {
    if (descriptor_ < 0) return;
    json::Writer writer;
    writer.begin_object().member("phase", phase).member("model", model).end_object();
    write(writer.text());
}

// In one call, and over all that was there: a reader that comes in between finds text that is no
// JSON, and reads again.
void ProgressFile::write(std::string text) {
    n_written_ = std::max(n_written_, text.size());
    text.resize(n_written_, ' ');
    if (pwrite(descriptor_, text.data(), text.size(), 0) < 0) {
        close(descriptor_);
        descriptor_ = -1;
    }
}

}  // namespace edgeprof
