# x86-64, the baseline of 2003: for wheels and boards that are older than this machine.
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(EDGEPROF_ZIG_TARGET x86_64-linux-gnu)
set(EDGEPROF_ZIG_CPU baseline)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
