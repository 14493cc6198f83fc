// Names of ARM cores by the fields of MIDR_EL1 (implementer, part).
#pragma once

#include <cstdint>

namespace edgeprof {

// The fields of MIDR_EL1 / MIDR (Arm ARM, D19.2.93), as /proc/cpuinfo prints them too.
struct CoreId {
    std::uint32_t implementer;
    std::uint32_t variant;
    std::uint32_t part;
    std::uint32_t revision;

    bool operator==(const CoreId& other) const {
        return implementer == other.implementer && variant == other.variant && part == other.part &&
               revision == other.revision;
    }
};

CoreId decode_midr(std::uint64_t midr) noexcept;
// The marketing name, such as "Cortex-A72"; nullptr for a core that is not in the table.
const char* core_name(std::uint32_t implementer, std::uint32_t part) noexcept;

}  // namespace edgeprof
