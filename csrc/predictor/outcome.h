// Why a predictor's reader refused something.
#pragma once

namespace edgeprof {

// Why something was refused; an empty message is success.
struct PredictorOutcome {
    char message[160] = "";
    bool ok() const noexcept { return message[0] == '\0'; }
};

}  // namespace edgeprof
