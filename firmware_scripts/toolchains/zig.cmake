# Cross-compilation with zig, a compiler that carries the C libraries of its targets: nothing else
# to install (`pip install ziglang`), and the oldest glibc that the result runs with can be chosen.
# Not used itself: zig-aarch64.cmake and zig-armv7.cmake name a target and include this file.
#
#   EDGEPROF_ZIG    path of zig (default: on the PATH)
#   EDGEPROF_GLIBC  oldest glibc to run with (default 2.27)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGEPROF_GLIBC EDGEPROF_ZIG)
find_program(EDGEPROF_ZIG NAMES zig python-zig)
if(NOT EDGEPROF_ZIG)
  message(FATAL_ERROR "zig was not found on the PATH: pip install ziglang, or set EDGEPROF_ZIG")
endif()
if(NOT EDGEPROF_GLIBC)
  set(EDGEPROF_GLIBC 2.27)
endif()

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${EDGEPROF_ZIG} cc)
set(CMAKE_CXX_COMPILER ${EDGEPROF_ZIG} c++)
foreach(language C CXX)
  # zig compiles its C++ library once per target and optimisation: the same -O for the compiler
  # checks as for the program saves a minute.
  set(CMAKE_${language}_FLAGS_INIT
    "-target ${EDGEPROF_ZIG_TARGET}.${EDGEPROF_GLIBC} -mcpu=${EDGEPROF_ZIG_CPU} -O3")
  # zig's archiver is a subcommand too, which CMAKE_AR cannot say.
  set(CMAKE_${language}_ARCHIVE_CREATE "\"${EDGEPROF_ZIG}\" ar qc <TARGET> <OBJECTS>")
  set(CMAKE_${language}_ARCHIVE_APPEND "\"${EDGEPROF_ZIG}\" ar q <TARGET> <OBJECTS>")
  set(CMAKE_${language}_ARCHIVE_FINISH "\"${EDGEPROF_ZIG}\" ranlib <TARGET>")
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
