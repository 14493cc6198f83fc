// Reads counters that this system refuses; with an argument, runs an undefined instruction after.
#include "timing/refused_reads.h"

#include <initializer_list>

#include "timing/registers.h"

int main(int n_arguments, char**) {
    edgeprof::survive_refused_reads();
    for (const std::uint32_t index : {31u, 0u, 7u, 8u, 11u}) {
        std::uint64_t count = 0;
        if (edgeprof::registers::read_performance_counter(index, count)) return 1;
    }
    if (n_arguments > 1) asm volatile(".inst 0");
    return 0;
}
