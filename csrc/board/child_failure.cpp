#include "board/child_failure.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "record/record.h"

namespace edgeprof {

namespace {

// "/usr/lib/libonnxruntime.so.1.21.0 (onnxruntime 1.21.0)"
std::string describe(const RuntimeFacts& runtime) {
    std::string text = runtime.library_path.empty() ? runtime.name : runtime.library_path;
    if (!runtime.version.empty()) text += " (" + runtime.name + " " + runtime.version + ")";
    return text;
}

ErrorEvidence evidence_of(const ChildFacts& facts) {
    return {{"runtime", facts.runtime.name},
            {"runtime_version", facts.runtime.version},
            {"library_path", facts.runtime.library_path},
            {"phase", name_of(facts.phase)},
            {"output", one_line(facts.output)}};
}

}  // namespace

std::string crash_record(const std::string& job_id, const std::string& model_path,
                         const ChildFacts& facts, int status) {
    std::string how = "ended with exit status " + std::to_string(WEXITSTATUS(status));
    std::string remedy;
    ErrorEvidence evidence = evidence_of(facts);
    if (WIFSIGNALED(status)) {
        const int signal_number = WTERMSIG(status);
        how = std::string("died of signal ") + std::to_string(signal_number) + " (" +
              strsignal(signal_number) + ")";
        evidence.emplace_back("signal", std::to_string(signal_number));
        if (signal_number == SIGILL) {
            remedy = "; this build of the library needs a newer processor: use another release";
        } else if (signal_number == SIGKILL) {
            remedy = "; out of memory, probably";
        }
    }
    return failure_record(
        job_id, model_path,
        Error(ErrorKind::kHarnessCrashed, model_path + ": " + describe(facts.runtime) + " " + how +
                                              " while " + name_of(facts.phase) + remedy),
        evidence);
}

std::string timeout_record(const std::string& job_id, const std::string& model_path,
                           const ChildFacts& facts, double limit_secs, const char* option) {
    char secs[32];
    std::snprintf(secs, sizeof secs, "%g s", limit_secs);
    return failure_record(
        job_id, model_path,
        Error(ErrorKind::kHarnessTimeout, model_path + ": " + describe(facts.runtime) +
                                              " did not come back while " + name_of(facts.phase) +
                                              ", stopped after " + secs + "; raise " + option +
                                              " if it only needs longer"),
        evidence_of(facts));
}

std::string tail_of(std::FILE* file) {
    constexpr long kMaxBytes = 2000;
    std::fseek(file, 0, SEEK_END);
    const long size = std::ftell(file);
    std::fseek(file, std::max(0L, size - kMaxBytes), SEEK_SET);
    char buffer[kMaxBytes];
    return std::string(buffer, std::fread(buffer, 1, sizeof buffer, file));
}

}  // namespace edgeprof
