// The errors of the C++ core: set-up code throws them, both doors map them to the Python class of
// the same name (edgeprof/errors.py). The timed region and the predictor never throw.
#pragma once

#include <stdexcept>
#include <string>

namespace edgeprof {

enum class ErrorKind {
    kHarnessCrashed,
    kHarnessTimeout,
    kInvalidJob,
    kInvalidModel,
    kOutputError,
    kPredictorFormatError,
    kRuntimeUnavailable,
    kUnsteadyMeasurement,
    kUnsupportedModel,
};

// Name of the Python class.
constexpr const char* name_of(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::kHarnessCrashed:
            return "HarnessCrashed";
        case ErrorKind::kHarnessTimeout:
            return "HarnessTimeout";
        case ErrorKind::kInvalidJob:
            return "InvalidJob";
        case ErrorKind::kInvalidModel:
            return "InvalidModel";
        case ErrorKind::kOutputError:
            return "OutputError";
        case ErrorKind::kPredictorFormatError:
            return "PredictorFormatError";
        case ErrorKind::kRuntimeUnavailable:
            return "RuntimeUnavailable";
        case ErrorKind::kUnsteadyMeasurement:
            return "UnsteadyMeasurement";
        case ErrorKind::kUnsupportedModel:
            return "UnsupportedModel";
    }
    return "StableError";
}

// Whether a retry is reasonable; the same division as in edgeprof/errors.py (a test compares).
constexpr bool is_transient(ErrorKind kind) noexcept {
    return kind == ErrorKind::kHarnessTimeout || kind == ErrorKind::kUnsteadyMeasurement;
}

// What, where, observed and wanted, remedy: one line.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
    ErrorKind kind() const noexcept { return kind_; }

  private:
    ErrorKind kind_;
};

}  // namespace edgeprof
