// The version of edgeprof that a record or a predictor file was made with.
#pragma once

namespace edgeprof {

const char* version() noexcept;

}  // namespace edgeprof
