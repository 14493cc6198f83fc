# Debian's cross compiler (`apt-get install g++-arm-linux-gnueabihf`). The result needs the glibc of
# this Debian, and its libstdc++ unless that is linked in, as here.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a -mfpu=neon -mfloat-abi=hard")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-libstdc++ -static-libgcc")
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
