# ARMv8.0-A, 64 bits: Raspberry Pi 3 and later, every Jetson. No extension beyond the baseline.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(EDGEPROF_ZIG_TARGET aarch64-linux-gnu)
set(EDGEPROF_ZIG_CPU generic)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
