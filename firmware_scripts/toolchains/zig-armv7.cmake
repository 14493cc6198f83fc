# ARMv7-A with NEON, 32 bits, hard float: Raspberry Pi OS 32-bit on a Raspberry Pi 2 and later.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(EDGEPROF_ZIG_TARGET arm-linux-gnueabihf)
set(EDGEPROF_ZIG_CPU generic+v7a+neon)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
