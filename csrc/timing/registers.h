// Counters that are read by an instruction. The only place with inline assembly for time.
//
// Barriers: no work of the timed region runs ahead of the first read, nor the second read ahead of
// it. `begin` waits for what came before it, and what comes after waits for it; `end` waits for the
// region itself.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#define EDGEPROF_HAS_TSC 1
#endif

#if defined(__aarch64__) || (defined(__arm__) && defined(__ARM_ARCH) && __ARM_ARCH >= 7)
#define EDGEPROF_HAS_GENERIC_TIMER 1
#endif

namespace edgeprof::registers {

#ifdef EDGEPROF_HAS_TSC

// Time Stamp Counter (Intel SDM vol. 2, RDTSC). The first LFENCE completes all earlier
// instructions, the second lets none of the region begin before the read.
inline std::uint64_t tsc_begin() noexcept {
    std::uint32_t low, high;
    asm volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
    return (std::uint64_t{high} << 32) | low;
}

// RDTSCP waits for earlier instructions by itself. No LFENCE behind it: what runs ahead from there
// is bookkeeping outside of the region, and it would cost 4 ns per inference.
inline std::uint64_t tsc_end() noexcept {
    std::uint32_t low, high;
    asm volatile("rdtscp" : "=a"(low), "=d"(high)::"ecx", "memory");
    return (std::uint64_t{high} << 32) | low;
}

// CPUID 80000007h, EDX bit 8: the TSC runs at one rate in every power state.
inline bool tsc_is_invariant() noexcept {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
}

// RDPMC: the performance counter of that number, as CR4.PCE or the perf subsystem allows.
inline bool read_performance_counter(std::uint32_t index, std::uint64_t& count) noexcept {
    std::uint32_t low, high;
    asm volatile("lfence\n\trdpmc" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    count = (std::uint64_t{high} << 32) | low;
    return true;
}
#define EDGEPROF_HAS_USER_COUNTERS 1

#endif

#if defined(__aarch64__)

// What a refused read gives, once refused_reads.h is asked to. No count: a 64-bit counter takes
// centuries to get there, and a narrower one has no upper bits.
constexpr std::uint64_t kRefused = ~std::uint64_t{0};

// PMCCNTR_EL0 (cycles, number 31) and PMEVCNTR<n>_EL0 (events 0..30), Arm ARM D19.5. The register
// is part of the instruction, hence the table: of those that cores have (the Arm ARM leaves room
// for more). False for any other, and for a refused read: 0 would be taken for a count. ISB: the
// read may not be speculated earlier.
inline bool read_performance_counter(std::uint32_t index, std::uint64_t& count) noexcept {
    asm volatile("isb" ::: "memory");
    switch (index) {
        case 31:
            asm volatile("mrs %0, pmccntr_el0" : "=r"(count));
            break;
#define EDGEPROF_EVENT_COUNTER(n)                                 \
    case n:                                                       \
        asm volatile("mrs %0, pmevcntr" #n "_el0" : "=r"(count)); \
        break;
            EDGEPROF_EVENT_COUNTER(0)
            EDGEPROF_EVENT_COUNTER(1)
            EDGEPROF_EVENT_COUNTER(2)
            EDGEPROF_EVENT_COUNTER(3)
            EDGEPROF_EVENT_COUNTER(4)
            EDGEPROF_EVENT_COUNTER(5)
            EDGEPROF_EVENT_COUNTER(6)
            EDGEPROF_EVENT_COUNTER(7)
            EDGEPROF_EVENT_COUNTER(8)
            EDGEPROF_EVENT_COUNTER(9)
            EDGEPROF_EVENT_COUNTER(10)
            EDGEPROF_EVENT_COUNTER(11)
#undef EDGEPROF_EVENT_COUNTER
        default:
            return false;
    }
    return count != kRefused;
}
#define EDGEPROF_HAS_USER_COUNTERS 1

#endif

// `n` times two instructions: decrement, branch if not zero. The known quantity that counters are
// checked against.
inline void counted_loop(std::uint64_t n) noexcept {
    if (n == 0) return;
#if defined(__x86_64__)
    asm volatile("1: dec %0\n\tjnz 1b" : "+r"(n)::"cc");
#elif defined(__aarch64__)
    asm volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n)::"cc");
#elif defined(__arm__)
    std::uint32_t low = static_cast<std::uint32_t>(n);
    asm volatile("1: subs %0, %0, #1\n\tbne 1b" : "+r"(low)::"cc");
#else
    while (n-- > 0) asm volatile("" ::: "memory");
#endif
}

#ifdef EDGEPROF_HAS_GENERIC_TIMER

inline void generic_timer_fence() noexcept { asm volatile("isb" ::: "memory"); }

#if defined(__aarch64__)

// CNTVCT_EL0, virtual count (Arm ARM D13.11). ISB: the read may not be speculated earlier (nor,
// with generic_timer_fence behind it, what follows before the read).
inline std::uint64_t generic_timer() noexcept {
    std::uint64_t count;
    asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(count)::"memory");
    return count;
}

// CNTFRQ_EL0: what firmware says the rate is, in Hz.
inline std::uint64_t generic_timer_hz() noexcept {
    std::uint64_t hz;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}

#else

// CNTVCT (Arm ARM v7 B8.1.4): MRRC p15, 1, <low>, <high>, c14. May be undefined in user mode.
inline std::uint64_t generic_timer() noexcept {
    std::uint32_t low, high;
    asm volatile("isb\n\tmrrc p15, 1, %0, %1, c14" : "=r"(low), "=r"(high)::"memory");
    return (std::uint64_t{high} << 32) | low;
}

// CNTFRQ: MRC p15, 0, <hz>, c14, c0, 0.
inline std::uint64_t generic_timer_hz() noexcept {
    std::uint32_t hz;
    asm volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
    return hz;
}

#endif
#endif

}  // namespace edgeprof::registers
