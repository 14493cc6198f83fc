# Debian's cross compiler (`apt-get install g++-aarch64-linux-gnu`). The result needs the glibc of
# this Debian, and its libstdc++ unless that is linked in, as here.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CXX_FLAGS_INIT "-march=armv8-a")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-libstdc++ -static-libgcc")
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
